/**
 * The part of the conformance suite that is about families: hosts with IPv6 alone, beside hosts with both, and whatever a store
 * writes read back by everybody.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { conflicting } from "../../src/model/allocate.ts";
import { Failure } from "../../src/model/errors.ts";
import { bits, type Family, ip, parseIp } from "../../src/model/ip.ts";
import { describeSubnets, type Lease, type LeaseRecord, type Subnets } from "../../src/model/lease.ts";
import { encodeRecord, parseAnyLeaseKey } from "../../src/model/lease_codec.ts";
import type { NetworkConfig } from "../../src/model/network_config.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { containsPrefix, parsePrefix, type Prefix, prefix } from "../../src/model/prefix.ts";
import { type Claim, isLost, type Store } from "../../src/store/store.ts";
import { claimant } from "../support/identity.ts";
import {
  type Harness,
  isDelete,
  isPut,
  isUnreadable,
  keyOf,
  none,
  ownValue,
  Reader,
  soon,
  watch,
} from "./harness.ts";

const six = parseNetworkConfig('{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:3::/48"}');
const few = parseNetworkConfig(
  '{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:3::/48", "IPv6SubnetMax": "fd00:3:0:3::"}',
);
const dual = parseNetworkConfig(
  '{"Network": "10.3.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:3::/48", "IPv6SubnetMax": "fd00:3:0:40::"}',
);
const A = "2001:db8::a";
const B = "2001:db8::b";
const TAKEN = "fd00:3:0:7::-64";

type Test = (title: string, body: (harness: Harness) => Promise<void>) => void;

/** @param supported false for a store that has no place for IPv6 alone */
export function families(test: Test, supported: boolean): void {
  test("what is written can be read back, of every family", (harness) => roundTrip(harness, supported));
  if (supported) alone(test);
  else refused(test);
}

/** A vxlan host's record with IPv6 alone; `v4` gives it the other family too. */
function record6(v6: string, v4: string | null = null, mac = macOf(v6)): LeaseRecord {
  const data = { VNI: 1, VtepMAC: mac };
  const publicIp = v4 === null ? null : parseIp(v4);
  const backendData = v4 === null ? {} : { backendData: data };
  return { publicIp, publicIpv6: parseIp(v6), backendType: "vxlan", ...backendData, backendV6Data: data };
}

/** The tunnel address of a host: each has its own. */
function macOf(v6: string): string {
  return `02:00:00:00:00:${v6.split(":").at(-1)!.padStart(2, "0")}`;
}

const value6 = (v6: string, v4: string | null = null) => encodeRecord(record6(v6, v4));

/** What the host of `claim6(v6)` writes of its record. */
const own6 = (v6: string) => ownValue(v6, undefined, 1, null, value6(v6));

function claim6(v6: string, config: NetworkConfig = six, previous: Subnets = none): Claim {
  return { config, self: claimant(v6), record: record6(v6), previous };
}

function claimBoth(v6: string, v4: string): Claim {
  return { config: dual, self: claimant(v6), record: record6(v6, v4), previous: none };
}

function alone(test: Test): void {
  test("IPv6 alone: written, found again by the next daemon, seen by others", async (harness) => {
    await using events = watch(await harness.store(B));
    await events.until("a snapshot", ({ type }) => type === "snapshot");
    const lease = await (await harness.store(A)).acquire(claim6(A), soon());
    assertEquals(lease.subnets.v4, null);
    assert(containsPrefix(parsePrefix("fd00:3::/48")!, lease.subnets.v6!));
    assertEquals(await harness.raw.get(keyOf(lease)), own6(A));
    await events.until("the lease", isPut(keyOf(lease)));
    const again = await (await harness.store(A)).acquire(claim6(A, six, lease.subnets), soon());
    assertEquals([keyOf(again), again.created], [keyOf(lease), lease.created]);
    const other = await (await harness.store(B)).acquire(claim6(B), soon());
    assert(!conflicting(other.subnets, lease.subnets));
    const { leases, unreadable } = await (await harness.store(B)).list();
    assertEquals([leases.map(keyOf).sort(), unreadable], [[keyOf(lease), keyOf(other)].sort(), []]);
  });

  test("IPv6 alone: the previous subnet where it is free, and never another's", async (harness) => {
    const wanted = parseAnyLeaseKey(TAKEN)!;
    const lease = await (await harness.store(A)).acquire(claim6(A, six, wanted), soon());
    assertEquals(keyOf(lease), TAKEN);
    const other = await (await harness.store(B)).acquire(claim6(B, six, wanted), soon());
    assert(keyOf(other) !== TAKEN);
    assertEquals(await harness.raw.get(TAKEN), own6(A));
  });

  test("IPv6 alone: renewed, published, lost to another, released", async (harness) => {
    const store = await harness.store(A);
    const lease = held(await store.renew(await store.acquire(claim6(A), soon())));
    const changed = record6(A, null, "02:00:00:00:00:99");
    const published = held(await store.publish(lease, changed));
    assertEquals(await harness.raw.get(keyOf(lease)), encodeRecord(changed));
    await harness.raw.put(keyOf(lease), value6(B), 600_000);
    const renewed = await store.renew(published);
    assert(isLost(renewed) && renewed.lost === "taken");
    assertEquals(renewed.by, record6(B));
    await store.release(published);
    assertEquals(await harness.raw.get(keyOf(lease)), value6(B));
    const own = await store.acquire(claim6(A), soon());
    await store.release(own);
    assertEquals(await harness.raw.get(keyOf(own)), null);
  });

  test("IPv6 alone: a reservation is its host's, and stays one", async (harness) => {
    await harness.raw.put(TAKEN, value6(A));
    const store = await harness.store(A);
    const lease = await store.acquire(claim6(A), soon());
    assertEquals([keyOf(lease), lease.expires], [TAKEN, null]);
    assertEquals(held(await store.renew(lease)).expires, null);
    assertEquals(await harness.raw.ttl(TAKEN), null);
  });

  test("IPv6 alone beside both families: 20 hosts at once share no subnet", async (harness) => {
    const claims = Array.from({ length: 20 }, (_, i) => {
      const address = `2001:db8::${i + 1}`;
      return i % 2 === 0 ? claim6(address) : claimBoth(address, `192.168.2.${i + 1}`);
    });
    const stores = await Promise.all(claims.map((_, i) => harness.store(`192.168.2.${i + 1}`)));
    const leases = await Promise.all(stores.map((store, i) => store.acquire(claims[i]!, soon())));
    const pairs = leases.flatMap((a, i) => leases.slice(i + 1).map((b) => [a, b] as const));
    assert(!pairs.some(([a, b]) => conflicting(a.subnets, b.subnets)), leases.map(keyOf).join(" "));
    assertEquals((await stores[0]!.list()).leases.length, 20);
  });

  test("a host that gives IPv4 up keeps its IPv6 subnet, and again when it takes it back", async (harness) => {
    const store = await harness.store(A);
    const both = await store.acquire(claimBoth(A, "192.168.0.1"), soon());
    const six = await store.acquire(claim6(A), soon());
    assertEquals(six.subnets, { v4: null, v6: both.subnets.v6 });
    assertEquals(await harness.raw.get(keyOf(both)), null);
    const back = await store.acquire(claimBoth(A, "192.168.0.1"), soon());
    assertEquals(back.subnets.v6, both.subnets.v6);
    assertEquals((await store.list()).leases.map(keyOf), [keyOf(back)]);
  });

  test("IPv6 alone: a watch tells of both kinds of records, in one snapshot", async (harness) => {
    await harness.raw.put(TAKEN, value6(A), 600_000);
    await harness.raw.put("10.3.8.0-24&fd00:3:0:8::-64", value6(B, "192.168.0.2"), 600_000);
    await using events = watch(await harness.store(A));
    const first = await events.until("a snapshot", () => true);
    assert(first.type === "snapshot");
    assertEquals(first.leases.map(keyOf).sort(), ["10.3.8.0-24&fd00:3:0:8::-64", TAKEN]);
    await harness.raw.put("fd00:3:0:9::-64", value6("2001:db8::9"), 600_000);
    await events.until("the new lease", isPut("fd00:3:0:9::-64"));
    await harness.raw.put(TAKEN, "{", 600_000);
    await events.until("the broken value", isUnreadable(TAKEN));
    await harness.raw.put(TAKEN, value6(A), 600_000);
    await events.until("the repaired value", isPut(TAKEN));
    await harness.raw.delete(TAKEN);
    await events.until("the removal", isDelete(TAKEN));
    assertEquals(events.seen.filter(({ type }) => type === "snapshot").length, 1);
  });

  test("IPv6 alone: a record that can't be read keeps its subnet, and none left is said", async (harness) => {
    await harness.raw.put("fd00:3:0:1::-64", "not JSON", 600_000);
    await harness.raw.put("10.3.8.0-24&fd00:3:0:2::-64", value6(B, "192.168.0.2"), 600_000);
    const store = await harness.store(A);
    assertEquals(keyOf(await store.acquire(claim6(A, few), soon())), "fd00:3:0:3::-64");
    await assertRejects(() => store.acquire(claim6("2001:db8::c", few), soon()), Failure, "out of subnets");
  });
}

function refused(test: Test): void {
  test("IPv6 alone is refused, with the way out, and nothing is written", async (harness) => {
    await harness.setConfig('{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00:3::/48"}');
    const store = await harness.store(A);
    await using readings = new Reader((signal) => store.watchConfig(signal));
    const reading = await readings.until("a problem", () => true);
    assert(reading.type === "problem" && reading.error.includes("use --etcd-api=v3"), Deno.inspect(reading));
    await assertRejects(() => store.acquire(claim6(A), soon()), Failure, "use --etcd-api=v3");
    assertEquals((await store.list()).leases, []);
  });
}

/** Claims of random subnets and addresses: what the writer has, a list and a watch of others have as well. */
async function roundTrip(harness: Harness, supported: boolean): Promise<void> {
  const [writer, reader] = [await harness.store(A), await harness.store(B)];
  const shapes = [[4], [4, 6], ...supported ? [[6]] : []] as Family[][];
  const claims = fc.constantFrom(...shapes).chain((shape) => claimOf(shape));
  await fc.assert(
    fc.asyncProperty(claims, async (claim) => {
      const lease = await writer.acquire(claim, soon());
      const seen = [...await found(reader, claim), ...await told(reader, claim)];
      await writer.release(lease);
      assertEquals(lease.subnets, claim.previous);
      assertEquals(seen.map(withoutTime), [withoutTime(lease), withoutTime(lease)], keyOf(lease));
      assertEquals((await reader.list()).unreadable, []);
    }),
    { seed: 1, numRuns: 40 },
  );
}

async function found(store: Store, { previous }: Claim): Promise<Lease[]> {
  const wanted = describeSubnets(previous);
  return (await store.list()).leases.filter(({ subnets }) => describeSubnets(subnets) === wanted);
}

async function told(store: Store, { previous }: Claim): Promise<Lease[]> {
  const wanted = describeSubnets(previous);
  await using events = watch(store);
  const first = await events.until("a snapshot", ({ type }) => type === "snapshot");
  assert(first.type === "snapshot");
  return first.leases.filter(({ subnets }) => describeSubnets(subnets) === wanted);
}

function withoutTime({ subnets, record, created }: Lease): Partial<Lease> {
  return { subnets, record, created };
}

/** A claim on subnets drawn from a network that has them, with public addresses of the same families. */
function claimOf(shape: readonly Family[]): fc.Arbitrary<Claim> {
  const has = (family: Family) => shape.includes(family);
  const orNone = <T>(family: Family, arbitrary: fc.Arbitrary<T>) =>
    has(family) ? arbitrary : fc.constant(null);
  return fc.record({
    v4: orNone(4, subnet(4)),
    v6: orNone(6, subnet(6)),
    publicIp: orNone(4, address(4)),
    publicIpv6: orNone(6, address(6)),
  }).map(({ v4, v6, publicIp, publicIpv6 }) => {
    const data = { VNI: 1, VtepMAC: "02:00:00:00:00:01" };
    const record = {
      publicIp,
      publicIpv6,
      backendType: "vxlan",
      ...has(4) && { backendData: data },
      ...has(6) && { backendV6Data: data },
    };
    return { config: around(v4, v6), self: claimant("drawn"), record, previous: { v4, v6 } };
  });
}

/** Not 0.0.0.0 or `::`, which stand for none. */
function address(family: Family) {
  return fc.bigInt({ min: 1n, max: (1n << BigInt(bits(family))) - 1n }).map((value) => ip(family, value));
}

/** Long enough to leave room for a network around it. */
function subnet(family: Family): fc.Arbitrary<Prefix> {
  const length = family === 4 ? { min: 12, max: 30 } : { min: 20, max: 126 };
  return fc.tuple(address(family), fc.integer(length)).map(([ip, length]) => prefix(ip, length));
}

/** A network in which exactly these subnets can be had. */
function around(v4: Prefix | null, v6: Prefix | null): NetworkConfig {
  const network = (subnet: Prefix | null) =>
    subnet && {
      family: subnet.ip.family,
      network: prefix(subnet.ip, subnet.length - 4),
      subnetLen: subnet.length,
      subnetMin: subnet.ip,
      subnetMax: subnet.ip,
    };
  const backend = { type: "vxlan", members: { Type: "vxlan" } };
  return { v4: network(v4), v6: network(v6), backend, enableNftables: false };
}

function held(result: Awaited<ReturnType<Store["renew"]>>): Lease {
  assert(!isLost(result), `lost: ${Deno.inspect(result)}`);
  return result;
}
