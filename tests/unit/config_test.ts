/** The network configuration: upstream's tables, its reading of JSON, its messages, and hostile input. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { backendFor } from "../../src/backend/registry.ts";
import { Failure, messageOf } from "../../src/model/errors.ts";
import { formatIp } from "../../src/model/ip.ts";
import type { FamilyNetwork } from "../../src/model/network_config.ts";
import { parseNetworkConfig, subnetCount, subnetSize, unknownMembers } from "../../src/model/parse_config.ts";
import { formatPrefix } from "../../src/model/prefix.ts";

function summary(network: FamilyNetwork | null): string {
  if (network === null) return "off";
  const { subnetLen, subnetMin, subnetMax } = network;
  return `${formatPrefix(network.network)} /${subnetLen} ${formatIp(subnetMin)} ${formatIp(subnetMax)} ${
    subnetCount(network)
  }`;
}

const v4 = (members: string) => summary(parseNetworkConfig(`{${members}}`).v4);
const v6 = (members: string) =>
  summary(parseNetworkConfig(`{"EnableIPv4": false, "EnableIPv6": true, ${members}}`).v6);

Deno.test("IPv4 defaults follow from the network", () => {
  assertEquals(v4('"Network": "10.3.0.0/16"'), "10.3.0.0/16 /24 10.3.1.0 10.3.255.0 255");
  assertEquals(v4('"network": "10.0.0.0/8"'), "10.0.0.0/8 /24 10.0.1.0 10.255.255.0 65535");
  assertEquals(v4('"Network": "10.1.0.0/22"'), "10.1.0.0/22 /24 10.1.1.0 10.1.3.0 3");
  assertEquals(v4('"Network": "10.1.0.0/23"'), "10.1.0.0/23 /25 10.1.0.128 10.1.1.128 3");
  assertEquals(v4('"Network": "10.1.0.0/24"'), "10.1.0.0/24 /26 10.1.0.64 10.1.0.192 3");
  assertEquals(v4('"Network": "10.1.0.0/28"'), "10.1.0.0/28 /30 10.1.0.4 10.1.0.12 3");
  assertEquals(v4('"Network": "255.0.0.0/8"'), "255.0.0.0/8 /24 255.0.1.0 255.255.255.0 65535");
  assertEquals(
    v4('"Network": "172.30.0.0/16", "SubnetLen": 21'),
    "172.30.0.0/16 /21 172.30.8.0 172.30.248.0 31",
  );
});

Deno.test("IPv6 defaults follow from the network", () => {
  assertEquals(v6('"ipv6Network": "fc00::/48"'), "fc00::/48 /64 fc00:0:0:1:: fc00:0:0:ffff:: 65535");
  assertEquals(
    v6('"IPv6Network": "2001:cafe:42::/56"'),
    "2001:cafe:42::/56 /64 2001:cafe:42:1:: 2001:cafe:42:ff:: 255",
  );
  assertEquals(v6('"IPv6Network": "fd00::/64"'), "fd00::/64 /66 fd00::4000:0:0:0 fd00::c000:0:0:0 3");
  assertEquals(v6('"IPv6Network": "fd00::/124"'), "fd00::/124 /126 fd00::4 fd00::c 3");
});

Deno.test("explicit values are kept, and the subnets counted", () => {
  const range = (network: string, length: number, min: string, max: string) =>
    v4(`"Network": "${network}", "SubnetLen": ${length}, "SubnetMin": "${min}", "SubnetMax": "${max}"`);
  assertEquals(
    range("10.0.0.0/8", 20, "10.10.0.0", "10.99.0.0"),
    "10.0.0.0/8 /20 10.10.0.0 10.99.0.0 1425",
  );
  assertEquals(range("10.1.0.0/16", 24, "10.1.10.0", "10.1.90.0"), "10.1.0.0/16 /24 10.1.10.0 10.1.90.0 81");
  assertEquals(range("10.1.0.0/16", 23, "10.1.10.0", "10.1.90.0"), "10.1.0.0/16 /23 10.1.10.0 10.1.90.0 41");
  assertEquals(range("10.1.0.0/16", 24, "10.1.0.0", "10.1.0.0"), "10.1.0.0/16 /24 10.1.0.0 10.1.0.0 1");
  assertEquals(
    v6('"IPv6Network": "fc00::/48", "IPv6SubnetMin": "fc00:0:0:5::", "IPv6SubnetMax": "fc00:0:0:9::"'),
    "fc00::/48 /64 fc00:0:0:5:: fc00:0:0:9:: 5",
  );
});

Deno.test("JSON is read as Go reads it", () => {
  assertEquals(v4('"NETWORK": "10.3.0.0/16"'), v4('"Network": "10.3.0.0/16"'));
  assertEquals(v4('"Network": "10.9.0.0/16", "network": "10.3.0.0/16"'), v4('"Network": "10.3.0.0/16"'));
  assertEquals(v4('"Network": "10.3.5.7/16"'), v4('"Network": "10.3.0.0/16"'));
  assertEquals(v4('"Network": "10.3.0.0/16", "Unknown": [{}]'), v4('"Network": "10.3.0.0/16"'));
  const absent =
    '"SubnetLen": null, "IPv6SubnetLen": null, "IPv6SubnetMin": null, "EnableIPv4": null, "EnableNFTables": null';
  assertEquals(v4(`"Network": "10.3.0.0/16", ${absent}`), v4('"Network": "10.3.0.0/16"'));
  const zero = '"SubnetLen": 0, "SubnetMin": "0.0.0.0", "SubnetMax": "0.0.0.0", "IPv6Network": "::/0"';
  assertEquals(v4(`"Network": "10.3.0.0/16", ${zero}`), v4('"Network": "10.3.0.0/16"'));
});

Deno.test("the backend's type is lower-cased, its members are kept as written", () => {
  const backend = (text: string) => parseNetworkConfig(`{"Network": "10.3.0.0/16"${text}}`).backend;
  assertEquals(backend(""), { type: "udp", members: {} });
  assertEquals(backend(', "Backend": null'), { type: "", members: {} });
  assertEquals(backend(', "Backend": {}'), { type: "", members: {} });
  assertEquals(backend(', "backend": {"TYPE": "VxLAN", "VNI": 7}'), {
    type: "vxlan",
    members: { TYPE: "VxLAN", VNI: 7 },
  });
  assertEquals(parseNetworkConfig('{"Network": "10.3.0.0/16", "EnableNFTables": true}').enableNftables, true);
});

Deno.test("dual stack is two families by the same rules", () => {
  const config = parseNetworkConfig(
    '{"Network": "10.3.0.0/16", "EnableIPv6": true, "IPv6Network": "fc00::/48", "IPv6SubnetLen": 60}',
  );
  assertEquals(summary(config.v4), "10.3.0.0/16 /24 10.3.1.0 10.3.255.0 255");
  assertEquals(summary(config.v6), "fc00::/48 /60 fc00:0:0:10:: fc00:0:0:fff0:: 4095");
});

const wrong: readonly [members: string, message: string][] = [
  ["", "please define a correct Network parameter in the flannel config"],
  ['"Network": "0.0.0.0/0"', "please define a correct Network parameter in the flannel config"],
  [
    '"Network": "10.1.0.0/16", "EnableIPv6": true',
    "please define a correct IPv6Network parameter in the flannel config",
  ],
  ['"EnableIPv4": false', "none defined stack"],
  ['"Network": "10.1.0.0/29"', "network is too small. Minimum useful network prefix is /28"],
  ['"Network": "10.1.0.0/16", "SubnetLen": 31', "SubnetLen must be less than /31"],
  ['"Network": "10.1.0.0/16", "SubnetLen": 17', "network must be able to accommodate at least four subnets"],
  [
    '"Network": "10.1.0.0/16", "SubnetMin": "10.2.0.0"',
    "SubnetMin is not in the range of the Network: 10.2.0.0",
  ],
  [
    '"Network": "10.1.0.0/16", "SubnetMax": "10.2.0.0"',
    "SubnetMax is not in the range of the Network: 10.2.0.0",
  ],
  [
    '"Network": "10.1.0.0/16", "SubnetMin": "10.1.0.128"',
    "SubnetMin is not on a SubnetLen boundary: 10.1.0.128",
  ],
  [
    '"Network": "10.1.0.0/16", "SubnetMax": "10.1.9.1"',
    "SubnetMax is not on a SubnetLen boundary: 10.1.9.1",
  ],
  [
    '"Network": "10.1.0.0/16", "SubnetMin": "10.1.9.0", "SubnetMax": "10.1.8.0"',
    "SubnetMin is greater than SubnetMax: 10.1.9.0",
  ],
  ['"Network": null', "parse Network null"],
  ['"Network": "10.1.0.0/16", "SubnetMin": null', "parse SubnetMin null"],
  ['"Network": "10.1.0.0/16", "IPv6Network": null', "parse IPv6Network null"],
  ['"Network": "fd00::/48"', 'parse Network "fd00::/48": not an IPv4 network'],
  ['"Network": "10.1.0.0/16", "IPv6Network": "10.1.0.0/16"', 'parse IPv6Network "10.1.0.0/16"'],
  ['"Network": "10.1.0.0/16", "SubnetMin": "fd00::"', 'parse SubnetMin "fd00::": not an IPv4 address'],
  ['"Network": "10.1.0.0"', 'parse Network "10.1.0.0"'],
  ['"Network": "10.1.0.0/33"', 'parse Network "10.1.0.0/33"'],
  ['"Network": "10.1.0.0/16", "SubnetLen": 24.0', "parse SubnetLen 24.0: not a whole number"],
  ['"Network": "10.1.0.0/16", "SubnetLen": 2.4e1', "parse SubnetLen 2.4e1: not a whole number"],
  ['"Network": "10.1.0.0/16", "SubnetLen": -1', "parse SubnetLen -1: not a whole number"],
  ['"Network": "10.1.0.0/16", "SubnetLen": "24"', 'parse SubnetLen "24": not a whole number'],
  ['"Network": "10.1.0.0/16", "EnableIPv4": "yes"', 'parse EnableIPv4 "yes": not a boolean'],
  [
    '"Network": "10.1.0.0/16", "Backend": "vxlan"',
    "error decoding Backend property of config: it is a string",
  ],
  ['"Network": "10.1.0.0/16", "Backend": {"Type": 1}', "error decoding Backend property of config: Type 1"],
];

for (const [members, message] of wrong) {
  Deno.test(`wrong configuration {${members}}: ${message}`, () => {
    const error = assertThrows(() => parseNetworkConfig(`{${members}}`), Failure);
    assert(error.message.startsWith(message), error.message);
    assert(/; (add|give|write|set|turn|exchange|or)/.test(error.message), `no way out: ${error.message}`);
  });
}

Deno.test("IPv6 has its own limits", () => {
  const message = (members: string) => assertThrows(() => v6(members), Failure).message;
  assert(
    message('"IPv6Network": "fd00::/125"').startsWith(
      "IPv6Network is too small. Minimum useful network prefix is /124",
    ),
  );
  assert(
    message('"IPv6Network": "fd00::/64", "IPv6SubnetLen": 127').startsWith(
      "SubnetLen must be less than /127",
    ),
  );
  assert(
    message('"IPv6Network": "fd00::/64", "IPv6SubnetMin": "fd01::"').startsWith(
      "IPv6SubnetMin is not in the range of the IPv6Network",
    ),
  );
  assert(
    message('"IPv6Network": "fd00::/48", "IPv6SubnetMax": "fd00::1"').startsWith(
      "IPv6SubnetMax is not on a SubnetLen boundary",
    ),
  );
});

Deno.test("text that is not one JSON object is refused without being quoted", () => {
  for (
    const text of [
      "",
      "secret",
      '{"PSK": "secret" x}',
      '{"Network": "10.1.0.0/16"} x',
      '["secret"',
      "[".repeat(99),
    ]
  ) {
    const error = assertThrows(() => parseNetworkConfig(text), Failure);
    assert(error.message.startsWith("parse the network configuration: it "), error.message);
    assert(!error.message.includes("secret"), error.message);
  }
  assertThrows(() => parseNetworkConfig("[]"), Failure, "is not an object");
  assertThrows(() => parseNetworkConfig("null"), Failure, "please define a correct Network parameter");
});

Deno.test("no input does anything but fail with a message", () => {
  const names = [
    "Network",
    "SubnetLen",
    "SubnetMin",
    "SubnetMax",
    "Backend",
    "EnableIPv4",
    "EnableIPv6",
    "IPv6Network",
    "IPv6SubnetLen",
    "IPv6SubnetMin",
    "IPv6SubnetMax",
    "__proto__",
    "constructor",
  ];
  const values = fc.oneof(
    fc.jsonValue(),
    fc.integer({ min: -2, max: 140 }),
    fc.constantFrom(
      "10.0.0.0/8",
      "10.1.2.0/24",
      "0.0.0.0/1",
      "10.1.0.0",
      "255.255.255.0/24",
      "fd00::/64",
      "::1",
      "ffff::/16",
    ),
  );
  const text = fc.oneof(
    fc.string(),
    fc.dictionary(fc.constantFrom(...names), values).map((config) => JSON.stringify(config)),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        const config = parseNetworkConfig(text);
        for (const network of [config.v4, config.v6]) {
          if (network !== null) assert(subnetCount(network) >= 1n && subnetSize(network) >= 4n);
        }
      } catch (error) {
        assert(error instanceof Failure, Deno.inspect(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("config: a byte order mark in front is passed over", () => {
  assertEquals(parseNetworkConfig('\ufeff{"Network":"10.1.0.0/16"}').v4?.subnetLen, 24);
  assertEquals(unknownMembers('\ufeff{"Network":"10.1.0.0/16","X":1}'), ["X"]);
});

Deno.test("config: no message has an invisible character in it; it is named", () => {
  const cases: [string, RegExp][] = [
    ['{"Network":\u200b"10.1.0.0/16"}', /an invisible character \(U\+200B\) in it/],
    ['\u00a0{"Network":"10.1.0.0/16"}', /U\+00A0/],
    ["\u0000{", /U\+0000/],
    ['{"Network":"10.1.0.0/16\u200b"}', /parse Network "10\.1\.0\.0\/16\\u200b": not an IPv4 network/],
    ['{"Network":"10.1.0.0/16","SubnetLen":"24\u2060"}', /parse SubnetLen "24\\u2060"/],
    ['{"Net\u200bwork":"10.1.0.0/16"}', /it is not set, and nobody reads "Net\\u200bwork"/],
    ['{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan\u{e0001}"}}', /vxlan\\udb40\\udc01/],
  ];
  for (const [text, says] of cases) {
    const message = (() => {
      try {
        const backend = backendFor(parseNetworkConfig(text));
        return "problem" in backend ? backend.problem : "nothing is wrong";
      } catch (error) {
        return messageOf(error);
      }
    })();
    assertMatch(message, says);
    assertEquals(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(message), false, JSON.stringify(message));
  }
});
