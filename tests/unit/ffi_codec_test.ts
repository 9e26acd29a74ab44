/** Records to bytes and back, and addresses in place: the same text as the model's, for every address. */
import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import {
  addressCodec,
  type Codec,
  encodeChanges,
  linkCodec,
  neighbourCodec,
  nexthopCodec,
  routeCodec,
} from "../../ffi/codec.ts";
import { describeErrno, errnoName } from "../../ffi/errno.ts";
import { readIp, writeIp } from "../../ffi/ip_text.ts";
import { HEAD } from "../../ffi/layout.ts";
import { type Family, formatIp, ipBytes, ipFromBytes, parseIp } from "../../src/model/ip.ts";

/** Addresses with many zeros, as real ones have. */
function addressBytes(family: Family): fc.Arbitrary<Uint8Array> {
  const octet = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 255 }));
  const length = family === 4 ? 4 : 16;
  return fc.array(octet, { minLength: length, maxLength: length }).map((octets) => Uint8Array.from(octets));
}

function address(family: Family): fc.Arbitrary<string> {
  return addressBytes(family).map((bytes) => formatIp(ipFromBytes(family, bytes)));
}

const anyAddress = fc.oneof(address(4), address(6));

for (const family of [4, 6] as const) {
  Deno.test(`an IPv${family} address reads as the model writes it, wherever it stands`, () => {
    fc.assert(fc.property(addressBytes(family), fc.nat(20), (bytes, offset) => {
      const field = new Uint8Array(offset + 20).fill(0xee);
      field.set(bytes, offset);
      assertEquals(readIp(field, offset, family), formatIp(ipFromBytes(family, bytes)));
    }));
  });
}

/** Digits, dots and colons in every wrong order, and nearly right ones. */
const almost = fc.oneof(
  fc.stringMatching(/^[0-9a-f.:/ ]{0,20}$/),
  fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }).map(String), fc.constantFrom("", "00", "1e1", "-1")), {
    minLength: 3,
    maxLength: 5,
  }).map((parts) => parts.join(".")),
);

Deno.test("text is an address exactly where the model says so", () => {
  fc.assert(
    fc.property(fc.oneof(anyAddress, almost), (text) => {
      const field = new Uint8Array(16);
      const family = writeIp(field, 0, text);
      const expected = parseIp(text);
      assertEquals(family, expected?.family ?? 0);
      if (expected !== null) assertEquals(field.subarray(0, family === 4 ? 4 : 16), ipBytes(expected));
    }),
    { numRuns: 2000 },
  );
});

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const mac = fc.array(u8, { minLength: 6, maxLength: 6 }).map((octets) =>
  octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":")
);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const text = (max: number) => fc.stringMatching(new RegExp(`^[a-zäß0-9:.]{0,${max}}$`));

/** Plain objects: equality here tells an object without a prototype from one. */
function record<T>(members: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(members, { noNullPrototype: true });
}

const vxlan = record({
  vni: u32,
  lower: u32,
  local: maybe(anyAddress),
  group: maybe(anyAddress),
  port: u16,
  ttl: u8,
  tos: u8,
  ageing: u32,
  learning: fc.boolean(),
  proxy: fc.boolean(),
  rsc: fc.boolean(),
  l2miss: fc.boolean(),
  l3miss: fc.boolean(),
  gbp: fc.boolean(),
  udpCsum: fc.boolean(),
  udp6ZeroCsumTx: fc.boolean(),
  udp6ZeroCsumRx: fc.boolean(),
});
const link = record({
  index: u32,
  name: text(7),
  type: text(7),
  alias: text(100),
  mac: maybe(mac),
  mtu: u32,
  up: fc.boolean(),
  vxlan: maybe(vxlan),
});
const interfaceAddress = record({
  index: u32,
  address: anyAddress,
  length: fc.nat(32),
  scope: u8,
  flags: u32,
});
const route = record({
  destination: fc.tuple(anyAddress, fc.nat(32)).map(([ip, length]) => `${ip}/${length}`),
  gateway: maybe(anyAddress),
  index: u32,
  source: maybe(anyAddress),
  table: u32,
  protocol: u8,
  scope: u8,
  type: u8,
  onlink: fc.boolean(),
  metric: u32,
  tos: u8,
  paths: u32,
  nexthop: u32,
});
const nexthop = record({
  id: u32,
  gateway: maybe(anyAddress),
  index: u32,
  onlink: fc.boolean(),
  protocol: u8,
  special: maybe(
    fc.constantFrom("blackhole" as const, "group" as const, "fdb" as const, "encapsulation" as const),
  ),
});
const neighbour = fc.oneof(
  ...([["v4", address(4)], ["v6", address(6)], ["fdb", maybe(anyAddress)]] as const).map(([table, of]) =>
    record({
      table: fc.constant(table),
      index: u32,
      address: of,
      mac: maybe(mac),
      state: u16,
      flags: u8,
      protocol: u8,
    })
  ),
);

function roundTrip<R>(what: string, codec: Codec<R>, records: fc.Arbitrary<R>): void {
  Deno.test(`every ${what} comes back from its bytes as it went in`, () => {
    fc.assert(fc.property(fc.array(records, { minLength: 1, maxLength: 3 }), (all) => {
      const encoded = encodeChanges(codec, all.map((record) => ({ verb: "create", record })));
      all.forEach((record, i) => {
        assertEquals(encoded.view.getUint32(i * codec.size + HEAD.verb, true), 1);
        assertEquals(codec.decode(encoded, i * codec.size), record);
      });
    }));
  });
}

roundTrip("link", linkCodec, link);
roundTrip("address", addressCodec, interfaceAddress);
roundTrip("route", routeCodec, route);
roundTrip("nexthop", nexthopCodec, nexthop);
roundTrip("neighbour", neighbourCodec, neighbour);

/** The verb that `record` is sent with: 0 where it makes no sense. */
function verbOf<R>(codec: Codec<R>, record: R): number {
  return encodeChanges(codec, [{ verb: "delete", record }]).view.getUint32(HEAD.verb, true);
}

Deno.test("a record that makes no sense is marked as such", () => {
  const route = {
    destination: "10.1.0.0/16",
    gateway: null,
    index: 1,
    source: null,
    table: 254,
    protocol: 0,
    scope: 0,
    type: 1,
    onlink: false,
    metric: 0,
    tos: 0,
    paths: 0,
    nexthop: 0,
  };
  assertEquals(verbOf(routeCodec, route), 4);
  for (const destination of ["10.1.0.0", "10.1.0.0/33", "10.1.0.0/", "10.1.0.0/1e1", "x/8", "fd00::/129"]) {
    assertEquals(verbOf(routeCodec, { ...route, destination }), 0, destination);
  }
  assertEquals(verbOf(routeCodec, { ...route, gateway: "10.1.0" }), 0);
  const hop = { id: 1, gateway: "10.1.0", index: 1, onlink: true, protocol: 85, special: null };
  assertEquals(verbOf(nexthopCodec, hop), 0);
  const entry = {
    table: "v4" as const,
    index: 1,
    address: "10.1.0.1",
    mac: null,
    state: 0,
    flags: 0,
    protocol: 0,
  };
  assertEquals(verbOf(neighbourCodec, entry), 4);
  assertEquals(verbOf(neighbourCodec, { ...entry, address: "fd00::1" }), 0);
  assertEquals(verbOf(neighbourCodec, { ...entry, address: null }), 0);
  for (
    const mac of ["", "02:00:00:00:00", "02-00-00-00-00-01", "02:00:00:00:00:0g", "02:00:00:00:00:01:02"]
  ) {
    assertEquals(verbOf(neighbourCodec, { ...entry, mac }), 0, mac);
  }
});

Deno.test("error numbers have their names, and words for people", () => {
  assertEquals([errnoName(-17), errnoName(101), errnoName(-4711)], ["EEXIST", "ENETUNREACH", "errno 4711"]);
  assertMatch(describeErrno(-1), /CAP_NET_ADMIN.*\(EPERM\)$/);
  assertEquals(describeErrno(-4711), "errno 4711");
});
