/**
 * Work grows hardly faster than what there is, whatever anybody writes into the store. Measured as the ratio of two sizes that
 * are far apart, the best of three runs each, so that a busy machine does not matter.
 */
import { assert, assertEquals } from "@std/assert";
import { backends } from "../../src/backend/registry.ts";
import { desire } from "../../src/plan/desired.ts";
import { judgePeers } from "../../src/plan/peers.ts";
import { protectedBy } from "../../src/plan/protection.ts";
import { lossesOf } from "../../src/plan/shrink.ts";
import { diff } from "../../src/plan/diff.ts";
import { ip } from "../../src/model/ip.ts";
import { type Lease, prefixesOf } from "../../src/model/lease.ts";
import type { Observed } from "../../src/model/plan.ts";
import { overlaps, type Prefix, prefix } from "../../src/model/prefix.ts";
import { PrefixClaims, PrefixNesting } from "../../src/model/prefix_claims.ts";
import { PrefixCover } from "../../src/model/prefix_order.ts";
import { planMirrors } from "../../src/store/etcd/both/mirror_plan.ts";
import { seededRandom } from "../support/clock.ts";
import { host } from "../support/hosts.ts";

const SIZES = [500, 8_000] as const;
/** Sixteen times as many cost sixteen times as much, some more with sorting; 256 times where each is held against each. */
const MOST_RATIO = 90;

const six = {
  Network: "10.0.0.0/7",
  EnableIPv6: true,
  IPv6Network: "fd00:1::/32",
  Backend: { Type: "vxlan" },
};
const self = host(six, "11.255.255.0/24,fd00:1:ffff:ffff::/64");

function v4(index: number, length: number): Prefix {
  return prefix(ip(4, 0x0a000000n + BigInt(index)), length);
}

function v6(index: number, length: number): Prefix {
  return prefix(ip(6, (0xfd000001n << 96n) | (BigInt(index) << 64n) | BigInt(index * 7919)), length);
}

/** The subnets of the lease number i of n. */
type Shape = (i: number, n: number) => { v4: Prefix | null; v6: Prefix | null };

const shapes: Readonly<Record<string, Shape>> = {
  "of one length": (i) => ({ v4: v4(i << 8, 24), v6: null }),
  "half of them wider, beside the others": (i) => ({
    v4: i % 2 ? v4(i << 8, 24) : v4((1 << 23) + (i << 8), 23),
    v6: null,
  }),
  "the younger half around the older": (i, n) => ({
    v4: i < n / 2 ? v4(i << 8, 24) : v4((i - (n >> 1)) << 9, 23),
    v6: null,
  }),
  "of all lengths": (i) => ({ v4: v4(i * 997 & 0xffffff, 9 + i % 22), v6: null }),
  "inside each other, the narrowest first": (i) => ({
    v4: v4(Math.floor(i / 20) << 12, 32 - i % 20),
    v6: null,
  }),
  "of IPv6": (i) => ({ v4: null, v6: v6(i, 64) }),
  "of IPv6 of all lengths": (i) => ({ v4: null, v6: v6(i * 65_537, 40 + i % 85) }),
  "with one IPv4 subnet and an IPv6 subnet each": (i) => ({ v4: v4(0, 24), v6: v6(i, 64) }),
};

function leasesOf(shape: Shape, n: number): Lease[] {
  return Array.from({ length: n }, (_, i): Lease => {
    const mac = `02:00:${
      [24, 16, 8, 0].map((by) => (i >> by & 255).toString(16).padStart(2, "0")).join(":")
    }`;
    const record = {
      publicIp: ip(4, BigInt(0xac100000 + i)),
      publicIpv6: ip(6, (0xfd64n << 112n) | BigInt(i + 1)),
      backendType: "vxlan",
      backendData: { VtepMAC: mac },
      backendV6Data: { VtepMAC: mac },
    };
    return { subnets: shape(i, n), record, version: String(i), created: i, expires: null };
  });
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** @param prepare gives the work for a size */
function grows(what: string, prepare: (n: number) => () => void): void {
  const [small, large] = SIZES.map(prepare) as [() => void, () => void];
  // What takes hardly any time has no ratio.
  const base = Math.max(10, Math.min(...[1, 2, 3].map(() => timed(small))));
  const times: number[] = [];
  for (let run = 0; run < 3; run++) {
    times.push(timed(large));
    if (times.at(-1)! < MOST_RATIO * base) return;
  }
  throw new Error(`${what}: ${base.toFixed(0)} ms for ${SIZES[0]}, ${times.map(Math.round)} for ${SIZES[1]}`);
}

function standing(leases: readonly Lease[]): Observed[] {
  return desire(self, backends.get("vxlan")!, leases, []).objects.map((o) => ({ ...o, standing: "ours" }));
}

for (const [name, shape] of Object.entries(shapes)) {
  Deno.test(`leases ${name} are judged in n log n`, () => {
    grows("judge", (n) => {
      const leases = leasesOf(shape, n);
      return () => judgePeers(self, leases, "vxlan");
    });
  });
}

for (const name of ["of all lengths", "of IPv6"]) {
  const shape = shapes[name]!;

  Deno.test(`mirrors of leases ${name} are planned in n log n`, () => {
    grows("mirror", (n) => {
      const v2 = new Map(leasesOf(shape, n).map((lease) => [lease.version, lease]));
      const v3 = new Map(leasesOf(shape, n).map((lease) => [`other ${lease.version}`, lease]));
      return () => planMirrors({ v2, v3 });
    });
  });

  Deno.test(`what unreadable records ${name} protect, and how many peers go, is told in n log n`, () => {
    grows("protect", (n) => {
      const leases = leasesOf(shape, n);
      const observed = standing(leases);
      const subnets = leases.flatMap(({ subnets }) => prefixesOf(subnets));
      return () => observed.filter(protectedBy(subnets, observed));
    });
    grows("guard", (n) => {
      const observed = standing(leasesOf(shape, n));
      const plan = diff([], observed, { rules: new Map(), mayDelete: () => true });
      return () => lossesOf(plan, observed);
    });
  });
}

Deno.test("claims and covers answer as comparing each with each would", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 300; round++) {
    const all = Array.from(
      { length: 40 },
      () =>
        random.int(2) === 0
          ? v4(random.int(1 << 12), 20 + random.int(13))
          : prefix(ip(6, BigInt(random.int(1 << 12))), 116 + random.int(13)),
    );
    const claims = new PrefixClaims(new PrefixNesting(all));
    const claimed: Prefix[] = [];
    for (const p of all) {
      const found = claims.overlapping(p);
      assertEquals(found !== null, claimed.some((other) => overlaps(other, p)));
      assert(found === null || overlaps(found, p));
      if (found !== null) continue;
      claims.claim(p);
      claimed.push(p);
      const cover = new PrefixCover(claimed);
      for (const q of all) {
        assertEquals(cover.overlaps(q), claimed.some((other) => overlaps(other, q)));
        assertEquals(
          cover.contains(q),
          claimed.some((other) => overlaps(other, q) && other.length <= q.length),
        );
      }
    }
  }
});
