/** Choosing the external interface: one line of the table for each way to ask, on one host with four interfaces. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  chooseUnderlay,
  type DefaultWay,
  findUnderlay,
  type OverlayParts,
  type UnderlayChoice,
  type UnderlayFacts,
  type UnderlayOptions,
} from "../../src/underlay/choose.ts";
import { FakeKernel } from "../support/kernel/fake.ts";
import type { Interface, InterfaceAddress } from "../../src/kernel/kernel.ts";
import { Failure } from "../../src/model/errors.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { type Family, formatIp, type Ip, parseIp } from "../../src/model/ip.ts";

type Traits = Partial<Omit<InterfaceAddress, "address">>;

function on(text: string, traits: Traits = {}): InterfaceAddress {
  const plain = {
    scope: "global",
    deprecated: false,
    tentative: false,
    temporary: false,
    permanent: true,
  } as const;
  return { address: parseIp(text)!, length: text.includes(":") ? 64 : 24, ...plain, ...traits };
}

function face(name: string, index: number, addresses: InterfaceAddress[], mtu = 1500): Interface {
  return { name, index, type: "", alias: "", mtu, up: true, addresses };
}

/** The device of each family's default route. */
function defaults(v4: string | null, v6: string | null): UnderlayFacts["defaults"] {
  const way = (device: string | null) => device === null ? [] : [{ device, source: null }];
  return new Map<Family, readonly DefaultWay[]>([[4, way(v4)], [6, way(v6)]]);
}

const lo = face("lo", 1, [on("127.0.0.1", { scope: "host" }), on("::1", { scope: "host" })], 65536);
const eth0 = face("eth0", 2, [
  on("192.168.1.5"),
  on("192.168.1.6"),
  on("fd01::5"),
  on("fe80::5", { scope: "link" }),
]);
const eth1 = face("eth1", 3, [on("10.99.0.5", { permanent: false }), on("fd99::5")], 9000);
const wan = face("wan", 4, [on("198.51.100.7")], 1492);
const interfaces = [lo, eth0, eth1, wan];

const facts: UnderlayFacts = {
  interfaces,
  defaults: defaults("eth0", "eth0"),
  reach: null,
};
const none: UnderlayOptions = {
  iface: [],
  ifaceRegex: [],
  ifaceCanReach: null,
  publicIp: null,
  publicIpv6: null,
};
const ip = (text: string) => parseIp(text)!;
const show = (address: Ip | null) => address ? formatIp(address) : "-";

/** `device local4 local6 public4 public6` */
function summary({ chosen }: UnderlayChoice): string {
  const { device, v4, v6, publicIp, publicIpv6 } = chosen;
  return [device, ...[v4, v6, publicIp, publicIpv6].map(show)].join(" ");
}

type Row = readonly [
  name: string,
  expected: string,
  options: Partial<UnderlayOptions>,
  families?: readonly Family[],
];
const rows: Row[] = [
  ["nothing given: the default route", "eth0 192.168.1.5 - 192.168.1.5 -", {}],
  ["nothing given, IPv6 only", "eth0 - fd01::5 - fd01::5", {}, [6]],
  ["nothing given, both families", "eth0 192.168.1.5 fd01::5 192.168.1.5 fd01::5", {}, [4, 6]],
  ["a name", "eth1 10.99.0.5 - 10.99.0.5 -", { iface: ["eth1"] }],
  ["a name, both families", "eth1 10.99.0.5 fd99::5 10.99.0.5 fd99::5", { iface: ["eth1"] }, [4, 6]],
  ["an address is the tunnels' source", "eth0 192.168.1.6 - 192.168.1.6 -", { iface: ["192.168.1.6"] }],
  ["an address, both families", "eth0 192.168.1.6 fd01::5 192.168.1.6 fd01::5", { iface: ["192.168.1.6"] }, [
    4,
    6,
  ]],
  ["an IPv6 address in another spelling", "eth1 - fd99::5 - fd99::5", { iface: ["FD99:0::5"] }, [6]],
  ["the first that resolves wins", "wan 198.51.100.7 - 198.51.100.7 -", { iface: ["eth9", "wan", "eth1"] }],
  ["one without the family is skipped", "eth1 10.99.0.5 fd99::5 10.99.0.5 fd99::5", {
    iface: ["wan", "eth1"],
  }, [4, 6]],
  ["a pattern for addresses picks the address", "eth0 192.168.1.6 - 192.168.1.6 -", {
    ifaceRegex: ["^192\\.168\\.1\\.6$"],
  }],
  ["a pattern for names picks the first address", "eth0 192.168.1.5 - 192.168.1.5 -", {
    ifaceRegex: ["^eth"],
  }],
  ["addresses come before names", "wan 198.51.100.7 - 198.51.100.7 -", { ifaceRegex: ["^(eth0|198.*)$"] }],
  ["patterns are unanchored", "wan 198.51.100.7 - 198.51.100.7 -", { ifaceRegex: ["100"] }],
  ["a pattern that is never about loopback", "eth0 192.168.1.5 - 192.168.1.5 -", { ifaceRegex: ["^1"] }],
  ["both families have to match on one interface", "eth1 10.99.0.5 fd99::5 10.99.0.5 fd99::5", {
    ifaceRegex: ["99"],
  }, [4, 6]],
  ["-iface comes before -iface-regex", "eth1 10.99.0.5 - 10.99.0.5 -", {
    iface: ["eth1"],
    ifaceRegex: ["wan"],
  }],
  ["-iface-regex where -iface fails", "wan 198.51.100.7 - 198.51.100.7 -", {
    iface: ["eth9"],
    ifaceRegex: ["wan"],
  }],
  ["can-reach: the route's interface and source", "eth1 10.99.0.5 - 10.99.0.5 -", {
    ifaceCanReach: ip("10.99.0.77"),
  }],
  ["can-reach last", "wan 198.51.100.7 - 198.51.100.7 -", {
    iface: ["wan"],
    ifaceCanReach: ip("10.99.0.77"),
  }],
  ["can-reach, IPv6 only: the interface's own address", "eth1 - fd99::5 - fd99::5", {
    ifaceCanReach: ip("10.99.0.77"),
  }, [6]],
  ["a public IP that is here", "wan 198.51.100.7 - 198.51.100.7 -", { publicIp: ip("198.51.100.7") }],
  ["a public IP that is the second address", "eth0 192.168.1.6 - 192.168.1.6 -", {
    publicIp: ip("192.168.1.6"),
  }],
  ["a public IP of a NAT", "eth0 192.168.1.5 - 203.0.113.9 -", { publicIp: ip("203.0.113.9") }],
  ["a NATed public IP and a name", "eth1 10.99.0.5 - 203.0.113.9 -", {
    iface: ["eth1"],
    publicIp: ip("203.0.113.9"),
  }],
  ["a public IP on the named interface", "eth0 192.168.1.6 - 192.168.1.6 -", {
    iface: ["eth0"],
    publicIp: ip("192.168.1.6"),
  }],
  ["a named address beats the public IP", "eth0 192.168.1.5 - 192.168.1.6 -", {
    iface: ["192.168.1.5"],
    publicIp: ip("192.168.1.6"),
  }],
  ["a public IPv6 that is here", "eth1 10.99.0.5 fd99::5 10.99.0.5 fd99::5", { publicIpv6: ip("fd99::5") }, [
    4,
    6,
  ]],
  ["both public", "eth0 192.168.1.5 fd01::5 203.0.113.9 2001:db8::9", {
    publicIp: ip("203.0.113.9"),
    publicIpv6: ip("2001:db8::9"),
  }, [4, 6]],
  ["a public IPv6 while IPv6 is off", "eth0 192.168.1.5 - 192.168.1.5 -", { publicIpv6: ip("2001:db8::9") }],
];

for (const [name, expected, options, families = [4] as const] of rows) {
  Deno.test(name, () => {
    const reach = { device: "eth1", gateway: null, source: ip("10.99.0.5") };
    assertEquals(summary(chooseUnderlay({ ...facts, reach }, { ...none, ...options }, families)), expected);
  });
}

const ranked: readonly (readonly [string, string, InterfaceAddress[]])[] = [
  ["the first of equals", "10.0.0.1", [on("10.0.0.1"), on("10.0.0.2")]],
  ["global before link-local", "10.0.0.1", [on("169.254.7.7"), on("10.0.0.1", { permanent: false })]],
  ["link-local where there is nothing else", "169.254.7.7", [on("169.254.7.7", { scope: "link" })]],
  ["dynamic ones count as much as others", "10.0.0.1", [
    on("10.0.0.1", { permanent: false }),
    on("10.0.0.2"),
  ]],
  ["a single address last", "10.0.0.2", [
    on("10.0.0.1", { length: 32 }),
    on("10.0.0.2", { permanent: false }),
  ]],
  ["a single address where there is nothing else", "10.0.0.1", [on("10.0.0.1", { length: 32 })]],
  ["a single IPv6 address last", "fd00::2", [on("fd00::2"), on("fd00::1", { length: 128 })]],
  ["of IPv6 the oldest, which is listed last", "fd00::1", [on("fd00::2"), on("fd00::1")]],
  ["never a tentative one", "fd00::1", [on("fd00::1"), on("fd00::2", { tentative: true })]],
  ["never a deprecated one", "169.254.7.7", [on("10.0.0.1", { deprecated: true }), on("169.254.7.7")]],
  ["never one of scope host", "10.0.0.2", [on("10.0.0.1", { scope: "host" }), on("10.0.0.2")]],
  ["not temporary before temporary", "fd00::2", [on("fd00::1", { temporary: true }), on("fd00::2")]],
  ["a temporary one after one with an end", "fd00::2", [
    on("fd00::2", { permanent: false }),
    on("fd00::1", { temporary: true }),
  ]],
  ["IPv6 global before link-local", "fd00::2", [on("fe80::1", { scope: "link" }), on("fd00::2")]],
];

for (const [name, expected, addresses] of ranked) {
  Deno.test(`of several addresses: ${name}`, () => {
    const families: Family[] = [parseIp(expected)!.family];
    const { chosen } = chooseUnderlay(
      { ...facts, interfaces: [face("x0", 7, addresses)] },
      { ...none, iface: ["x0"] },
      families,
    );
    assertEquals(show(chosen.v4 ?? chosen.v6), expected);
  });
}

Deno.test("the default route: the source that the kernel takes towards the gateway", () => {
  const ways = new Map<Family, readonly DefaultWay[]>([[4, [{ device: "eth0", source: ip("192.168.1.6") }]]]);
  assertEquals(chooseUnderlay({ ...facts, defaults: ways }, none, [4]).chosen.v4, ip("192.168.1.6"));
});

const overlay: OverlayParts = {
  network: parseNetworkConfig('{"Network":"10.1.0.0/16","SubnetMin":"10.1.10.0","SubnetMax":"10.1.90.0"}'),
  subnets: [parsePrefix("10.1.52.0/24")!],
};
const docker0 = { ...face("docker0", 5, [on("10.1.52.1")]), type: "bridge" };
const others: readonly Interface[] = [
  docker0,
  { ...face("flannel.1", 6, [on("10.1.52.0", { length: 32 })]), type: "vxlan", alias: "denim:default" },
  { ...face("blue.7", 7, [on("10.77.0.0")]), type: "vxlan", alias: "denim:blue" },
  { ...face("br-else", 8, [on("10.1.61.1")]), type: "bridge" },
  { ...face("veth9", 9, [on("10.1.52.9")]), type: "veth" },
];

for (const other of others) {
  Deno.test(`the overlay does not carry itself: ${other.name}`, () => {
    const all = { ...facts, interfaces: [other, ...interfaces], defaults: defaults(other.name, null) };
    const first = { device: other.name, source: null };
    const ways = new Map<Family, readonly DefaultWay[]>([[4, [first, { device: "eth0", source: null }]]]);
    const byDefault = chooseUnderlay({ ...all, defaults: ways }, none, [4], overlay);
    assertEquals(summary(byDefault), "eth0 192.168.1.5 - 192.168.1.5 -");
    assertThrows(() => chooseUnderlay(all, none, [4], overlay), Failure);
    const byPattern = { ...none, ifaceRegex: ["^(10\\.|192)"] };
    assertEquals(chooseUnderlay(all, byPattern, [4], overlay).chosen.device, "eth0");
    const reach = { device: other.name, gateway: null, source: null };
    const byName = [{ iface: [other.name] }, { ifaceCanReach: ip("10.1.52.7") }];
    for (const options of byName) {
      const choose = () => chooseUnderlay({ ...all, reach }, { ...none, ...options }, [4], overlay);
      assertStringIncludes(assertThrows(choose, Failure).message, `${other.name} belongs to the overlay`);
    }
  });
}

Deno.test("a host inside the network, where nothing can be leased, keeps its interface", () => {
  const inside = { ...face("br0", 5, [on("10.1.5.1")]), type: "bridge" };
  const choice = chooseUnderlay(
    { ...facts, interfaces: [inside] },
    { ...none, iface: ["br0"] },
    [4],
    overlay,
  );
  assertEquals(choice.chosen.v4, ip("10.1.5.1"));
});

Deno.test("the log has upstream's lines", () => {
  assertEquals(chooseUnderlay(facts, none, [4, 6]).log, [
    "Determining IP address of default interface",
    "Using interface with name eth0 and address 192.168.1.5",
    "Using interface with name eth0 and v6 address fd01::5",
    "Defaulting external address to interface address (192.168.1.5)",
    "Defaulting external v6 address to interface address (fd01::5)",
  ]);
  const natted = chooseUnderlay(facts, { ...none, publicIp: ip("203.0.113.9") }, [4]);
  assertEquals(natted.log, [
    "Determining IP address of default interface",
    "203.0.113.9 is not on an interface of this host; it is taken for the address of a NAT in front of it",
    "Using interface with name eth0 and address 192.168.1.5",
    "Using 203.0.113.9 as external address",
  ]);
  const [skipped] = chooseUnderlay(facts, { ...none, iface: ["eth9", "wan"] }, [4]).log;
  assertEquals(
    skipped,
    "Could not find valid interface matching eth9: no interface has this name or address; there are " +
      "lo:[127.0.0.1 ::1], eth0:[192.168.1.5 192.168.1.6 fd01::5 fe80::5], eth1:[10.99.0.5 fd99::5], wan:[198.51.100.7]",
  );
});

type Refusal = readonly [string, string, Partial<UnderlayOptions>, Partial<UnderlayFacts>, Family[]];
const refusals: Refusal[] = [
  ["an interface that does not exist", "there are lo:[127.0.0.1 ::1], eth0:[", { iface: ["eth9"] }, {}, [4]],
  [
    "nothing that matches",
    "could not match pattern ^zz to any of the available network interfaces (lo:[",
    { ifaceRegex: ["^zz"] },
    {},
    [4],
  ],
  [
    "each family on another interface",
    "could not match pattern ^(192|fd99)",
    { ifaceRegex: ["^(192|fd99)"] },
    {},
    [4, 6],
  ],
  ["a pattern that is none", 'parse interface regex "(eth": ', { ifaceRegex: ["(eth"] }, {}, [4]],
  [
    "an interface without the family",
    "failed to find IPv6 address for interface wan: it has 198.51.100.7",
    { iface: ["wan"] },
    {},
    [6],
  ],
  [
    "no route to can-reach",
    "matching 10.99.0.77: the kernel has no route there",
    { ifaceCanReach: ip("10.99.0.77") },
    {},
    [4],
  ],
  ["no default route", "there is no default route", {}, { defaults: defaults(null, null) }, [4, 6]],
  [
    "two default devices",
    "v6 default route interface eth1 must be the same with v4 default route interface eth0",
    {},
    { defaults: defaults("eth0", "eth1") },
    [4, 6],
  ],
  ["no MTU", "failed to determine MTU for eth0 interface", { iface: ["eth0"] }, {
    interfaces: [{ ...eth0, mtu: 0 }],
  }, [4]],
  ["a default device that has just gone", 'interface "eth7" has just gone', {}, {
    defaults: defaults("eth7", null),
  }, [4]],
];

for (const [name, expected, options, changed, families] of refusals) {
  Deno.test(`refused: ${name}`, () => {
    const choose = () => chooseUnderlay({ ...facts, ...changed }, { ...none, ...options }, families);
    assertStringIncludes(assertThrows(choose, Failure).message, expected);
  });
}

Deno.test("one default route is enough for both families", () => {
  const choice = chooseUnderlay({ ...facts, defaults: defaults("eth1", null) }, none, [4, 6]);
  assertEquals(summary(choice), "eth1 10.99.0.5 fd99::5 10.99.0.5 fd99::5");
});

Deno.test("a failed choice names upstream's reason and every attempt", () => {
  const options = { ...none, iface: ["eth9"], ifaceRegex: ["^zz"] };
  const { message } = assertThrows(() => chooseUnderlay(facts, options, [4]), Failure);
  assertStringIncludes(
    message,
    "Failed to find interface to use that matches the interfaces and/or regexes provided",
  );
  assertStringIncludes(message, "matching eth9: ");
  assertStringIncludes(message, "matching ^zz: ");
});

Deno.test("the kernel is asked for what the options need", async () => {
  const asked: string[] = [];
  using kernel = new FakeKernel({
    interfaces,
    route: (to) => (asked.push(formatIp(to)), { device: "eth1", gateway: null, source: ip("10.99.0.5") }),
    defaultRoutes: (family) => (asked.push(`default ${family}`), [{ device: "eth0", gateway: null }]),
  });
  assertEquals((await findUnderlay(kernel, none, [4])).chosen.device, "eth0");
  const reach = await findUnderlay(kernel, { ...none, ifaceCanReach: ip("10.99.0.77") }, [4]);
  assertEquals([reach.chosen.device, reach.chosen.mtu], ["eth1", 9000]);
  assertEquals(asked, ["default 4", "default 4", "10.99.0.77"]);
});

const patterns: readonly (readonly [string, string, boolean])[] = [
  ["(?i)ETH0", "eth0", true],
  ["\\Aeth\\d\\z", "eth0", true],
  ["\\Aeth\\d\\z", "veth0", false],
  ["(?P<kind>eth)[[:digit:]]+$", "eth12", true],
  ["[[:alpha:]_]+", "12", false],
  ["192\\.168\\.", "192x168x", false],
  ["eth\\-1", "eth-1", true],
  ["(eth0|ens\\d+)", "ens192", true],
];

for (const [pattern, text, expected] of patterns) {
  Deno.test(`pattern ${pattern} ${expected ? "matches" : "does not match"} ${text}`, () => {
    const found = face(text, 9, [on("10.0.0.1")]);
    const choose = () =>
      chooseUnderlay({ ...facts, interfaces: [found] }, { ...none, ifaceRegex: [pattern] }, [4]);
    if (expected) assertEquals(choose().chosen.device, text);
    else assertThrows(choose, Failure);
  });
}

for (const pattern of ["[[:emoji:]]", "\\Qa.b\\E", "(a)\\1", "\\p{Greek}", "[z-a]", "*"]) {
  Deno.test(`pattern ${pattern} is refused`, () => {
    const choose = () => chooseUnderlay(facts, { ...none, ifaceRegex: [pattern] }, [4]);
    assertStringIncludes(assertThrows(choose, Failure).message, `parse interface regex "${pattern}": `);
  });
}
