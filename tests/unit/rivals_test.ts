/** Other hosts that claim what is ours: who counts as alive, and for how long. */
import { assert, assertEquals } from "@std/assert";
import { RivalWatch } from "../../src/control/rival_watch.ts";
import { describeRival, hasOurMac, type Own, Rivals } from "../../src/control/rivals.ts";
import { describeSubnets, type Lease } from "../../src/model/lease.ts";
import { joined } from "../../src/store/etcd/both/lease.ts";
import { asMirror } from "../../src/store/etcd/both/mirror.ts";
import type { StoreEvent } from "../../src/store/store.ts";
import { FakeClock } from "../support/clock.ts";
import { lease, subnets } from "../support/hosts.ts";
import { claimant } from "../support/identity.ts";

const OURS = "192.168.64.11";
const MAC = "02:00:00:00:00:11";

function of(name: string | null, subnet: string, address: string, mac = "02:00:00:00:00:99"): Lease {
  const plain = lease(subnet, address, mac);
  if (name === null) return plain;
  const { host, run } = claimant(name);
  return { ...plain, record: { ...plain.record, mark: { host, run, turn: 1, after: null } } };
}

const record = of("own", "10.1.15.0/24", OURS, MAC);
const own: Own = { id: claimant("own").host, subnets: subnets("10.1.15.0/24"), record: record.record };
const put = (lease: Lease): StoreEvent => ({ type: "put", lease });
const snapshot = (...leases: Lease[]): StoreEvent => ({ type: "snapshot", leases, unreadable: [] });
const alive = (rivals: Rivals, ...all: Lease[]) =>
  rivals.living(own, () => all).map(({ subnets }) => describeSubnets(subnets));

Deno.test("rivals: what stands at our address when we come may be left over; what is written later is alive", () => {
  const rivals = new Rivals();
  const old = of("old", "10.1.20.0/24", OURS);
  rivals.take(snapshot(record, old, of("far", "10.1.21.0/24", "192.168.64.12")), own);
  assertEquals(alive(rivals), []);
  // Listed again, as it stood.
  rivals.take(snapshot(record, old), own);
  assertEquals(alive(rivals), []);
  rivals.take(put({ ...old, version: "renewed" }), own);
  assertEquals(alive(rivals), ["10.1.20.0/24"]);
  // Alive once, alive as long as it stands.
  rivals.take(snapshot(record, { ...old, version: "renewed" }), own);
  assertEquals(alive(rivals), ["10.1.20.0/24"]);
  rivals.take({ type: "delete", subnets: old.subnets }, own);
  assertEquals(alive(rivals), []);
});

Deno.test("rivals: written while the watch was away is alive as well, and so is what is new then", () => {
  const rivals = new Rivals();
  const old = of(null, "10.1.20.0/24", OURS);
  rivals.take(snapshot(old), own);
  rivals.take(snapshot({ ...old, version: "rewritten" }, of("new", "10.1.21.0/24", OURS)), own);
  assertEquals(alive(rivals), ["10.1.20.0/24", "10.1.21.0/24"]);
  rivals.take(snapshot(record), own);
  assertEquals(alive(rivals), []);
});

Deno.test("rivals: what a host left behind when it took another subnet is none", () => {
  const rivals = new Rivals();
  rivals.take(snapshot(), own);
  const left = { ...of("other", "10.1.31.0/24", OURS), created: 5 };
  rivals.take(put(left), own);
  assertEquals(alive(rivals, left), ["10.1.31.0/24"]);
  assertEquals(alive(rivals, left, { ...of("other", "10.1.32.0/24", "192.168.64.12"), created: 6 }), []);
  assertEquals(alive(rivals, left, { ...of("third", "10.1.32.0/24", "192.168.64.12"), created: 6 }), [
    "10.1.31.0/24",
  ]);
  assertEquals(alive(rivals, { ...of("other", "10.1.32.0/24", "192.168.64.12"), created: 4 }, left), [
    "10.1.31.0/24",
  ]);
});

Deno.test("rivals: our own records, at whatever subnets, and those of other addresses are none", () => {
  const rivals = new Rivals();
  rivals.take(snapshot(), own);
  rivals.take(put(record), own);
  rivals.take(put(of("own", "10.1.30.0/24", OURS)), own);
  rivals.take(put(of("other", "10.1.31.0/24", "192.168.64.12")), own);
  assertEquals(alive(rivals), []);
  const moved = of("other", "10.1.31.0/24", OURS);
  rivals.take(put(moved), own);
  assertEquals(alive(rivals), ["10.1.31.0/24"]);
  rivals.take(put(of("other", "10.1.31.0/24", "192.168.64.13")), own);
  assertEquals(alive(rivals), []);
});

Deno.test("rivals: with another address of ours those at the old one are none any more", () => {
  const rivals = new Rivals();
  rivals.take(snapshot(), own);
  rivals.take(put(of("other", "10.1.31.0/24", OURS)), own);
  const there = of("own", "10.1.15.0/24", "192.168.64.50", MAC);
  // Before any event tells of the move.
  assertEquals(rivals.living({ ...own, record: there.record }, () => []), []);
  rivals.take(put(there), { ...own, record: there.record });
  assertEquals(rivals.living({ ...own, record: there.record }, () => []), []);
});

Deno.test("rivals: what stands at our new address when we come there may be left over, too", () => {
  const rivals = new Rivals();
  rivals.take(snapshot(), own);
  const there = { ...own, record: of("own", "10.1.15.0/24", "192.168.64.50", MAC).record };
  const old = of("old", "10.1.31.0/24", "192.168.64.50");
  const living = () => rivals.living(there, () => []).length;
  rivals.take(snapshot(old), there);
  assertEquals(living(), 0);
  rivals.take(put({ ...old, version: "renewed" }), there);
  assertEquals(living(), 1);
});

Deno.test("rivals: told with both ids, and what to do", () => {
  const text = describeRival(of("other", "10.1.31.0/24", OURS), own);
  for (const name of ["other", "own"]) assert(text.includes(`id ${claimant(name).host.slice(0, 8)}…`), text);
  assert(text.includes("10.1.31.0/24") && text.includes(OURS) && text.includes("-public-ip"), text);
  assert(!describeRival(of(null, "10.1.31.0/24", OURS), own).includes("(id "));
});

Deno.test("rivals: our MAC in a record of another host's, of either family", () => {
  assert(hasOurMac(of("other", "10.1.31.0/24", "192.168.64.12", MAC), own));
  assert(hasOurMac(of(null, "10.1.31.0/24", "192.168.64.12", MAC), own));
  const six = of("other", "10.1.31.0/24", "192.168.64.12");
  const data = { VNI: 1, VtepMAC: MAC };
  assert(hasOurMac({ ...six, record: { ...six.record, backendV6Data: data } }, own));
  assert(!hasOurMac(of("own", "10.1.31.0/24", "192.168.64.12", MAC), own));
  assert(!hasOurMac(record, own));
  assert(!hasOurMac(six, own));
  const { backendData: _, ...bare } = record.record;
  assert(!hasOurMac({ ...six, record: { ...six.record, backendData: 7 } }, { ...own, record: bare }));
});

Deno.test("rivals: what a bridge makes of a record in etcd's other API is no sign of life, the record's renewal is", () => {
  const left = of(null, "10.1.20.0/24", OURS);
  const mirror = { ...left, record: asMirror(left.record, "v2") };
  const at = (v2: string, v3: string | null) =>
    joined({ v2: { ...left, version: v2 }, v3: v3 === null ? null : { ...mirror, version: v3 } });
  const rivals = new Rivals();
  rivals.take(snapshot(record, at("5", null)), own);
  rivals.take(put(at("5", "7/1")), own);
  rivals.take(put(at("5", "9/1")), own);
  rivals.take(snapshot(record, at("5", null)), own);
  assertEquals(alive(rivals), []);
  rivals.take(put(at("11", "9/1")), own);
  assertEquals(alive(rivals), ["10.1.20.0/24"]);
});

Deno.test("rivals: each that lives is answered once, not more often than once a minute", async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const at = (message: string) => void said.push(message);
  const log = { debug: at, info: at, warn: at, error: at };
  let [met, macs] = [0, 0];
  const watch = new RivalWatch({
    log,
    clock,
    own: () => own,
    leases: () => [],
    macTaken: () => macs++,
    met: () => met++,
  });
  watch.take(snapshot());
  const one = of("one", "10.1.31.0/24", OURS);
  watch.take(put(one));
  watch.take(put({ ...one, version: "answered" }));
  watch.tell();
  assertEquals([met, watch.reasons.length, macs], [1, 1, 0]);
  watch.take(put(of("two", "10.1.32.0/24", OURS)));
  assertEquals([met, watch.reasons.length], [1, 2]);
  await clock.advance(60_000);
  watch.tell();
  watch.tell();
  assertEquals(met, 2);
  await clock.advance(600_000);
  watch.tell();
  assertEquals(met, 2);
  watch.take(snapshot());
  assertEquals([watch.reasons, said.at(-1)?.replace(/ after.*/, "")], [
    [],
    "nobody else publishes our address any more",
  ]);
  watch.take(put(of(null, "10.1.33.0/24", "192.168.64.77", MAC)));
  assertEquals(macs, 1);
});

Deno.test("rivals: where there is none, nobody asks for all leases", () => {
  const rivals = new Rivals();
  rivals.take(snapshot(of("old", "10.1.20.0/24", OURS), of("far", "10.1.21.0/24", "192.168.64.12")), own);
  const all = () => {
    throw new Error("as many as there are peers");
  };
  assertEquals(rivals.living(own, all), []);
});

Deno.test("rivals: whoever had our MAC before it was ours is found as well, once", () => {
  const clock = new FakeClock();
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const other = of("other", "10.1.33.0/24", "192.168.64.77", "02:00:00:00:00:88");
  let [self, macs] = [own, 0];
  const watch = new RivalWatch({
    log: quiet,
    clock,
    own: () => self,
    leases: () => [record, other],
    macTaken: () => macs++,
    met: () => {},
  });
  watch.take(snapshot(record, other));
  assertEquals(macs, 0);
  self = { ...own, record: of("own", "10.1.15.0/24", OURS, "02:00:00:00:00:88").record };
  watch.tell();
  watch.tell();
  assertEquals(macs, 1);
  // Its subnet was ours, so that it was no other host's record.
  self = { ...own, subnets: other.subnets, record: other.record };
  watch.take(put(other));
  assertEquals(macs, 1);
  self = { ...own, record: other.record };
  watch.tell();
  assertEquals(macs, 2);
});
