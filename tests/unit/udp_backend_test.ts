/** The udp backend: what it wants, word for word, in one family and in both. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { isRefused } from "../../src/backend/backend.ts";
import { udp } from "../../src/backend/udp.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { Obj } from "../../src/model/objects.ts";
import { host, lease } from "../support/hosts.ts";

const config = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "udp", Port: 7890 } };
const both = { ...config, EnableIPv6: true, IPv6Network: "fd00:1::/48" };
const peer = (more = {}) => lease("10.1.16.0/24", "192.168.64.12", "", { backendType: "", ...more });

Deno.test("udp: device, address and route are upstream's", () => {
  const [tunnel, link, , address, route] = udp.base(host(config), 4);
  assertEquals(tunnel?.fields, {
    port: 7890,
    underlay: ["192.168.64.11"],
    icmpSources: ["10.1.15.0"],
    queues: 1,
    sender: "socket",
    sources: 16,
    acceptMoved: false,
  });
  assertEquals([link?.key, link?.fields], ["flannel0", {
    type: "tun",
    alias: "denim:default",
    mtu: 1472,
    up: true,
  }]);
  assertEquals(address?.fields, { device: "flannel0", address: "10.1.15.0", length: 32 });
  assert(route?.kind === "route");
  assertEquals([route.key, route.fields.device, route.fields.gateway], ["10.1.0.0/16", "flannel0", null]);
});

Deno.test("udp: before there is a lease there is the device and nothing on it", () => {
  assertEquals(udp.base(host(config, null), 4).map(({ kind }) => kind), ["tunnel", "link", "sysctl"]);
});

Deno.test("udp: both families share a device, with the MTU of the narrower tunnel", () => {
  const self = host(both, "10.1.15.0/24,fd00:1:0:15::/64");
  const [v4, v6] = [udp.base(self, 4), udp.base(self, 6)];
  const [tunnel, link] = v4;
  assert(tunnel?.kind === "tunnel" && link?.kind === "link");
  assertEquals(tunnel.fields.underlay, ["192.168.64.11", "fd64::11"]);
  assertEquals(link.fields.mtu, 1452);
  assertEquals([udp.mtu(self, 4), udp.mtu(self, 6)], [1452, 1452]);
  assertEquals(v6.map(({ kind, key }) => `${kind} ${key}`), [
    "address flannel0 fd00:1:0:15::",
    "route fd00:1::/48",
  ]);
});

Deno.test("udp: a peer is one entry, at its public address of the family and the port that all have", () => {
  const toward = (family: 4 | 6, more = {}) => {
    const wanted = udp.toward(host(both), peer(more), family);
    if (isRefused(wanted)) return wanted.refused;
    return wanted.map((object) => {
      assert(object.kind === "peer");
      return [object.key, object.fields.address, object.fields.port];
    });
  };
  assertEquals(toward(4), [["flannel0 10.1.16.0/24", "192.168.64.12", 7890]]);
  assertEquals(toward(6), []);
  assertMatch(String(toward(4, { publicIp: parseIp("0.0.0.0") })), /^no public IPv4 address/);
});

Deno.test("udp: an underlay too narrow for IPv6 is refused", () => {
  const self = host(both);
  const narrow = { ...self, underlay: { ...self.underlay, mtu: 1300 } };
  assertEquals(udp.unsuited(narrow, 4), null);
  assert(udp.unsuited(narrow, 6)?.startsWith("an MTU of 1252 is left inside the tunnel, IPv6 needs 1280"));
});

Deno.test("udp: the record says nothing but the address, as upstream's", () => {
  assertEquals([udp.recordType, udp.publish(host(config), 4)], ["", undefined]);
});

Deno.test("udp: a host inside the network keeps its own packets out of the tunnel", () => {
  const plan = { Network: "172.16.0.0/12", SubnetMin: "172.20.0.0", SubnetMax: "172.29.255.0" };
  const address = parseIp("172.31.0.71");
  const underlay = { device: "eth0", mtu: 1500, v4: address, v6: null, route: () => null };
  const routes = (objects: readonly Obj[]) => objects.filter((o) => o.kind === "route").map((o) => o.key);
  const inside = host({ ...plan, Backend: { Type: "udp" } }, "172.20.7.0/24", {
    publicIp: address,
    underlay,
  });
  assertEquals(routes(udp.base(inside, 4)), ["172.20.0.0/14", "172.24.0.0/14", "172.28.0.0/15"]);
  const toward = (subnet: string, self = inside) => {
    const wanted = udp.toward(self, lease(subnet, "172.31.0.72", "", { backendType: "" }), 4);
    return isRefused(wanted) ? [wanted.refused] : routes(wanted);
  };
  assertEquals([toward("172.20.8.0/24"), toward("172.30.8.0/24")], [[], ["172.30.8.0/24"]]);
  const outside = host({ ...plan, Backend: { Type: "udp" } }, "172.20.7.0/24");
  assertEquals(routes(udp.base(outside, 4)), ["172.16.0.0/12"]);
  assertMatch(
    toward("172.20.8.0/24", outside)[0]!,
    /172\.31\.0\.72 lies inside 172\.16\.0\.0\/12, which udp leads/,
  );
});
