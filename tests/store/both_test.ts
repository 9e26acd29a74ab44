/** etcd's two APIs bridged, on a real etcd: mirrors, the election, subnets with two owners, configurations that differ. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { StoreEvent } from "../../src/store/store.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { poll, Process } from "../support/process.ts";
import { openBothStore } from "../../src/store/etcd/both/both_store.ts";
import { A, B, becomes, bothSides, C, CONFIG, mirrored, OTHER_MAC } from "./both_sides.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags } from "./etcd3_harness.ts";
import { claim, isDelete, isPut, keyOf, oldValue, Reader, soon, subnets, value, watch } from "./harness.ts";

const test = bothSides();

const isSnapshot = (event: StoreEvent) => event.type === "snapshot";

test("records are mirrored both ways, with their time; they follow, and go with their origin", async (setup) => {
  const { v2, v3, open, setConfig } = setup;
  await setConfig(CONFIG);
  await v2.put("10.3.1.0-24", oldValue(A), 5_000_000);
  await v3.put("10.3.2.0-24", value(B), 4_000_000);
  await v2.put("10.3.3.0-24", oldValue(C));
  await v2.put("zzz", "{", 600_000);
  const store = await open();
  await using events = watch(store);
  await becomes(v3, "10.3.1.0-24", mirrored(value(A), "v2"));
  await becomes(v2, "10.3.2.0-24", mirrored(oldValue(B), "v3"));
  await becomes(v3, "10.3.3.0-24", mirrored(value(C), "v2"));
  const [left3, left2] = [(await v3.ttl("10.3.1.0-24"))!, (await v2.ttl("10.3.2.0-24"))!];
  assert(left3 > 4_980_000 && left3 <= 5_000_000, `${left3}`);
  assert(left2 > 3_980_000 && left2 <= 4_000_000, `${left2}`);
  const reserved = (await v3.ttl("10.3.3.0-24"))!;
  assert(reserved > 86_000_000 && reserved <= 86_400_000, `${reserved}`);

  // Renewed, and changed.
  await v2.put("10.3.1.0-24", oldValue(A), 8_000_000);
  await poll(
    "the mirror in v3 to get more time",
    20_000,
    async () => (await v3.ttl("10.3.1.0-24"))! > 7_900_000,
  );
  await v3.put("10.3.2.0-24", value(B, OTHER_MAC), 4_000_000);
  await becomes(v2, "10.3.2.0-24", mirrored(oldValue(B, OTHER_MAC), "v3"));

  // Gone.
  await v2.delete("10.3.1.0-24");
  await becomes(v3, "10.3.1.0-24", null);
  await v3.delete("10.3.2.0-24");
  await becomes(v2, "10.3.2.0-24", null);
  await events.until("one end", isDelete("10.3.1.0-24"));
  await events.until("the other", isDelete("10.3.2.0-24"));

  // What was never more than a mirror is not mirrored back, nor what can't be read.
  assertEquals([await v2.get("10.3.1.0-24"), await v3.get("10.3.2.0-24"), await v3.get("zzz")], [
    null,
    null,
    null,
  ]);
  assertEquals(await v2.get("10.3.3.0-24"), oldValue(C));
});

test("a mirror whose origin lives on without a write lives on, and ends with it", async ({ etcd, v2, v3, open, setConfig, prefix }) => {
  await setConfig(CONFIG);
  const grant = await etcd.ctl("lease", "grant", "6");
  const id = /^lease ([0-9a-f]+) granted/.exec(grant)![1]!;
  await etcd.ctl("put", `${prefix}/subnets/10.3.2.0-24`, value(B), `--lease=${id}`);
  await using _events = watch(await open());
  await becomes(v2, "10.3.2.0-24", mirrored(oldValue(B), "v3"));
  const born = () => etcd.ctl2("-o", "extended", "get", `${prefix}/subnets/10.3.2.0-24`);
  const [, created] = /^Created-Index: (\d+)$/m.exec(await born())!;
  const seen = performance.now();
  await poll("9 s, the origin kept alive and the mirror there", 20_000, async () => {
    await etcd.ctl("lease", "keep-alive", "--once", id);
    assertEquals(/^Created-Index: (\d+)$/m.exec(await born())![1], created);
    return performance.now() - seen > 9_000;
  });
  await etcd.ctl("lease", "revoke", id);
  await becomes(v2, "10.3.2.0-24", null);
  assertEquals(await v3.get("10.3.2.0-24"), null);
});

test("orphans that an earlier bridge left are removed, also where both sides have one", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  await v3.put("10.3.1.0-24", mirrored(value(A), "v2"), 5_000_000);
  await v2.put("10.3.2.0-24", mirrored(oldValue(B), "v3"), 5_000_000);
  await v3.put("10.3.2.0-24", mirrored(value(B), "v2"), 5_000_000);
  await using _events = watch(await open());
  for (const raw of [v2, v3]) {
    for (const key of ["10.3.1.0-24", "10.3.2.0-24"]) await becomes(raw, key, null);
  }
});

test("one is elected; when it is killed another goes on, when it stops another does at once", async (setup) => {
  const { etcd, prefix, v2, v3, log, open, setConfig } = setup;
  await setConfig(CONFIG);
  const key = `${prefix}/bridge`;
  const elected = async () => (await etcd.ctl("get", "--print-value-only", key)).trim();
  await using first = new Process("first", [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    new URL("both_process.ts", import.meta.url).pathname,
    etcd.endpoints,
    prefix,
  ]);
  await poll("the first to be elected", 30_000, async () => await elected() !== "");
  const name = await elected();
  const second = await open();
  await using events = watch(second);
  await events.until("a snapshot", isSnapshot);
  await v2.put("10.3.1.0-24", oldValue(A), 5_000_000);
  await becomes(v3, "10.3.1.0-24", mirrored(value(A), "v2"));
  assertEquals(await elected(), name);
  assert(!log.some((line) => line.includes("mirror")), log.join("\n"));

  await first.stop("SIGKILL");
  await v2.delete("10.3.1.0-24");
  await v3.put("10.3.2.0-24", value(B), 5_000_000);
  await becomes(v2, "10.3.2.0-24", mirrored(oldValue(B), "v3"));
  await becomes(v3, "10.3.1.0-24", null);
  assertEquals(log.filter((line) => line.includes("this host mirrors")).length, 1);

  const third = await open();
  await using _more = watch(third);
  const secondName = await elected();
  await second[Symbol.asyncDispose]();
  // Sooner than the place of one who is killed is free.
  await poll("the third to be elected", 8_000, async () => !["", secondName].includes(await elected()));
});

test("nothing that upstream would read as a subnet is written for it", async ({ etcd, prefix, open, setConfig }) => {
  await setConfig(CONFIG);
  await using events = watch(await open());
  await events.until("a snapshot", isSnapshot);
  const keys = async () =>
    (await etcd.ctl("get", "--prefix", "--keys-only", prefix)).split("\n").filter((key) => key !== "");
  await poll("the election", 10_000, async () => (await keys()).length === 2);
  assertEquals(await keys(), [`${prefix}/bridge`, `${prefix}/config`]);
  assert(!/subnets|\d+\.\d+.*-\d+/.test(`${prefix}/bridge`.replace(prefix, "")));
  assertEquals(await etcd.ctl2("ls", "--recursive", prefix), `${prefix}/config\n`);
});

test("a subnet with two owners is reported once, the older counts and goes on counting, none is mirrored", async (setup) => {
  const { v2, v3, open, setConfig, log } = setup;
  await setConfig(CONFIG);
  // Written an hour ago, half an hour ago.
  await v2.put("10.3.1.0-24", oldValue(A), 84_600_000);
  await v3.put("10.3.1.0-24", value(B), 82_800_000);
  await v2.put("10.3.2.0-24", oldValue(A), 82_800_000);
  await v3.put("10.3.2.0-24", value(B), 84_600_000);
  await v3.put("10.3.3.0-24", value(C));
  await v2.put("10.3.3.0-24", oldValue(A), 80_000_000);
  await using events = watch(await open());
  const snapshot = await events.until("a snapshot", isSnapshot);
  assert(snapshot.type === "snapshot");
  const owners = () =>
    Object.fromEntries(
      snapshot.leases.map((lease) => [keyOf(lease), Number(lease.record.publicIp!.value & 255n)]),
    );
  assertEquals(owners(), { "10.3.1.0-24": 2, "10.3.2.0-24": 1, "10.3.3.0-24": 3 });
  assertEquals(snapshot.leases.length, 3);
  // Renewed: it stays what it was.
  await v3.put("10.3.1.0-24", value(B, OTHER_MAC), 86_400_000);
  await events.until("the older, renewed", isPut("10.3.1.0-24", OTHER_MAC));
  await v2.put("10.3.1.0-24", oldValue(A, OTHER_MAC), 86_400_000);
  await v2.put("10.3.9.0-24", oldValue(A), 600_000);
  await events.until("a later change", isPut("10.3.9.0-24"));
  const later = events.seen.filter(isPut("10.3.1.0-24"));
  assert(later.every((event) => event.type === "put" && event.lease.record.publicIp!.value === 3232235522n));
  const reports = log.filter((line) => line.includes("10.3.1.0/24 has two owners"));
  assertEquals(reports.length, 1, log.join("\n"));
  assertStringIncludes(reports[0]!, `${A} in etcd's v2 API and ${B} in v3; the older, ${B}, counts`);
  assertStringIncludes(reports[0]!, "SubnetMin and SubnetMax");
  assertEquals([await v2.get("10.3.2.0-24"), await v3.get("10.3.2.0-24")], [oldValue(A), value(B)]);
  // The older gone, the other has it, and is mirrored.
  await v3.delete("10.3.1.0-24");
  await events.until(
    "the other owner",
    (event) =>
      isPut("10.3.1.0-24")(event) && event.type === "put" &&
      event.lease.record.publicIp!.value === 3232235521n,
  );
  await becomes(v3, "10.3.1.0-24", mirrored(value(A, OTHER_MAC), "v2"));
});

test("configurations that differ: told by member, nothing is mirrored, until they agree", async (setup) => {
  const { v2, v3, open, setConfig, log } = setup;
  await setConfig(CONFIG, CONFIG.replace('"vxlan"', '"vxlan", "VNI": 9').replace("16", "15"));
  await v2.put("10.3.1.0-24", oldValue(A), 5_000_000);
  const store = await open();
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const problem = await readings.until("the problem", () => true);
  assert(problem.type === "problem" && !problem.refused);
  assertMatch(problem.error, /^v2 and v3 have different networks, they are not bridged: /);
  assertStringIncludes(problem.error, "Network is 10.3.0.0/16 in v2 and 10.2.0.0/15 in v3");
  assertStringIncludes(problem.error, "Backend.VNI is absent in v2 and 9 in v3");
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await poll(
    "the refusal",
    10_000,
    () => log.some((line) => /nothing is mirrored: .*Backend\.VNI/.test(line)),
  );
  assertEquals(await v3.get("10.3.1.0-24"), null);
  await setConfig(CONFIG);
  await readings.until("the configuration", ({ type }) => type === "config");
  await becomes(v3, "10.3.1.0-24", mirrored(value(A), "v2"));
});

test("each side may have a range of its own; we may have any of both", async ({ open, setConfig }) => {
  const range = (min: string, max: string) =>
    CONFIG.replace("{", `{"SubnetMin": "10.3.${min}.0", "SubnetMax": "10.3.${max}.0", `);
  await setConfig(range("10", "19"), range("20", "29"));
  const store = await open();
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const reading = await readings.until("the configuration", () => true);
  assert(reading.type === "config", Deno.inspect(reading));
  for (const [host, wanted] of [[A, "10.3.11.0-24"], [B, "10.3.22.0-24"]] as const) {
    const lease = await store.acquire(claim(host, reading.config, subnets(wanted)), soon());
    assertEquals(keyOf(lease), wanted);
  }
  const other = await store.acquire(claim(C, reading.config, subnets("10.3.40.0-24")), soon());
  assertMatch(keyOf(other), /^10\.3\.[12]\d\.0-24$/);
});

test("without a configuration on one side it says which", async ({ etcd, prefix, open }) => {
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  const store = await open();
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const problem = await readings.until("the problem", () => true);
  assert(problem.type === "problem");
  assertMatch(problem.error, /^etcd's v3 API: flannel config not found in etcd store/);
});

etcdTest("etcd both: an etcd without v2 says so", async () => {
  await using other = await EtcdCluster.start();
  await using store = await openBothStore(flags(other.endpoints));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const problem = await readings.until("the refusal", (r) => r.type === "problem" && r.refused === true);
  assert(problem.type === "problem");
  assertStringIncludes(problem.error, "the server does not offer etcd's v2 API");
});

etcdTest("etcd both: an outage of etcd is told once", async () => {
  await using other = await startEtcd2();
  await other.ctl2("set", "/coreos.com/network/config", CONFIG);
  await other.ctl("put", "/coreos.com/network/config", CONFIG);
  await using store = await openBothStore(flags(other.endpoints));
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await other.members[0]!.kill();
  await events.until("the outage", ({ type }) => type === "outage");
  other.members[0]!.launch();
  await other.ready();
  await events.until("its end", ({ type }) => type === "recovered");
  await other.ctl("put", "/coreos.com/network/subnets/10.3.8.0-24", value(B));
  await events.until("a live change", isPut("10.3.8.0-24"));
  const types = events.seen.map(({ type }) => type);
  assertEquals(types.filter((type) => type === "outage" || type === "recovered"), ["outage", "recovered"]);
});
