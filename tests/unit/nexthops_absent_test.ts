/** A kernel without nexthop objects, played by a library that only knows that answer. */
import { assertEquals, assertRejects } from "@std/assert";
import { openNetlink } from "../../ffi/netlink.ts";
import type { Symbols } from "../../ffi/symbols.ts";

const [EPERM, EOPNOTSUPP] = [-1, -95];

function answering(result: () => number): Parameters<typeof openNetlink>[0] {
  const symbols = { denim_open: () => ({}), denim_close: () => {}, denim_read_nexthops: () => result() };
  return { path: "", embedded: false, symbols: symbols as unknown as Symbols, [Symbol.dispose]: () => {} };
}

Deno.test("nexthops: where the kernel has none reading answers an empty list and says why", async () => {
  let result = EOPNOTSUPP;
  using netlink = openNetlink(answering(() => result));
  assertEquals(netlink.nexthopsSupported, true, "not known yet");
  assertEquals([await netlink.nexthops(), netlink.nexthopsSupported], [[], false]);
  result = 0;
  assertEquals([await netlink.nexthops(), netlink.nexthopsSupported], [[], true]);
});

Deno.test("nexthops: any other refusal is one", async () => {
  using netlink = openNetlink(answering(() => EPERM));
  await assertRejects(() => netlink.nexthops(), Error, "read the kernel's nexthops: not permitted");
});
