/** Keys and values of leases: upstream's bytes, round trips, and hostile input. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Failure } from "../../src/model/errors.ts";
import type { Mark } from "../../src/model/identity.ts";
import { bits, type Family, ip, parseIp } from "../../src/model/ip.ts";
import type { Json } from "../../src/model/json.ts";
import type { LeaseRecord } from "../../src/model/lease.ts";
import {
  decodeRecord,
  encodeRecord,
  formatLeaseKey,
  parseAnyLeaseKey,
  parseLeaseKey,
} from "../../src/model/lease_codec.ts";
import { parsePrefix, type Prefix, prefix } from "../../src/model/prefix.ts";

const UPSTREAM =
  '{"PublicIP":"192.168.64.3","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}';

const vxlan: LeaseRecord = {
  publicIp: parseIp("192.168.64.3"),
  publicIpv6: null,
  backendType: "vxlan",
  backendData: { VNI: 1, VtepMAC: "c6:d2:32:6f:8f:44" },
};

Deno.test("keys name subnets and subnets name keys", () => {
  const v4 = { v4: parsePrefix("10.1.15.0/24"), v6: null };
  const dual = { v4: parsePrefix("10.12.13.0/24"), v6: parsePrefix("fd00:12:13::/56") };
  assertEquals(formatLeaseKey(v4), "10.1.15.0-24");
  assertEquals(formatLeaseKey(dual), "10.12.13.0-24&fd00:12:13::-56");
  assertEquals(parseLeaseKey("10.1.15.0-24"), v4);
  assertEquals(parseLeaseKey("10.12.13.0-24&fd00:12:13::-56"), dual);
});

const notKeys = [
  "",
  "10",
  "10.12.13.0",
  "10.12.13-24",
  "10.12.13.300-24",
  "10.12.13.0-24x",
  "x10.12.13.0-24",
  "10.12.13.0-24-24",
  "10.12.13.0-33",
  "10.12.13.0-32",
  "10.12.13.0-0",
  "0.0.0.0-0",
  "0.0.0.0-0&fd00:12:13::-56",
  "10.12.13.0-024",
  "10.12.13.0-24\n",
  "10.12.13.7-24",
  "010.12.13.0-24",
  "10x12x13x0-24",
  "a/10.12.13.0-24",
  "10.12.13.0/24",
  "10.12.13.0-24&",
  "10.12.13.0-24&fd00:12:13::",
  "10.12.13.0-24&fd00-56",
  "10.12.13.0-24&fd00:12:13::-128",
  "10.12.13.0-24&FD00:12:13::-56",
  "10.12.13.0-24&fd00:12:13:0::-56",
  "10.12.13.0-24&fd00:12:13::1-56",
  "10.12.13.0-24fd00:12:13::-56",
  "10.12.13.0-24&10.12.14.0-24",
  "fd00:12:13::-56",
  "&fd00:12:13::-56",
  "fd00:12:13::-56&10.12.13.0-24",
  "1".repeat(100_000),
];
for (const key of notKeys) {
  Deno.test(`no key of upstream's: ${JSON.stringify(key.slice(0, 40))}`, () => {
    assertEquals(parseLeaseKey(key), null);
  });
}

Deno.test("IPv6 alone is a key in stores of our own", () => {
  const subnets = { v4: null, v6: parsePrefix("fd00:12:13::/56") };
  assertEquals(formatLeaseKey(subnets), "fd00:12:13::-56");
  assertEquals(parseAnyLeaseKey("fd00:12:13::-56"), subnets);
});

Deno.test("values are upstream's, byte for byte", () => {
  assertEquals(encodeRecord(vxlan), UPSTREAM);
  assertEquals(encodeRecord(decodeRecord(UPSTREAM)), UPSTREAM);
  assertEquals(
    encodeRecord({ publicIp: parseIp("10.0.0.1"), publicIpv6: null, backendType: "" }),
    '{"PublicIP":"10.0.0.1","PublicIPv6":null}',
  );
  assertEquals(
    encodeRecord({
      publicIp: null,
      publicIpv6: parseIp("2001:DB8::1"),
      backendType: "wireguard",
      backendV6Data: { Port: 51821 },
    }),
    '{"PublicIP":"0.0.0.0","PublicIPv6":"2001:db8::1","BackendType":"wireguard","BackendV6Data":{"Port":51821}}',
  );
});

Deno.test("an extension's output is escaped as Go does it", () => {
  const record = { ...vxlan, backendType: "extension", backendData: 'a<b>&"\u2028' };
  assert(encodeRecord(record).endsWith('"BackendData":"a\\u003cb\\u003e\\u0026\\"\\u2028"}'));
  assertEquals(decodeRecord(encodeRecord(record)), record);
});

Deno.test("reading takes any order and case, and what older versions leave out", () => {
  assertEquals(
    decodeRecord(
      '{"backenddata":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"},"BACKENDTYPE":"VXLAN","publicip":"192.168.64.3"}',
    ),
    vxlan,
  );
  const empty: LeaseRecord = { publicIp: null, publicIpv6: null, backendType: "" };
  assertEquals(decodeRecord("{}"), empty);
  assertEquals(
    decodeRecord(
      '{"PublicIP":"0.0.0.0","PublicIPv6":null,"BackendType":null,"BackendData":null,"BackendV6Data":null}',
    ),
    empty,
  );
});

Deno.test("unknown members are kept, but for names that reach a prototype", () => {
  const text =
    '{"PublicIP":"10.0.0.1","Note":"rack 7","Speaks":{"udp":null},"__proto__":{"a":1},"constructor":1,"prototype":2}';
  const record = decodeRecord(text);
  assertEquals(record.extra, { Note: "rack 7", Speaks: { udp: null } });
  assert(encodeRecord(record).endsWith(',"Note":"rack 7","Speaks":{"udp":null}}'));
  const nested = decodeRecord('{"PublicIP":"10.0.0.1","BackendData":{"__proto__":{"a":1},"b":2}}');
  assertEquals(Object.getOwnPropertyNames(nested.backendData), ["b"]);
});

Deno.test("an unknown member can't stand for a known one", () => {
  const record = { ...vxlan, extra: { publicip: "6.6.6.6", Note: 1 } };
  assertEquals(encodeRecord(record), UPSTREAM.replace(/}$/, ',"Note":1}'));
});

const HOST = "0123456789abcdef0123456789abcdef";
const RUN = "0123456789abcdef";
const AFTER = "f".repeat(32);
const mark: Mark = { host: HOST, run: RUN, turn: 7, after: null };
const MARKED = UPSTREAM.replace(/}$/, `,"Host":"${HOST}","Run":"${RUN}","Turn":7}`);

Deno.test("a mark stands behind upstream's members and before those of others, `After` only on trial", () => {
  assertEquals(encodeRecord({ ...vxlan, mark }), MARKED);
  const record = { ...vxlan, mark: { ...mark, after: AFTER }, extra: { Note: "rack 7" } };
  const text = MARKED.replace(/}$/, `,"After":"${AFTER}","Note":"rack 7"}`);
  assertEquals(encodeRecord(record), text);
  assertEquals(decodeRecord(text), record);
  assertEquals(decodeRecord(MARKED), { ...vxlan, mark });
  assertEquals(decodeRecord(MARKED.replace(/}$/, ',"After":null}')), { ...vxlan, mark });
  const old = encodeRecord(record, "before IPv6");
  assertEquals(old, text.replace('"PublicIPv6":null,', ""));
  assertEquals(decodeRecord(old), record);
});

Deno.test("the last turn of all is one, and what comes after it is none", () => {
  const turns = (turn: string) => decodeRecord(MARKED.replace('"Turn":7', `"Turn":${turn}`)).mark?.turn;
  assertEquals(turns(String(2 ** 31)), 2 ** 31);
  assertEquals(turns("1"), 1);
  for (const turn of ["2147483649", "1e300", "1e999", "-1", "0", "-0", "1.5", '"7"', "null", "true", "[7]"]) {
    assertEquals(turns(turn), undefined, turn);
  }
});

const noMarks: readonly [name: string, members: Record<string, Json>][] = [
  ["nothing but an id", { Host: HOST }],
  ["no id", { Run: RUN, Turn: 1 }],
  ["no run", { Host: HOST, Turn: 1 }],
  ["no turn", { Host: HOST, Run: RUN }],
  ["an id in capitals", { Host: HOST.toUpperCase(), Run: RUN, Turn: 1 }],
  ["an id too short", { Host: HOST.slice(1), Run: RUN, Turn: 1 }],
  ["an id too long", { Host: `${HOST}0`, Run: RUN, Turn: 1 }],
  ["an id with a line's end", { Host: `${HOST}\n`, Run: RUN, Turn: 1 }],
  ["an id that is none", { Host: [HOST], Run: RUN, Turn: 1 }],
  ["a run that is an id", { Host: HOST, Run: HOST, Turn: 1 }],
  ["a run that is a number", { Host: HOST, Run: 1, Turn: 1 }],
  ["a trial after nobody", { Host: HOST, Run: RUN, Turn: 1, After: "" }],
  ["a trial after a truth", { Host: HOST, Run: RUN, Turn: 1, After: true }],
  ["a trial after a list", { Host: HOST, Run: RUN, Turn: 1, After: [AFTER] }],
  ["members in another case", { host: HOST, run: RUN, turn: 1 }],
];
for (const [name, members] of noMarks) {
  Deno.test(`no mark, and a record all the same: ${name}`, () => {
    const record = decodeRecord(JSON.stringify({ ...JSON.parse(UPSTREAM), ...members, Note: 1 }));
    assertEquals(record.mark, undefined);
    assertEquals({ ...record, extra: undefined }, { ...vxlan, extra: undefined });
    // Half a mark is nobody's to keep: written again it would be taken for a whole one's part.
    const written = encodeRecord({ ...record, mark });
    assertEquals(decodeRecord(written).mark, mark);
    for (const key of ["Host", "Run", "Turn"]) assertEquals(written.split(`"${key}":`).length, 2, written);
    assert(!written.includes('"After"'));
    assertEquals(record.extra?.Note, 1);
  });
}

Deno.test("no member of others' making stands for a mark", () => {
  const forged = { ...vxlan, extra: { Host: AFTER, Run: RUN, Turn: 9, After: HOST, Note: 1 } };
  assertEquals(decodeRecord(encodeRecord(forged)), { ...vxlan, extra: { Note: 1 } });
  assertEquals(decodeRecord(encodeRecord({ ...forged, mark })), { ...vxlan, mark, extra: { Note: 1 } });
});

const unreadable: readonly [text: string, reason: string][] = [
  ["", "is not JSON"],
  ["{", "is not JSON"],
  [`${UPSTREAM} x`, "is not JSON"],
  ["[]", "is not a JSON object"],
  ["null", "is not a JSON object"],
  ['{"PublicIP":null}', "PublicIP is null"],
  ['{"PublicIP":"fd00::1"}', 'PublicIP "fd00::1" is not an IPv4 address'],
  ['{"PublicIP":"10.0.0.256"}', "is not an IPv4 address"],
  ['{"PublicIP":7}', "PublicIP number is not an IPv4 address"],
  ['{"PublicIPv6":"10.0.0.1"}', "is not an IPv6 address"],
  ['{"BackendType":["vxlan"]}', "BackendType object is not a string"],
  [`{"a":${"[".repeat(40)}${"]".repeat(40)}}`, "is nested too deeply"],
  [`{"a":"${"x".repeat(70_000)}"}`, "is too long"],
];
for (const [text, reason] of unreadable) {
  Deno.test(`no record: ${text.slice(0, 40)}`, () => {
    assertThrows(() => decodeRecord(text), Failure, reason);
  });
}

Deno.test("brackets inside strings are no nesting", () => {
  const brackets = '[{\\"'.repeat(50);
  assertEquals(decodeRecord(`{"BackendData":"${brackets}"}`).backendData, '[{"'.repeat(50));
});

const address = (family: Family) =>
  fc.bigInt({ min: 1n, max: (1n << BigInt(bits(family))) - 1n }).map((value) => ip(family, value));
const subnet = (family: Family): fc.Arbitrary<Prefix> =>
  fc.tuple(address(family), fc.integer({ min: 1, max: bits(family) - 1 })).map(([ip, length]) =>
    prefix(ip, length)
  );
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
// JSON has no -0, and numbers of another program's are not ours to keep exact.
const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);

Deno.test("every key comes back from its text", () => {
  fc.assert(fc.property(subnet(4), orNull(subnet(6)), (v4, v6) => {
    assertEquals(parseLeaseKey(formatLeaseKey({ v4, v6 })), { v4, v6 });
  }));
  fc.assert(fc.property(subnet(6), (v6) => {
    assertEquals(parseAnyLeaseKey(formatLeaseKey({ v4: null, v6 })), { v4: null, v6 });
  }));
});

Deno.test("a key that parses is the one text of its subnets", () => {
  const near = fc.stringMatching(/^(\d{1,3}\.){3}0-\d{1,2}(&[0-9a-f:]{2,12}::-\d{1,3})?$/);
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (key) => {
      const subnets = parseAnyLeaseKey(key);
      if (subnets !== null) assertEquals(formatLeaseKey(subnets), key);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("every record comes back from its text", () => {
  const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`), { size: "max" });
  const anyMark = fc.option(
    fc.record({
      host: digits(32),
      run: digits(16),
      turn: fc.integer({ min: 1, max: 2 ** 31 }),
      after: orNull(digits(32)),
    }, { noNullPrototype: true }),
    { nil: undefined },
  );
  const type = fc.constantFrom("", "vxlan", "host-gw", "wireguard");
  const data = json.filter((value) => value !== null && !JSON.stringify(value).includes("__proto__"));
  fc.assert(
    fc.property(
      orNull(address(4)),
      orNull(address(6)),
      type,
      data,
      data,
      anyMark,
      (publicIp, publicIpv6, type, a, b, mark) => {
        const record = {
          publicIp,
          publicIpv6,
          backendType: type,
          backendData: a,
          backendV6Data: b,
          ...(mark && { mark }),
          extra: { Note: b },
        };
        assertEquals(decodeRecord(encodeRecord(record)), record);
      },
    ),
  );
});

Deno.test("no value does anything but fail with a reason", () => {
  const names = fc.constantFrom(
    "PublicIP",
    "publicipv6",
    "BackendType",
    "BackendData",
    "__proto__",
    "x",
    "Host",
    "Turn",
  );
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(names, fc.oneof(fc.jsonValue(), fc.ipV4(), fc.ipV6())).map((value) =>
      JSON.stringify(value)
    ),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        encodeRecord(decodeRecord(text));
      } catch (error) {
        assert(error instanceof Failure, Deno.inspect(error));
        assert(error.message.length < 200, error.message);
      }
    }),
    { numRuns: 2_000 },
  );
});
