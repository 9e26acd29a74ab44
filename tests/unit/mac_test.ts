/** Ethernet addresses: spellings, what a VTEP can have, and derived ones. */
import { assert, assertEquals } from "@std/assert";
import { ip, parseIp } from "../../src/model/ip.ts";
import { deriveMac, isUsableMac, parseMac } from "../../src/model/mac.ts";

Deno.test("all three spellings are read, lower case with colons comes out", () => {
  for (const spelling of ["C6:D2:32:6F:8F:44", "c6-d2-32-6f-8f-44", "c6d2.326f.8f44"]) {
    assertEquals(parseMac(spelling), "c6:d2:32:6f:8f:44");
  }
});

for (
  const wrong of [
    "",
    "c6:d2:32:6f:8f",
    "c6:d2:32:6f:8f:44:00",
    "c6:d2-32:6f:8f:44",
    "c6d2326f8f44",
    "g6:d2:32:6f:8f:44",
    "c6:d2:32:6f:8f:44\n",
  ]
) {
  Deno.test(`no MAC address: ${JSON.stringify(wrong)}`, () => assertEquals(parseMac(wrong), null));
}

Deno.test("a VTEP's address is unicast and not zero", () => {
  assert(isUsableMac("02:00:00:00:00:01"));
  assert(
    !isUsableMac("00:00:00:00:00:00") && !isUsableMac("ff:ff:ff:ff:ff:ff") &&
      !isUsableMac("01:00:5e:00:00:01"),
  );
});

Deno.test("derived addresses are local, unicast, stable, and differ by host and VNI", () => {
  const seen = new Set<string>();
  for (let host = 0; host < 5_000; host++) {
    for (const vni of [1, 2, 4096]) {
      const mac = deriveMac(ip(4, 0x0a000000n + BigInt(host)), vni);
      assertEquals(parseMac(mac), mac);
      assertEquals(parseInt(mac.slice(0, 2), 16) & 3, 2);
      seen.add(mac);
    }
  }
  assertEquals(seen.size, 15_000);
  assertEquals(deriveMac(parseIp("192.168.64.3")!, 1), deriveMac(parseIp("192.168.64.3")!, 1));
  assert(deriveMac(parseIp("fd00::1")!, 1) !== deriveMac(parseIp("fd00::2")!, 1));
});
