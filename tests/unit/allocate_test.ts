/** Which subnets are free, and which one a host gets. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { chooseSubnets, compatible, conflicting, freeSubnets } from "../../src/model/allocate.ts";
import type { Subnets } from "../../src/model/lease.ts";
import { parseNetworkConfig, subnetCount } from "../../src/model/parse_config.ts";
import { formatPrefix, overlaps, parsePrefix, type Prefix } from "../../src/model/prefix.ts";
import { seededRandom } from "../support/clock.ts";

const p = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  assert(parsed !== null, text);
  return parsed;
};
const subnets = (
  v4: string | null,
  v6: string | null = null,
): Subnets => ({ v4: v4 && p(v4), v6: v6 && p(v6) } as Subnets);
const config = parseNetworkConfig(
  '{"Network": "10.3.0.0/16", "SubnetMin": "10.3.4.0", "SubnetMax": "10.3.20.0"}',
);
const dual = parseNetworkConfig('{"Network": "10.3.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00::/48"}');
const only6 = parseNetworkConfig('{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00::/48"}');

Deno.test("a subnet fits in range, on both conditions, in every enabled family and no other", () => {
  assert(compatible(subnets("10.3.4.0/24"), config));
  assert(compatible(subnets("10.3.20.0/24"), config));
  assert(!compatible(subnets("10.3.3.0/24"), config));
  assert(!compatible(subnets("10.3.21.0/24"), config));
  assert(!compatible(subnets("10.3.4.0/25"), config));
  assert(!compatible(subnets("10.3.4.0/24", "fd00:0:0:1::/64"), config));
  assert(compatible(subnets("10.3.4.0/24", "fd00:0:0:1::/64"), dual));
  assert(!compatible(subnets("10.3.4.0/24", "fd00::/64"), dual));
  assert(!compatible(subnets("10.3.4.0/24"), dual));
  assert(compatible(subnets(null, "fd00:0:0:1::/64"), only6));
  assert(!compatible(subnets("10.3.4.0/24", "fd00:0:0:1::/64"), only6));
});

Deno.test("free subnets are the first ones that overlap nothing, whatever its size", () => {
  const taken = [
    "10.3.4.0/24",
    "10.3.6.128/25",
    "10.3.8.0/22",
    "10.3.8.0/24",
    "10.3.13.0/30",
    "10.3.13.64/26",
    "fd00::/64",
  ];
  const free = freeSubnets(config.v4!, taken.map(p)).map(formatPrefix);
  assertEquals(free, [5, 7, 12, 14, 15, 16, 17, 18, 19, 20].map((n) => `10.3.${n}.0/24`));
  assertEquals(freeSubnets(config.v4!, [p("10.0.0.0/8")]), []);
  assertEquals(freeSubnets(config.v4!, [], 2).map(formatPrefix), ["10.3.4.0/24", "10.3.5.0/24"]);
});

Deno.test("the end of the address space is an end", () => {
  const last = parseNetworkConfig('{"Network": "255.255.255.0/24"}').v4!;
  assertEquals(freeSubnets(last, []).length, 3);
  assertEquals(freeSubnets(last, [p("255.255.255.192/26")]).length, 2);
  const last6 = parseNetworkConfig('{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "ffff::/16"}')
    .v6!;
  assertEquals(freeSubnets(last6, [p("ffff::/16")]), []);
});

Deno.test("ten thousand leases and a huge IPv6 range are no work", () => {
  const large = parseNetworkConfig(
    '{"Network": "10.0.0.0/8", "EnableIPv6": true, "IPv6Network": "fd00::/8"}',
  );
  const taken = Array.from({ length: 20_000 }, (_, i) => p(`10.${i >> 8}.${i & 255}.0/24`));
  const [first] = freeSubnets(large.v4!, taken);
  assertEquals(formatPrefix(first!), "10.78.32.0/24");
  assertEquals(freeSubnets(large.v6!, [p("fd00::/9")]).length, 100);
});

Deno.test("one of the first hundred is drawn, each as likely", () => {
  const wide = parseNetworkConfig('{"Network": "10.0.0.0/8"}');
  const random = seededRandom(42);
  const drawn = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const chosen = chooseSubnets(wide, [], random);
    assert("v4" in chosen && chosen.v4 !== null && chosen.v6 === null);
    const text = formatPrefix(chosen.v4);
    drawn.set(text, (drawn.get(text) ?? 0) + 1);
  }
  assertEquals(drawn.size, 100);
  assert(drawn.has("10.0.1.0/24") && drawn.has("10.0.100.0/24"));
  assert([...drawn.values()].every((n) => n > 100 && n < 300), `${[...drawn.values()]}`);
});

Deno.test("the preferred subnet is taken where it fits and is free, each family by itself", () => {
  const random = seededRandom(1);
  const wanted = subnets("10.3.77.0/24", "fd00:0:0:77::/64");
  assertEquals(chooseSubnets(dual, [], random, { preferred: wanted }), wanted);
  const half = chooseSubnets(dual, [subnets("10.3.77.0/24")], random, { preferred: wanted });
  assert("v4" in half && formatPrefix(half.v4!) !== "10.3.77.0/24");
  assertEquals(half.v6, wanted.v6);
  const outside = chooseSubnets(config, [], random, { preferred: subnets("10.9.77.0/24") });
  assert("v4" in outside && overlaps(outside.v4!, config.v4!.network));
});

Deno.test("no subnet left says in which family", () => {
  const chosen = chooseSubnets(dual, [subnets("10.3.1.0/24", "fd00::/48")], seededRandom(1));
  assert("exhausted" in chosen);
  assertEquals(chosen.exhausted, dual.v6!);
});

Deno.test("two hosts conflict where they share an address of either family", () => {
  assert(conflicting(subnets("10.3.4.0/24"), subnets("10.3.4.128/25")));
  assert(conflicting(subnets("10.3.4.0/24", "fd00::/64"), subnets("10.3.5.0/24", "fd00::/64")));
  assert(!conflicting(subnets("10.3.4.0/24"), subnets("10.3.5.0/24")));
  assert(!conflicting(subnets("10.3.4.0/24"), subnets(null, "fd00::/64")));
});

Deno.test("free subnets are exactly those that a naive search finds", () => {
  const network = parseNetworkConfig('{"Network": "10.3.0.0/20", "SubnetLen": 26}').v4!;
  const all = freeSubnets(network, [], 1_000);
  assertEquals(BigInt(all.length), subnetCount(network));
  const taken = fc.array(
    fc.tuple(fc.nat(0xfff), fc.integer({ min: 18, max: 31 }))
      .map(([low, length]) => p(`10.3.${low >> 8}.${low & 255}/${length}`)),
    { maxLength: 30 },
  );
  fc.assert(fc.property(taken, (taken) => {
    const naive = all.filter((subnet) => !taken.some((other) => overlaps(other, subnet)));
    assertEquals(freeSubnets(network, taken, 1_000), naive);
  }));
});
