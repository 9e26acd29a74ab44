/** `flanneld migrate` on a real etcd with both APIs: what is copied, what is refused, and that nothing is overwritten. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { run } from "../../src/cli/migrate.ts";
import { Failure, UsageError } from "../../src/model/errors.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { raw2, startEtcd2 } from "./etcd2_harness.ts";
import { etcdHarness, etcdTest } from "./etcd3_harness.ts";
import { oldValue, type RawAccess, value } from "./harness.ts";

const CONFIG = '{"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan", "VNI": 7}}';
const A = "192.168.0.1";
const B = "192.168.0.2";
const OTHER_MAC = "02:00:00:00:00:99";

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

interface Setup {
  readonly prefix: string;
  readonly v2: RawAccess;
  readonly v3: RawAccess;
  migrate(...args: string[]): Promise<string>;
}

function test(name: string, body: (setup: Setup) => Promise<void>): void {
  etcdTest(`migrate: ${name}`, async () => {
    const prefix = `/test/${tests++}`;
    const migrate = async (...args: string[]) => {
      let out = "";
      const words = [...args, `-etcd-endpoints=${etcd.endpoints}`, `-etcd-prefix=${prefix}`];
      const io = { args: words, environment: {}, out: (text: string) => void (out += text), err: () => {} };
      assertEquals(await run(io), 0);
      return out;
    };
    await body({ prefix, v2: raw2(etcd, prefix), v3: etcdHarness(etcd, prefix).raw, migrate });
  });
}

const UP = ["--from=v2", "--to=v3"];
const DOWN = ["-from", "v3", "-to", "v2"];

async function everything(prefix: string): Promise<string> {
  const two = await etcd.ctl2("ls", "--sort", "--recursive", "-p", prefix).catch(() => "");
  return two + await etcd.ctl("get", "--prefix", prefix);
}

test("dry run, then configuration, leases with their time, and reservations", async ({ prefix, v2, v3, migrate }) => {
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await v2.put("10.3.1.0-24", oldValue(A), 5_000_000);
  await v2.put("10.3.2.0-24", oldValue(B));
  await v2.put("zzz", "{", 600_000);
  const before = await everything(prefix);
  const plan = await migrate(...UP);
  assertEquals(await everything(prefix), before);
  assertStringIncludes(plan, `configuration ${prefix}/config: to v3\n`);
  assertStringIncludes(plan, `10.3.1.0/24 of ${A}: to v3, 1h23m left\n`);
  assertStringIncludes(plan, `10.3.2.0/24 of ${B}: to v3, a reservation\n`);
  assertMatch(plan, /nothing was written; --apply writes these 3\n$/);

  assertMatch(await migrate(...UP, "--apply"), /done: 3 written\n$/);
  assertEquals(await etcd.ctl("get", "--print-value-only", `${prefix}/config`), `${CONFIG}\n`);
  assertEquals(await v3.get("10.3.1.0-24"), value(A));
  assertEquals(await v3.get("10.3.2.0-24"), value(B));
  const left = await v3.ttl("10.3.1.0-24");
  assert(left !== null && left > 4_980_000 && left <= 5_000_000, `${left}`);
  assertEquals(await v3.ttl("10.3.2.0-24"), null);
  assertEquals(await v3.get("zzz"), null);

  const after = await everything(prefix);
  assertMatch(await migrate(...UP, "--apply"), /nothing to do\n$/);
  assertEquals(await everything(prefix), after);
});

test("and back", async ({ prefix, v2, v3, migrate }) => {
  await etcd.ctl("put", `${prefix}/config`, CONFIG);
  await v3.put("10.3.1.0-24", value(A), 5_000_000);
  await v3.put("10.3.2.0-24", value(B));
  assertMatch(await migrate(...DOWN, "--apply"), /done: 3 written\n$/);
  assertEquals(await etcd.ctl2("get", `${prefix}/config`), `${CONFIG}\n`);
  assertEquals(await v2.get("10.3.1.0-24"), oldValue(A));
  const left = await v2.ttl("10.3.1.0-24");
  assert(left !== null && left > 4_980_000 && left <= 5_000_000, `${left}`);
  assertEquals(await v2.ttl("10.3.2.0-24"), null);
  assertMatch(await migrate(...UP, "--apply"), /nothing to do\n$/);
});

test("a lease renewed since gets more time; one that its host has taken over stays", async ({ prefix, v2, v3, migrate }) => {
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await v2.put("10.3.1.0-24", oldValue(A), 600_000);
  await v2.put("10.3.2.0-24", oldValue(B), 600_000);
  await migrate(...UP, "--apply");
  await v2.put("10.3.1.0-24", oldValue(A), 5_000_000);
  await v2.put("10.3.2.0-24", oldValue(B), 5_000_000);
  await v3.put("10.3.2.0-24", value(B, OTHER_MAC), 700_000);
  const plan = await migrate(...UP, "--apply");
  assertStringIncludes(plan, `10.3.1.0/24 of ${A}: is in v3, gets more time, 1h23m left\n`);
  assertStringIncludes(plan, `10.3.2.0/24 of ${B}: is in v3 already\n`);
  assert((await v3.ttl("10.3.1.0-24"))! > 4_980_000);
  assertEquals(await v3.get("10.3.2.0-24"), value(B, OTHER_MAC));
});

test("what contradicts the other side stops everything, and both sides are named", async ({ prefix, v2, v3, migrate }) => {
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await etcd.ctl("put", `${prefix}/config`, CONFIG.replace("7", "8").replace("10.3.0.0/16", "10.0.0.0/8"));
  await v2.put("10.3.1.0-24", oldValue(A), 600_000);
  await v3.put("10.3.1.0-24", value(B), 600_000);
  await v2.put("10.3.4.0-24", oldValue("192.168.0.4"), 600_000);
  await v3.put("10.3.4.0-22", value("192.168.0.5"), 600_000);
  await v2.put("10.3.9.0-24", oldValue("192.168.0.9"), 600_000);
  await v3.put("10.3.10.0-24", value("192.168.0.9"), 600_000);
  await v2.put("10.3.11.0-24", oldValue("192.168.0.11"), 600_000);
  await v3.put("10.3.11.0-24", "{", 600_000);
  await v2.put("10.3.12.0-24", oldValue("192.168.0.12"), 600_000);
  const before = await everything(prefix);
  const failure = await assertRejects(() => migrate(...UP, "--apply"), Failure);
  for (
    const says of [
      "nothing was written",
      "Network is 10.3.0.0/16 in v2 and 10.0.0.0/8 in v3",
      "Backend.VNI is 7 in v2 and 8 in v3",
      `10.3.1.0/24 belongs to ${A} in v2 and to ${B} in v3`,
      "10.3.4.0/24 belongs to 192.168.0.4 in v2 and overlaps 10.3.4.0/22 of 192.168.0.5 in v3",
      "10.3.9.0/24 belongs to 192.168.0.9 in v2, and that host has 10.3.10.0/24 in v3",
      `10.3.11.0/24 belongs to 192.168.0.11 in v2, and "10.3.11.0-24" in v3 can't be read`,
    ]
  ) assertStringIncludes(failure.message, says);
  assertEquals(failure.message.split("\n").filter((line) => line.startsWith("  10.3")).length, 4);
  assertEquals(await everything(prefix), before);
});

test("IPv6 alone goes to v3, and is refused on the way to v2", async ({ prefix, v3, migrate }) => {
  const config = '{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:3::/48"}';
  await etcd.ctl2("set", `${prefix}/config`, config);
  assertStringIncludes(await migrate(...UP, "--apply"), "done: 1 written");
  await v3.put("fd00:3:0:7::-64", '{"PublicIP":"0.0.0.0","PublicIPv6":"2001:db8::1"}', 600_000);
  await etcd.ctl2("rm", `${prefix}/config`);
  const before = await everything(prefix);
  const failure = await assertRejects(() => migrate(...DOWN, "--apply"), Failure);
  assertStringIncludes(failure.message, "IPv6 alone is not possible in etcd's v2 API; use --etcd-api=v3");
  assertEquals(await everything(prefix), before);
});

test("configurations that mean the same are the same", async ({ prefix, migrate }) => {
  await etcd.ctl2("set", `${prefix}/config`, '{"Network":"10.3.0.0/16","Backend":{"VNI":7,"Type":"VXLAN"}}');
  await etcd.ctl(
    "put",
    `${prefix}/config`,
    '{"Backend": {"Type": "vxlan", "VNI": 7}, "Network": "10.3.0.0/16", "SubnetLen": 24}',
  );
  assertMatch(await migrate(...UP, "--apply"), /already\nnothing to do\n$/);
});

test("mirrors stay where they are", async ({ prefix, v2, v3, migrate }) => {
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await v2.put("10.3.1.0-24", oldValue(A).replace("}}", '},"Mirror":"v3"}'), 600_000);
  await migrate(...UP, "--apply");
  assertEquals(await v3.get("10.3.1.0-24"), null);
});

test("without a network on the side to come from there is nothing to do, and it says so", async ({ prefix, migrate }) => {
  const failure = await assertRejects(() => migrate(...UP), Failure);
  assertEquals(
    failure.message,
    `migrate from v2 to v3: "${prefix}/config" is absent in v2, there is no network; correct -etcd-prefix, or the direction`,
  );
});

test("words that can't be meant are refused", async ({ migrate }) => {
  await assertRejects(() => migrate(), UsageError, "migrate --from not given");
  await assertRejects(() => migrate("--from=v2", "--to=v2"), UsageError, "the same as --from");
  await assertRejects(() => migrate("--from=v2", "--to=v4"), UsageError, 'migrate --to "v4"');
  await assertRejects(() => migrate(...UP, "--apply=maybe"), UsageError, 'migrate --apply "maybe"');
});
