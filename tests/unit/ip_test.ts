/** IP addresses: text, bytes and arithmetic of both families. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  addToIp,
  bits,
  type Family,
  formatIp,
  ip,
  ipBytes,
  ipFromBytes,
  isUnspecified,
  parseIp,
  sameIp,
} from "../../src/model/ip.ts";

const text = (address: string) => {
  const parsed = parseIp(address);
  return parsed && formatIp(parsed);
};

Deno.test("IPv4 text", () => {
  assertEquals(parseIp("192.168.0.1"), ip(4, 0xc0a80001n));
  for (const address of ["0.0.0.0", "1.2.3.4", "255.255.255.255"]) assertEquals(text(address), address);
});

Deno.test("IPv6 text is RFC 5952", () => {
  assertEquals(parseIp("fd00::1"), ip(6, (0xfdn << 120n) | 1n));
  assertEquals(text("FD00:0:0:0:0:0:0:1"), "fd00::1");
  assertEquals(text("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
  assertEquals(text("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");
  assertEquals(text("1:0:0:2:0:0:0:3"), "1:0:0:2::3");
  assertEquals(text("::ffff:1.2.3.4"), "::ffff:102:304");
  for (const address of ["::", "::1", "1::", "fe80::1:2:3:4"]) assertEquals(text(address), address);
});

for (
  const wrong of [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.04",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.4/24",
    "1.2.3.-4",
    "0x1.2.3.4",
    "１.2.3.4",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "::1.2.3",
    "::1.2.3.4:5",
    "1.2.3.4::",
    ":1",
    "1:",
  ]
) {
  Deno.test(`no address: ${JSON.stringify(wrong)}`, () => assertEquals(parseIp(wrong), null));
}

Deno.test("addresses are equal by family and value", () => {
  assert(sameIp(parseIp("1.2.3.4"), ip(4, 0x01020304n)));
  assert(!sameIp(ip(4, 1n), ip(6, 1n)));
  assert(sameIp(null, null) && !sameIp(null, ip(4, 1n)) && !sameIp(ip(4, 1n), null));
  assert(isUnspecified(ip(4, 0n)) && isUnspecified(parseIp("::")!) && !isUnspecified(ip(6, 1n)));
});

Deno.test("arithmetic wraps at the end of the address space", () => {
  assertEquals(formatIp(addToIp(parseIp("10.0.0.255")!, 1n)), "10.0.1.0");
  assertEquals(formatIp(addToIp(parseIp("255.255.255.255")!, 1n)), "0.0.0.0");
  assertEquals(formatIp(addToIp(parseIp("::")!, -1n)), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
});

const address = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc.bigInt({ min: 0n, max: (1n << BigInt(bits(family))) - 1n }).map((value) => ip(family, value))
);

Deno.test("every address comes back from its text and its bytes", () => {
  fc.assert(fc.property(address, (a) => {
    assertEquals(parseIp(formatIp(a)), a);
    assertEquals(ipFromBytes(a.family, ipBytes(a)), a);
  }));
});

Deno.test("no text does anything but parse or not", () => {
  const near = fc.stringMatching(/^[0-9a-f:.]{0,24}$/);
  fc.assert(
    fc.property(fc.oneof(near, fc.string(), fc.ipV6(), fc.ipV4()), (input) => {
      const parsed = parseIp(input);
      if (parsed !== null) assertEquals(parseIp(formatIp(parsed)), parsed);
    }),
    { numRuns: 2_000 },
  );
});
