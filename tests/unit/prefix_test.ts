/** Prefixes: text, masking, containment and overlap of both families. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { bits, type Family, formatIp, ip, parseIp } from "../../src/model/ip.ts";
import {
  containsIp,
  containsPrefix,
  formatPrefix,
  overlaps,
  parseInterfaceAddress,
  parsePrefix,
  prefix,
  prefixEnd,
  prefixSize,
  samePrefix,
} from "../../src/model/prefix.ts";

const p = (text: string) => parsePrefix(text)!;

Deno.test("a prefix is masked, an address on a link is not", () => {
  assertEquals(formatPrefix(p("10.3.5.7/16")), "10.3.0.0/16");
  assertEquals(formatPrefix(p("fd00:1:2:3::4/48")), "fd00:1:2::/48");
  assertEquals(formatPrefix(p("1.2.3.4/0")), "0.0.0.0/0");
  assertEquals(formatPrefix(p("1.2.3.4/32")), "1.2.3.4/32");
  assertEquals(parseInterfaceAddress("10.1.74.1/24"), { address: parseIp("10.1.74.1")!, length: 24 });
});

for (
  const wrong of [
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "/8",
    "10.0.0.0/33",
    "fd00::/129",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0/8",
    "10.0.0.0/8/8",
    "10.0.0.0/8 ",
  ]
) {
  Deno.test(`no prefix: ${JSON.stringify(wrong)}`, () => assertEquals(parsePrefix(wrong), null));
}

Deno.test("size and end", () => {
  assertEquals(prefixSize(p("10.0.0.0/24")), 256n);
  assertEquals(prefixSize(p("::/0")), 1n << 128n);
  assertEquals(formatIp(prefixEnd(p("10.0.0.0/24"))), "10.0.1.0");
  assertEquals(formatIp(prefixEnd(p("255.0.0.0/8"))), "0.0.0.0");
});

Deno.test("overlap: equal, containing, disjoint, never across families", () => {
  assert(overlaps(p("10.0.0.0/8"), p("10.0.0.0/8")));
  assert(overlaps(p("10.0.0.0/8"), p("10.9.0.0/16")) && overlaps(p("10.9.0.0/16"), p("10.0.0.0/8")));
  assert(!overlaps(p("10.0.0.0/16"), p("10.1.0.0/16")));
  assert(!overlaps(p("0.0.0.0/0"), p("::/0")));
  assert(
    containsPrefix(p("10.0.0.0/8"), p("10.9.0.0/16")) && !containsPrefix(p("10.9.0.0/16"), p("10.0.0.0/8")),
  );
  assert(
    containsIp(p("10.0.0.0/8"), parseIp("10.255.255.255")!) &&
      !containsIp(p("10.0.0.0/8"), parseIp("11.0.0.0")!),
  );
  assert(!containsIp(p("::/0"), parseIp("10.0.0.1")!));
});

Deno.test("prefixes are equal by family, address and length", () => {
  assert(samePrefix(p("10.0.0.0/8"), p("10.1.0.0/8")) && !samePrefix(p("10.0.0.0/8"), p("10.0.0.0/9")));
  assert(!samePrefix(p("0.0.0.0/0"), p("::/0")) && samePrefix(null, null) && !samePrefix(null, p("::/0")));
});

Deno.test("every prefix comes back from its text and holds its first and last address", () => {
  const any = fc.constantFrom<Family>(4, 6).chain((family) =>
    fc.tuple(fc.bigInt({ min: 0n, max: (1n << BigInt(bits(family))) - 1n }), fc.nat(bits(family)))
      .map(([value, length]) => prefix(ip(family, value), length))
  );
  fc.assert(fc.property(any, any, (a, b) => {
    assertEquals(parsePrefix(formatPrefix(a)), a);
    assert(containsIp(a, a.ip) && containsIp(a, ip(a.ip.family, a.ip.value + prefixSize(a) - 1n)));
    assertEquals(overlaps(a, b), overlaps(b, a));
  }));
});
