/** Ethernet addresses: spellings, what a VTEP can have, and derived ones. */
import { claimant } from "../support/identity.ts";
import { assert, assertEquals } from "@std/assert";
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
      const mac = deriveMac(claimant(`host ${host}`).host, vni, 4);
      assertEquals(parseMac(mac), mac);
      assertEquals(parseInt(mac.slice(0, 2), 16) & 3, 2);
      seen.add(mac);
    }
  }
  assertEquals(seen.size, 15_000);
  const { host } = claimant("a");
  assertEquals(deriveMac(host, 1, 4), deriveMac(host, 1, 4));
  assert(deriveMac(host, 1, 4) !== deriveMac(host, 1, 6));
  assert(deriveMac(host, 1, 6) !== deriveMac(claimant("b").host, 1, 6));
});
