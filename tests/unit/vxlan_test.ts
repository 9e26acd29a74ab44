/** The vxlan backend: what it wants, word for word, in both families. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Host, isRefused } from "../../src/backend/backend.ts";
import { vxlan } from "../../src/backend/vxlan.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { ObjectOf } from "../../src/model/objects.ts";
import { host, lease } from "../support/hosts.ts";

const config = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } };
/** The device that a host wants, which comes first. */
function linkOf(self: Host): ObjectOf<"link"> {
  const [link] = vxlan.base(self, 4);
  assert(link?.kind === "link");
  return link;
}
const peer = () => lease("10.1.16.0/24", "192.168.64.12", "02-00-00-00-00-12");

Deno.test("vxlan: the device has upstream's name, port, address and MTU", () => {
  const [link, , address] = vxlan.base(host(config), 4);
  assert(link?.kind === "link");
  assertEquals(link.key, "flannel.1");
  assertEquals(link.fields, {
    alias: "denim:default",
    vni: 1,
    lower: "eth0",
    port: 8472,
    learning: false,
    gbp: false,
    mtu: 1450,
    mac: link.fields.mac ?? null,
    type: "vxlan",
    local: "192.168.64.11",
    l2miss: false,
    up: true,
  });
  assertEquals(address?.fields, { device: "flannel.1", address: "10.1.15.0", length: 32 });
});

Deno.test("vxlan: a new device's MAC follows from public IP and VNI, an existing one keeps its own", () => {
  const mac = (h: Host) => linkOf(h).fields.mac;
  assertMatch(String(mac(host(config))), /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
  assertEquals(mac(host(config)), mac(host(config)));
  const other = host({ ...config, Backend: { Type: "vxlan", VNI: 2 } });
  assertEquals(mac(host(config)) === mac(other), false);
  assertEquals(
    mac(host(config, null, { macs: new Map([["flannel.1", "02:aa:aa:aa:aa:aa"]]) })),
    "02:aa:aa:aa:aa:aa",
  );
});

Deno.test("vxlan: one peer is a neighbour, an FDB entry and an onlink route", () => {
  const objects = vxlan.toward(host(config), peer(), 4);
  if (isRefused(objects)) throw new Error(objects.refused);
  assertEquals(objects.map((o) => [o.kind, o.key]), [
    ["neighbour", "flannel.1 10.1.16.0"],
    ["fdb", "flannel.1 02:00:00:00:00:12"],
    ["route", "10.1.16.0/24"],
  ]);
  const way = objects[2];
  assert(way?.kind === "route");
  assertEquals(way.fields.gateway, "10.1.16.0");
  assertEquals(way.fields.onlink, true);
});

Deno.test("vxlan: DirectRouting gives a peer on our link a plain route, others the tunnel", () => {
  const direct = { ...config, Backend: { Type: "vxlan", DirectRouting: true } };
  const near = host(direct);
  const underlay = { ...near.underlay, route: () => ({ onLink: true, device: "eth0" }) };
  const objects = vxlan.toward({ ...near, underlay }, peer(), 4);
  if (isRefused(objects)) throw new Error(objects.refused);
  const [way] = objects;
  assert(objects.length === 1 && way?.kind === "route");
  assertEquals([way.fields.gateway, way.fields.device], ["192.168.64.12", "eth0"]);
  const far = vxlan.toward(near, peer(), 4);
  assertEquals(isRefused(far) ? 0 : far.length, 3);
});

Deno.test("vxlan: IPv6 is the same on a device of its own, with its own overhead", () => {
  const dual = host(
    { ...config, EnableIPv6: true, IPv6Network: "fd00:1::/48" },
    "10.1.15.0/24,fd00:1:0:15::/64",
  );
  const [link, sysctl, address] = vxlan.base(dual, 6);
  assert(link?.kind === "link" && address?.kind === "address");
  assertEquals([link.key, link.fields.local, link.fields.mtu], ["flannel-v6.1", "fd64::11", 1430]);
  assertEquals(sysctl?.key, "net/ipv6/conf/flannel-v6.1/accept_ra");
  assertEquals(address.fields.length, 128);
});

Deno.test("vxlan: a peer without a usable MAC or address is refused with the reason", () => {
  for (const mac of ["", "nonsense", "00:00:00:00:00:00", "01:00:5e:00:00:01"]) {
    const refused = vxlan.toward(host(config), lease("10.1.16.0/24", "192.168.64.12", mac), 4);
    assertMatch(isRefused(refused) ? refused.refused : "accepted", /VtepMAC/);
  }
  const nowhere = { ...peer(), record: { ...peer().record, publicIp: parseIp("0.0.0.0") } };
  const refused = vxlan.toward(host(config), nowhere, 4);
  assertMatch(isRefused(refused) ? refused.refused : "accepted", /no public IPv4 address/);
});

Deno.test("vxlan: members are checked by name, value and rule", () => {
  const check = (members: Record<string, unknown>) =>
    vxlan.check({ type: "vxlan", members: members as Parameters<typeof vxlan.check>[0]["members"] });
  assertEquals(check({ vni: 7, LEARNING: true }), null);
  assertMatch(
    String(check({ VNI: 16777216 })),
    /^Backend\.VNI 16777216: must be a whole number from 0 to 16777215$/,
  );
  assertMatch(
    String(check({ DirectRouting: "yes" })),
    /^Backend\.DirectRouting "yes": must be true or false$/,
  );
});

Deno.test("vxlan: a peer with our own tunnel address is refused", () => {
  const self = host(config);
  const mac = String(linkOf(self).fields.mac);
  const result = vxlan.toward(self, lease("10.1.16.0/24", "192.168.64.12", mac), 4);
  assertEquals(result, { refused: `its VtepMAC ${mac} is our own` });
});
