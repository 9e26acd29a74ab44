/** What a soak judges by: trends, floors, and what has to stand. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Sample } from "../support/soak/sampler.ts";
import { floorRise, growth, growthProblems, slope } from "../support/soak/trend.ts";
import { difference, wantedPeers } from "../support/soak/wanted.ts";

const points = (values: readonly number[]) => values.map((value, i) => ({ at: 10 * i, value }));

Deno.test("soak: a slope is the median of all slopes; outliers do not move it", () => {
  assertEquals(slope(points([0, 10, 20, 30, 40])), 1);
  assertEquals(slope(points([0, 10, 9_000, 30, 40, 50, 60])), 1);
  assertEquals(slope(points([5, 5, 900, 5, 5])), 0);
  assertEquals(growth(points([100, 110, 120])), 20);
  assertEquals([slope([]), growth(points([7]))], [0, 0]);
});

Deno.test("soak: many points are thinned, and the slope stays", () => {
  const many = Array.from({ length: 5_000 }, (_, i) => 3 * i + (i % 7));
  assert(Math.abs(slope(points(many)) - 0.3) < 0.01);
});

Deno.test("soak: a floor rises with what is kept, not with what comes and goes", () => {
  assertEquals(floorRise([30, 45, 31, 30, 38, 30, 44, 30, 52]), 0);
  assertEquals(floorRise([30, 31, 32, 33, 34, 35, 36, 37, 38]), 6);
});

function samples(change: (i: number) => Partial<Sample>): Sample[] {
  const standing = { routes: 2, neighbours: 2, fdb: 2, nexthops: 0, peers: 2 };
  const held = { memory: 100_000, descriptors: 30, threads: 8 };
  return Array.from(
    { length: 30 },
    (_, i) => ({ at: 5 * i, host: "h1", life: 1, ...held, ...standing, ...change(i) }),
  );
}

Deno.test("soak: what keeps memory, descriptors or threads is told, what does not is not", () => {
  assertEquals(growthProblems(samples((i) => ({ memory: 100_000 + 9_000 * (i % 3) }))), []);
  assertEquals(growthProblems(samples((i) => ({ descriptors: 30 + 9 * (i % 2) }))), []);
  const [memory] = growthProblems(samples((i) => ({ memory: 100_000 + 8_000 * i })));
  assertMatch(memory!, /^memory of h1 grew by 10\d\.\d MiB, more than 64\.0$/);
  const [descriptors] = growthProblems(samples((i) => ({ descriptors: 30 + i })));
  assertMatch(descriptors!, /^descriptors of h1's daemon 1 rose by 20, more than 4/);
  const [threads] = growthProblems(samples((i) => ({ threads: 8 + i })));
  assertMatch(threads!, /^threads of h1's daemon 1 rose by 20/);
});

Deno.test("soak: memory is judged by daemons that live long, and there have to be some", () => {
  assertMatch(growthProblems(samples((i) => ({ life: i })))[0]!, /no daemon lived long enough/);
});

const lease = (ip: string, mac: string) =>
  JSON.stringify({
    PublicIP: ip,
    PublicIPv6: null,
    BackendType: "vxlan",
    BackendData: { VNI: 1, VtepMAC: mac },
  });

Deno.test("soak: every lease but one's own asks for a route, a neighbour and an FDB entry", () => {
  const leases = new Map([
    ["10.1.7.0-24", lease("192.168.64.11", "02:00:00:00:00:01")],
    ["10.16.0.0-24", lease("172.16.0.1", "02:00:00:00:00:02")],
  ]);
  const wanted = wantedPeers(leases, "10.1.7.0-24", false);
  assertEquals(wanted, [
    "route 10.16.0.0/24 via 10.16.0.0 flannel.1 onlink proto 85",
    "neighbour 10.16.0.0 02:00:00:00:00:02 PERMANENT",
    "fdb 02:00:00:00:00:02 172.16.0.1 permanent",
  ]);
  assertEquals(difference(wanted, [...wanted].reverse()), []);
  assertEquals(difference(wanted, ["route blackhole", ...wanted.slice(1), wanted[1]!]), [
    `missing: ${wanted[0]}`,
    "too much: route blackhole",
    `too much: ${wanted[1]}`,
  ]);
});

Deno.test("soak: beyond 500 peers there are nexthop objects; below 400 never", () => {
  const many = (count: number) =>
    new Map(
      Array.from({ length: count }, (_, i) => [`10.${i >> 8}.${i & 255}.0-24`, lease("172.16.0.1", "m")]),
    );
  const objects = (count: number, already: boolean) =>
    wantedPeers(many(count), "", already).filter((line) => line.startsWith("nexthop")).length;
  assertEquals([objects(501, false), objects(500, false), objects(450, true), objects(399, true)], [
    501,
    0,
    450,
    0,
  ]);
});
