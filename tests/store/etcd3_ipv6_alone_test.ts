/**
 * Hosts with IPv6 alone in etcd's v3 API: where their records stand, what earlier releases left elsewhere, and a role that does not
 * permit the place. What every store has to hold for them is in `ipv6_alone.ts`.
 */
import { claimant } from "../support/identity.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { LeaseRecord } from "../../src/model/lease.ts";
import { encodeRecord } from "../../src/model/lease_codec.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { openV3Store, V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { electionKey } from "../../src/store/etcd/keys.ts";
import type { Claim, StoreEvent } from "../../src/store/store.ts";
import { FakeClock, seededRandom, settle } from "../support/clock.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { EtcdModel } from "../support/etcd_model.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { claim, isPut, keyOf, none, soon, value, watch } from "./harness.ts";

const PREFIX = "/coreos.com/network";
const few = parseNetworkConfig(
  '{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:3::/48", "IPv6SubnetMax": "fd00:3:0:3::"}',
);
const A = "2001:db8::a";
const B = "2001:db8::b";

function record6(address: string): LeaseRecord {
  return { publicIp: null, publicIpv6: parseIp(address), backendType: "host-gw" };
}

function claim6(address: string): Claim {
  return { config: few, self: claimant(address), record: record6(address), previous: none };
}

interface Cluster {
  readonly model: EtcdModel;
  readonly clock: FakeClock;
  readonly lines: string[];
  store(): V3Store;
}

function test(name: string, body: (cluster: Cluster) => Promise<void>): void {
  Deno.test(`etcd3, IPv6 alone: ${name}`, async () => {
    const clock = new FakeClock();
    const model = new EtcdModel(clock);
    const stores: V3Store[] = [];
    const lines: string[] = [];
    const log = recordingLog(lines);
    const store = () => {
      const options = { prefix: PREFIX, previous: none, clock, random: seededRandom(1), log };
      stores.push(new V3Store(model.connect(), options));
      return stores.at(-1)!;
    };
    try {
      await body({ model, clock, lines, store });
    } finally {
      for (const each of stores) await each[Symbol.asyncDispose]();
    }
  });
}

const misplaced = (n: number, form = "") => `${PREFIX}/subnets/${form}fd00:3:0:${n}::-64`;

test("nothing of ours stands where upstream reads and can't bear it", async ({ model, store }) => {
  const lease = await store().acquire(claim6(A), soon());
  await store().acquire(claim("192.168.0.1"), soon());
  assert(model.keys.has(`${PREFIX}/subnet6/${keyOf(lease)}`));
  for (const key of [...model.keys.keys(), electionKey(PREFIX)]) {
    // Upstream's range is all that begins so, without a slash; its recogniser wants IPv4 at its beginning.
    if (key.startsWith(`${PREFIX}/subnets`)) {
      assertMatch(key, /^\/coreos\.com\/network\/subnets\/[\d.]+-\d+$/);
    }
  }
});

for (const form of ["", "0.0.0.0-0&"]) {
  test(`what stands at "subnets/${form}fd00…" is moved by its host, and by nobody else`, async (cluster) => {
    const { model, lines, store } = cluster;
    model.put(misplaced(2, form), encodeRecord(record6(A)), model.grant(80_000).id);
    model.put(misplaced(1), encodeRecord(record6(B)), model.grant(80_000).id);
    const lease = await store().acquire(claim6(A), soon());
    assertEquals(keyOf(lease), "fd00:3:0:2::-64");
    assertEquals([...model.keys.keys()], [misplaced(1), `${PREFIX}/subnet6/fd00:3:0:2::-64`]);
    assert(lines.some((line) => line.includes("moving it")), lines.join("\n"));
    // What is left of B keeps its subnet, and tells who has to be upgraded.
    assertEquals(keyOf(await store().acquire(claim6("2001:db8::c"), soon())), "fd00:3:0:3::-64");
    await assertRejects(() => store().acquire(claim6("2001:db8::d"), soon()), Failure, "out of subnets");
    const { leases, unreadable } = await store().list();
    assertEquals([leases.length, unreadable.map(({ key }) => key)], [2, ["subnets/fd00:3:0:1::-64"]]);
    assertMatch(unreadable[0]!.reason, /start 2001:db8::b with this release, or remove the key/);
  });
}

test("a watch tells of a misplaced key and of its end, and of the record beside it", async (cluster) => {
  const { model, store } = cluster;
  await using events = watch(store());
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  model.put(misplaced(2), encodeRecord(record6(A)));
  await events.until("the key", ({ type }) => type === "unreadable");
  model.put(`${PREFIX}/subnet6/fd00:3:0:2::-64`, encodeRecord(record6(A)));
  await events.until("the record", isPut("fd00:3:0:2::-64"));
  model.delete(misplaced(2));
  const gone = await events.until("its end", ({ type }) => type === "gone");
  assert(gone.type === "gone" && gone.key === "subnets/fd00:3:0:2::-64");
  assert(!events.seen.some(({ type }) => type === "delete"));
});

test("what stands between the two places is nobody's business", async ({ model, clock, store, lines }) => {
  model.put(`${PREFIX}/subnet6/fd00:3:0:2::-64`, encodeRecord(record6(A)));
  await using events = watch(store());
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  for (const name of ["subnet6s/x", "subnetfoo", "subnet6", "subnets", "subnets7/x"]) {
    model.put(`${PREFIX}/${name}`, "{}");
  }
  model.put(`${PREFIX}/subnets/10.3.7.0-24`, value("192.168.0.7"));
  await events.until("a record after them", isPut("10.3.7.0-24"));
  model.delete(`${PREFIX}/subnetfoo`);
  for (let i = 0; i < 20; i++) {
    await clock.advance(60_000);
    await settle();
  }
  assertEquals(events.seen.map(({ type }) => type), ["snapshot", "put"], lines.join("\n"));
  const { leases, unreadable } = await store().list();
  assertEquals([leases.map(keyOf), unreadable], [["fd00:3:0:2::-64", "10.3.7.0-24"], []]);
});

const NAME = "overlay-host";
const PASSWORD = "secret";
const ROOT = "--user=root:r00t";

etcdTest(
  "etcd3, IPv6 alone: a role that permits subnets/ only is enough for IPv4, and said once",
  async () => {
    await using etcd = await EtcdCluster.start();
    await etcd.enableUsers(NAME, PASSWORD, PREFIX);
    const role = (...words: string[]) => etcd.ctl(ROOT, "role", ...words);
    await role("revoke-permission", "overlay", PREFIX, "--prefix=true");
    await role("grant-permission", "overlay", "--prefix=true", "readwrite", `${PREFIX}/subnets/`);
    const lines: string[] = [];
    const known = { username: NAME, password: PASSWORD, log: recordingLog(lines) };
    const warned = () => lines.filter((line) => line.startsWith("warn: read"));
    await using store = await openV3Store(flags(etcd.endpoints, known));
    await using events = watch(store);
    const lease = await store.acquire(claim("192.168.0.1"), soon());
    await events.until("our lease", isPut(keyOf(lease)));
    assertEquals((await store.list()).leases.length, 1);
    assertEquals(warned().length, 1);
    const refusal = await assertRejects(() => store.acquire(claim6(A), soon()), Failure);
    assertMatch(refusal.message, /subnet6\/.*" in etcd: permission denied; give the etcd user a role/);

    const cure = /etcdctl role grant-permission ROLE --prefix=true readwrite (\S+)$/.exec(warned()[0]!)!;
    await role("grant-permission", "overlay", "--prefix=true", "readwrite", cure[1]!);
    const six = await store.acquire(claim6(A), soon());
    // In the list with which everything is read anew, or after it.
    const listed = (event: StoreEvent) =>
      event.type === "snapshot" && event.leases.some((each) => keyOf(each) === keyOf(six));
    await events.until("the lease of IPv6 alone", (event) => listed(event) || isPut(keyOf(six))(event));
    await store.release(six);
    await events.until("its end", ({ type }) => type === "delete");
    assert(lines.some((line) => line.startsWith("info: etcd lets us read")), lines.join("\n"));
    assertEquals(warned().length, 1);

    await role("revoke-permission", "overlay", cure[1]!, "--prefix=true");
    await assertRejects(() => store.list(), Failure, "permission denied");
  },
);
