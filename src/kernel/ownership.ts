/**
 * Whose an object is, from the way it was read back, without any memory of who made it.
 *
 * | kind      | ours                           | adoptable                      | lookalike        | foreign            |
 * |-----------|--------------------------------|--------------------------------|------------------|--------------------|
 * | tunnel    | carried by this process        |                                |                  |                    |
 * | peer      | in a tunnel of ours            |                                |                  |                    |
 * | link      | our alias                      | our name and VNI (or a TUN     |                  | our name otherwise |
 * |           |                                | device), no alias              |                  |                    |
 * | address   | on our device, in our networks | on a device with our alias, of |                  |                    |
 * |           |                                | the form of a tunnel's address |                  |                    |
 * | neighbour | on our device, our protocol    | no protocol, in our networks   |                  | permanent          |
 * | fdb       | to a VTEP, on our device       | to a VTEP, on an adoptable one |                  | the rest there     |
 * | sysctl    | wanted, not on a foreign device |                                |                  |                    |
 * | nexthop   | our protocol, and our device,  |                                |                  | the rest in our    |
 * |           | our networks or our choice     |                                |                  | range of ids       |
 * | route     | our protocol, and our device   | what upstream writes through   | what it writes   | the rest inside    |
 * |           | or inside our networks         | our device, to the letter      | through others   | our networks       |
 *
 * Our alias, our choice of an id, our chains: those of our name, and of a daemon whose place we have taken.
 *
 * "Our device" is one that is ours or adoptable. What is in no cell is nobody's business here: null. The objects of a
 * second daemon carry another alias, stand on other devices and lead into other networks, so they are foreign or null.
 */
import { bits, type Family, parseIp } from "../model/ip.ts";
import { isUsableMac } from "../model/mac.ts";
import { inNexthopRange, nexthopIds } from "../model/nexthop_id.ts";
import { type FieldsByKind, linkAlias, type ObjectOf, ROUTE_PROTOCOL } from "../model/objects.ts";
import type { Standing } from "../model/plan.ts";
import { containsIp, containsPrefix, formatPrefix, parsePrefix, type Prefix } from "../model/prefix.ts";
import type { Owner } from "../model/owner.ts";

/** RTPROT_BOOT (linux/rtnetlink.h): what iproute2 and upstream write when they say nothing. */
const BOOT = 3;

/** Whose the device of a name is; a device that nobody asked about is not in it. */
export type DeviceStandings = ReadonlyMap<string, Standing>;

/** All names by which things are ours. */
export function instancesOf({ instance, formerInstances = [] }: Owner): string[] {
  return [instance, ...formerInstances];
}

export function linkStanding(link: ObjectOf<"link">, owner: Owner): Standing | null {
  const named = owner.devices.includes(link.key);
  if (instancesOf(owner).some((instance) => link.fields.alias === linkAlias(instance))) return "ours";
  if (!named) return null;
  if (link.fields.alias !== "") return "foreign";
  const vni = owner.vnis.get(link.key);
  const expected = vni === undefined
    ? link.fields.type === "tun"
    : link.fields.type === "vxlan" && link.fields.vni === vni;
  return expected ? "adoptable" : "foreign";
}

export function addressStanding(
  address: ObjectOf<"address">,
  owner: Owner,
  devices: DeviceStandings,
): Standing | null {
  if (!onOurs(address, devices)) return null;
  if (inNetworks(address.fields.address, owner)) return "ours";
  return devices.get(address.on!) === "ours" && isTunnelAddress(address.fields, owner) ? "adoptable" : null;
}

/** Subnets that are this wide or wider can be told by their address: nobody gives a device a single address with as many zeros. */
const COMMON_LENGTH = { 4: 24, 6: 64 } as const;

/**
 * A subnet's network address, alone: what a flannel gives to its device, and what is left there of a network that no subnet
 * file tells of any more.
 */
function isTunnelAddress({ address, length }: FieldsByKind["address"], { subnets }: Owner): boolean {
  const ip = parseIp(address);
  if (ip === null || length !== bits(ip.family)) return false;
  const ours = subnets.filter((subnet) => subnet.ip.family === ip.family).map((subnet) => subnet.length);
  const zeros = BigInt(bits(ip.family) - Math.max(COMMON_LENGTH[ip.family], ...ours));
  return (ip.value >> zeros) << zeros === ip.value;
}

/** Entries that the kernel learned are as good as absent: writing over one takes nothing from anybody. */
export function neighbourStanding(
  entry: ObjectOf<"neighbour">,
  owner: Owner,
  devices: DeviceStandings,
): Standing | null {
  if (!onOurs(entry, devices) || entry.fields.state !== "permanent") return null;
  if (entry.fields.protocol === ROUTE_PROTOCOL) return "ours";
  return entry.fields.protocol === 0 && inNetworks(entry.fields.address, owner) ? "adoptable" : "foreign";
}

/** Nothing marks an FDB entry; a permanent one towards a VTEP, on a device that is ours, nobody else would write. */
export function fdbStanding(entry: ObjectOf<"fdb">, devices: DeviceStandings): Standing | null {
  if (!onOurs(entry, devices) || entry.fields.state !== "permanent") return null;
  const { destination, mac } = entry.fields;
  if (destination === null || mac === null || !isUsableMac(mac)) return "foreign";
  return devices.get(entry.on!) ?? null;
}

/** Other instances choose other ids for the same gateway, so an id that we would choose is a mark. */
export function nexthopStanding(
  object: ObjectOf<"nexthop">,
  owner: Owner,
  devices: DeviceStandings,
): Standing | null {
  const { id, gateway, device, type, protocol } = object.fields;
  const ours = protocol === ROUTE_PROTOCOL && type === "unicast" &&
    (onOurs(object, devices) || inNetworks(gateway, owner) ||
      instancesOf(owner).some((instance) =>
        nexthopIds(instance, String(device), String(gateway)).includes(id)
      ));
  return ours ? "ours" : inNexthopRange(id) ? "foreign" : null;
}

export function routeStanding(
  route: ObjectOf<"route">,
  owner: Owner,
  devices: DeviceStandings,
): Standing | null {
  const throughOurs = onOurs(route, devices);
  const marked = route.fields.protocol === ROUTE_PROTOCOL && isOwnType(route);
  if (throughOurs && marked) return "ours";
  const destination = parsePrefix(route.fields.destination);
  const inside = destination !== null && owner.networks.some((n) => containsPrefix(n, destination));
  if (!inside && !throughOurs) return null;
  if (marked) return "ours";
  if (!inside || destination === null) return null;
  if (route.fields.protocol !== BOOT || !isPlain(route, destination)) return "foreign";
  if (!throughOurs) return "lookalike";
  const ownGateway = formatPrefix(destination).startsWith(`${route.fields.gateway}/`);
  return route.fields.onlink && ownGateway ? "adoptable" : "foreign";
}

/** Nothing marks a setting; one of a device that is not ours is not ours either. */
export function sysctlStanding(setting: ObjectOf<"sysctl">, devices: DeviceStandings): Standing | null {
  return setting.on !== undefined && devices.get(setting.on) === "foreign" ? null : "ours";
}

/** The metric that the kernel gives a route that names none: of IPv6, IP6_RT_PRIO_USER (net/ip6_route.h). */
export function defaultMetric(family: Family): number {
  return family === 4 ? 0 : 1024;
}

function isOwnType(route: ObjectOf<"route">): boolean {
  return route.fields.type === "unicast" || route.fields.type === "blackhole";
}

/** One path through a gateway, without a metric or anything else that only an administrator would set. */
function isPlain(route: ObjectOf<"route">, destination: Prefix): boolean {
  const { type, gateway, metric, tos, paths, nexthop } = route.fields;
  return type === "unicast" && gateway !== null && metric === defaultMetric(destination.ip.family) &&
    tos === 0 &&
    paths === 0 && nexthop === null;
}

function onOurs(object: { readonly on?: string }, devices: DeviceStandings): boolean {
  const standing = object.on === undefined ? undefined : devices.get(object.on);
  return standing === "ours" || standing === "adoptable";
}

function inNetworks(text: string | null, owner: Owner): boolean {
  const address = text === null ? null : parseIp(text);
  return address !== null && owner.networks.some((n) => containsIp(n, address));
}
