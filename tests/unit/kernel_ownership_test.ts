/** Whose a read-back object is: a table, one line for each way an object can look. */
import { assertEquals } from "@std/assert";
import {
  addressStanding,
  type DeviceStandings,
  fdbStanding,
  linkStanding,
  neighbourStanding,
  nexthopStanding,
  routeStanding,
  sysctlStanding,
} from "../../src/kernel/ownership.ts";
import type { Owner } from "../../src/model/owner.ts";
import { nexthopIds } from "../../src/model/nexthop_id.ts";
import type { FieldsByKind, Kind, ObjectOf } from "../../src/model/objects.ts";
import type { Standing } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const owner: Owner = {
  instance: "default",
  devices: ["flannel.1", "flannel-v6.1", "flannel.7"],
  networks: [parsePrefix("10.5.0.0/16")!, parsePrefix("fd00:5::/48")!],
  subnets: [],
  layout: "chains",
  vnis: new Map([["flannel.1", 1], ["flannel-v6.1", 1], ["flannel.7", 7]]),
};
const devices: DeviceStandings = new Map<string, Standing>([
  ["flannel.1", "ours"],
  ["flannel-v6.1", "adoptable"],
  ["flannel.7", "foreign"],
]);

/** Of the fields those that count. */
type Row<K extends Kind> = readonly [Standing | null, string, Partial<FieldsByKind[K]>];

/** `about` is the key of a link, the device of anything else. */
function table<K extends Kind>(
  kind: K,
  rows: readonly Row<K>[],
  judge: (object: ObjectOf<K>) => Standing | null,
): void {
  for (const [expected, about, fields] of rows) {
    const on = kind === "link" || about === "" ? {} : { on: about };
    const text = `${kind} ${about} ${JSON.stringify(fields)}`;
    Deno.test(`${text} is ${expected ?? "nobody's business"}`, () => {
      assertEquals(judge({ kind, key: about, ...on, fields: fields as FieldsByKind[K] }), expected);
    });
  }
}

const vxlan = { type: "vxlan", alias: "", vni: 1 };
table("link", [
  ["ours", "flannel.1", { ...vxlan, alias: "denim:default" }],
  ["ours", "flannel.1", { ...vxlan, alias: "denim:default", vni: 9 }],
  ["ours", "flannel.99", { ...vxlan, alias: "denim:default", vni: 99 }],
  ["adoptable", "flannel.1", vxlan],
  ["adoptable", "flannel.7", { ...vxlan, vni: 7 }],
  ["foreign", "flannel.1", { ...vxlan, vni: 2 }],
  ["foreign", "flannel.1", { ...vxlan, alias: "denim:second" }],
  ["foreign", "flannel.1", { ...vxlan, alias: "uplink of rack 4" }],
  ["foreign", "flannel.1", { type: "bridge", alias: "" }],
  [null, "flannel.2", { ...vxlan, vni: 2 }],
  [null, "flannel.2", { ...vxlan, alias: "denim:second" }],
  [null, "eth0", { type: "", alias: "" }],
], (link) => linkStanding(link, owner));

table("address", [
  ["ours", "flannel.1", { address: "10.5.72.0" }],
  ["ours", "flannel-v6.1", { address: "fd00:5:0:72::" }],
  [null, "flannel.1", { address: "172.16.0.1" }],
  [null, "flannel-v6.1", { address: "fe80::1" }],
  ["adoptable", "flannel.1", { address: "172.16.5.0", length: 32 }],
  ["adoptable", "flannel.1", { address: "fd07::", length: 128 }],
  [null, "flannel-v6.1", { address: "fd07::", length: 128 }],
  [null, "flannel.1", { address: "172.16.5.0", length: 24 }],
  [null, "flannel.1", { address: "172.16.5.8", length: 32 }],
  [null, "flannel-v6.1", { address: "fd07::1:0:0:0", length: 64 }],
  [null, "flannel-v6.1", { address: "fd07::1:0", length: 128 }],
  [null, "flannel.7", { address: "10.5.72.0" }],
  [null, "docker0", { address: "10.5.72.1" }],
], (address) => addressStanding(address, owner, devices));

const permanent = { state: "permanent", address: "10.5.1.0", protocol: 0 } as const;
table("neighbour", [
  ["ours", "flannel.1", { ...permanent, protocol: 85 }],
  ["ours", "flannel.1", { ...permanent, protocol: 85, address: "172.16.0.1" }],
  ["adoptable", "flannel.1", permanent],
  ["adoptable", "flannel-v6.1", { ...permanent, address: "fd00:5:0:1::" }],
  ["foreign", "flannel.1", { ...permanent, address: "172.16.0.1" }],
  ["foreign", "flannel.1", { ...permanent, protocol: 99 }],
  [null, "flannel.1", { ...permanent, state: "dynamic", protocol: 85 }],
  [null, "flannel.7", { ...permanent, protocol: 85 }],
  [null, "eth0", permanent],
], (entry) => neighbourStanding(entry, owner, devices));

const entry = { state: "permanent", mac: "02:00:00:00:00:01", destination: "192.168.77.2" } as const;
table("fdb", [
  ["ours", "flannel.1", entry],
  ["adoptable", "flannel-v6.1", entry],
  ["foreign", "flannel.1", { ...entry, mac: "00:00:00:00:00:00" }],
  ["foreign", "flannel.1", { ...entry, mac: "01:00:5e:00:00:01" }],
  ["foreign", "flannel.1", { ...entry, destination: null }],
  [null, "flannel.1", { ...entry, state: "dynamic" }],
  [null, "flannel.7", entry],
  [null, "eth0", entry],
], (object) => fdbStanding(object, devices));

const plain = { type: "unicast", metric: 0, tos: 0, paths: 0, nexthop: null, onlink: false };
const toPeer = { ...plain, destination: "10.5.1.0/24", gateway: "10.5.1.0", onlink: true, protocol: 3 };
const toPeer6 = { ...toPeer, destination: "fd00:5:0:1::/64", gateway: "fd00:5:0:1::", metric: 1024 };
const direct = { ...plain, destination: "10.5.1.0/24", gateway: "192.168.77.2", protocol: 3 };
table("route", [
  ["ours", "flannel.1", { ...toPeer, protocol: 85 }],
  ["ours", "eth0", { ...direct, protocol: 85 }],
  ["ours", "flannel.1", { ...toPeer, protocol: 85, destination: "10.9.1.0/24" }],
  ["ours", "", { ...plain, type: "blackhole", protocol: 85, destination: "10.5.1.0/24", gateway: null }],
  ["ours", "eth0", { ...direct, protocol: 85, metric: 50 }],
  ["adoptable", "flannel.1", toPeer],
  ["adoptable", "flannel-v6.1", toPeer6],
  ["foreign", "flannel.1", { ...toPeer, onlink: false }],
  ["foreign", "flannel.1", { ...toPeer, gateway: "10.5.1.1" }],
  ["foreign", "flannel.1", { ...toPeer, gateway: null }],
  ["foreign", "flannel.1", { ...toPeer, metric: 10 }],
  ["foreign", "flannel-v6.1", { ...toPeer6, metric: 256 }],
  ["foreign", "flannel.1", { ...toPeer, protocol: 4 }],
  ["foreign", "flannel.1", { ...toPeer, gateway: null, nexthop: 3 }],
  ["ours", "flannel.1", { ...toPeer, gateway: null, nexthop: 3, protocol: 85 }],
  [null, "flannel.1", { ...toPeer, destination: "10.9.1.0/24", gateway: "10.9.1.0" }],
  ["lookalike", "eth0", direct],
  ["lookalike", "flannel.7", toPeer],
  ["foreign", "eth0", { ...direct, gateway: null }],
  ["foreign", "eth0", { ...direct, gateway: "2 paths", paths: 2 }],
  ["foreign", "eth0", { ...direct, tos: 16 }],
  ["foreign", "eth0", { ...direct, protocol: 4 }],
  ["foreign", "docker0", { ...direct, gateway: null, protocol: 2, destination: "10.5.72.0/24" }],
  ["foreign", "", { ...plain, type: "unreachable", protocol: 85, destination: "10.5.1.0/24", gateway: null }],
  [null, "eth0", { ...direct, protocol: 85, destination: "10.6.1.0/24" }],
  [null, "eth0", { ...direct, protocol: 85, destination: "10.0.0.0/8" }],
  [null, "eth0", { ...direct, destination: "0.0.0.0/0" }],
  [null, "flannel.7", { ...toPeer, protocol: 85, destination: "10.6.1.0/24" }],
], (route) => routeStanding(route, owner, devices));

const ownId = nexthopIds("default", "eth0", "192.168.77.2")[1]!;
const theirId = nexthopIds("other", "eth0", "192.168.77.2")[0]!;
const hop = { id: 7, device: "flannel.1", gateway: "10.5.1.0", onlink: true, type: "unicast", protocol: 85 };
const directHop = { ...hop, device: "eth0", gateway: "192.168.77.2" };
table("nexthop", [
  ["ours", "flannel.1", hop],
  ["ours", "flannel.1", { ...hop, gateway: "10.9.1.0" }],
  ["ours", "flannel.7", { ...hop, device: "flannel.7" }],
  ["ours", "eth0", { ...directHop, id: ownId }],
  ["foreign", "eth0", { ...directHop, id: theirId }],
  ["foreign", "flannel.1", { ...hop, id: 0x40000000, protocol: 3 }],
  ["foreign", "", { ...hop, id: 0x7fffffff, gateway: null, device: null, type: "group" }],
  [null, "flannel.1", { ...hop, protocol: 3 }],
  [null, "flannel.1", { ...hop, type: "blackhole" }],
  [null, "eth0", directHop],
  [null, "eth0", { ...directHop, id: 0x3fffffff }],
  [null, "eth0", { ...directHop, id: 0x80000000 }],
], (object) => nexthopStanding(object, owner, devices));

table("sysctl", [
  ["ours", "flannel.1", { value: "0" }],
  ["ours", "", { value: "1" }],
  [null, "flannel.7", { value: "0" }],
], (setting) => sysctlStanding(setting, devices));
