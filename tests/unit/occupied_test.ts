/** What a host has besides us keeps the subnets in its way from being taken. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { chooseSubnets } from "../../src/model/allocate.ts";
import { type Occupied, withoutOwn } from "../../src/model/occupied.ts";
import { formatPrefix, parsePrefix } from "../../src/model/prefix.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { describeExhausted } from "../../src/store/acquire.ts";
import { seededRandom } from "../support/clock.ts";
import { subnets } from "../support/hosts.ts";

const network = (prefix: string, device = "eth0"): Occupied => ({
  prefix: parsePrefix(prefix)!,
  by: "network",
  device,
  bridge: /^(docker|br)/.test(device),
});
const route = (prefix: string, device: string | null = "eth0"): Occupied => ({
  ...network(prefix),
  by: "route",
  device,
});
const plan = (text: object) => parseNetworkConfig(JSON.stringify(text));
/** Four subnets of IPv4 and four of IPv6. */
const four = plan({ Network: "10.3.0.0/16", SubnetMin: "10.3.4.0", SubnetMax: "10.3.7.0" });
const four6 = plan({
  EnableIPv4: false,
  EnableIPv6: true,
  IPv6Network: "fd00::/48",
  IPv6SubnetMin: "fd00:0:0:4::",
  IPv6SubnetMax: "fd00:0:0:7::",
});

/** Every subnet that can be drawn; or what is said where none can. */
function draws(occupied: readonly Occupied[], config = four, preferred?: string): string {
  const found = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const wishes = { occupied, preferred: preferred === undefined ? undefined : subnets(preferred) };
    const chosen = chooseSubnets(config, [], seededRandom(seed), wishes);
    if ("exhausted" in chosen) return describeExhausted(chosen);
    found.add(formatPrefix(chosen.v4 ?? chosen.v6!));
  }
  return [...found].sort().map((text) => /(\d+)(\.0|::)\/\d+$/.exec(text)![1]).join(" ");
}

Deno.test("occupied: a device's network forbids what it overlaps, narrower or wider", () => {
  assertEquals(draws([]), "4 5 6 7");
  assertEquals(draws([network("10.3.5.0/24")]), "4 6 7");
  assertEquals(draws([network("10.3.5.128/25")]), "4 6 7");
  assertEquals(draws([network("10.3.5.9/32", "lo")]), "4 6 7");
  assertEquals(draws([network("10.3.4.0/23")]), "6 7");
  assertEquals(draws([network("fd00::/16")]), "4 5 6 7");
  assertEquals(draws([network("fd00:0:0:5::/64")], four6), "4 6 7");
  assertEquals(draws([network("fd00:0:0:5::7/128")], four6), "4 6 7");
});

Deno.test("occupied: a route forbids what it is as specific as, or more; a wider one never does", () => {
  assertEquals(draws([route("10.3.5.0/24")]), "4 6 7");
  assertEquals(draws([route("10.3.5.9/32")]), "4 6 7");
  assertEquals(draws([route("10.3.5.0/24", null)]), "4 6 7");
  assertEquals(draws([route("10.0.0.0/8"), route("10.3.4.0/23"), route("10.3.0.0/16")]), "4 5 6 7");
  assertEquals(draws([route("fd00:0:0:5::/64"), route("fd00::/16")], four6), "4 6 7");
});

Deno.test("occupied: where all is in the way, a clear failure names it", () => {
  const said = draws([network("10.3.0.0/16")]);
  assertMatch(
    said,
    /every free \/24 subnet from 10\.3\.4\.0 to 10\.3\.7\.0 overlaps .*: 10\.3\.0\.0\/16, the network of eth0; give a Network/,
  );
  assertMatch(draws([network("fd00::/32")], four6), /give a IPv6Network, IPv6SubnetMin/);
  const both = draws([network("10.3.4.0/23"), route("10.3.6.0/24"), route("10.3.7.0/24")]);
  assertMatch(both, /10\.3\.6\.0\/24, a route by way of eth0/);
});

Deno.test("occupied: docker's own bridge moves out of the way, so it forbids only while something else is left", () => {
  assertEquals(draws([network("10.3.4.0/23", "docker0")]), "6 7");
  assertEquals(draws([network("10.3.0.0/16", "docker0")]), "4 5 6 7");
  assertEquals(draws([network("10.3.0.0/16", "docker0"), network("10.3.5.0/24")]), "4 6 7");
  assertMatch(draws([network("10.3.0.0/16", "br0")]), /the network of br0/);
});

Deno.test("occupied: the subnet of before is not taken where something has come in its way", () => {
  assertEquals(draws([network("10.3.6.0/24")], four, "10.3.5.0/24"), "5");
  assertEquals(draws([network("10.3.5.0/24")], four, "10.3.5.0/24"), "4 6 7");
  assertEquals(draws([network("10.3.5.0/24", "docker0")], four, "10.3.5.0/24"), "5");
  const occupied = [network("10.3.5.0/24")];
  const kept = chooseSubnets(four, [], seededRandom(1), {
    occupied,
    preferred: subnets("10.3.5.0/24"),
    anyway: true,
  });
  assertEquals(kept, subnets("10.3.5.0/24"));
});

Deno.test("occupied: what carries our own subnet is not in its way, but the external interface is", () => {
  const own = subnets("10.3.5.0/24");
  const bridge = [
    network("10.3.5.0/24", "br-pods"),
    route("10.3.5.7/32", "veth1"),
    network("10.3.6.0/24", "br1"),
  ];
  assertEquals(withoutOwn(bridge, own, "eth0").map(({ device }) => device), ["br1"]);
  for (const underlay of ["eth0", "br0"]) {
    assertEquals(withoutOwn([network("10.3.5.0/24", underlay)], own, underlay).length, 1, underlay);
  }
  assertEquals(withoutOwn([network("10.3.4.0/22", "docker0")], own, "eth0").length, 1);
  assert(withoutOwn(bridge, { v4: null, v6: null }, "eth0").length === 3);
});
