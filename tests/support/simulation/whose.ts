/**
 * Whose an object on a simulated host is, worked out a second time from the way it stands there: by the rules as
 * documented (docs/development.md names the marks), on texts, without the product's code for ownership.
 *
 * - `ours`: it carries a mark that denim alone writes, or stands where nobody else has business: on a device of ours.
 * - `adoptable`: as flannel writes it, to the letter, on a device of ours.
 * - `lookalike`: as flannel writes it, where an administrator could have written the same.
 * - `foreign`: in a place of ours, of somebody else.
 * - null: not in any place of ours.
 */
import type { Owner } from "../../../src/model/owner.ts";
import type { FieldsByKind, Obj, ObjectOf } from "../../../src/model/objects.ts";
import { formatPrefix } from "../../../src/model/prefix.ts";
import { familyOfText, inside } from "./texts.ts";

export type Whose = "ours" | "adoptable" | "lookalike" | "foreign" | null;

/** What a host goes by: the devices of its network (VNI null: a TUN device), and the networks that it has or had. */
export interface Territory {
  readonly devices: ReadonlyMap<string, number | null>;
  /** `10.1.0.0/16`. */
  readonly networks: readonly string[];
}

/** What a process says that it goes by. */
export function territoryOf({ devices, vnis, networks }: Owner): Territory {
  return {
    devices: new Map(devices.map((name) => [name, vnis.get(name) ?? null])),
    networks: networks.map(formatPrefix),
  };
}

/** The object of that name, where there is one. */
type Device = (name: string) => ObjectOf<"link"> | undefined;

export function whose(object: Obj, territory: Territory, device: Device): Whose {
  switch (object.kind) {
    case "tunnel":
    case "peer":
      // Descriptors of one process: nobody else has them.
      return "ours";
    case "link":
      return ofLink(object, territory);
    case "sysctl":
      // Of somebody else's device: nothing that we look at.
      return object.on !== undefined && ownerOf(object, territory, device) === "foreign" ? null : "ours";
    case "chain":
    case "jump":
    case "rules":
      // The listing is reduced to ours before it comes here.
      return "ours";
    default:
      break;
  }
  const holder = ownerOf(object, territory, device);
  const onOurs = holder === "ours" || holder === "adoptable";
  switch (object.kind) {
    case "address":
      if (onOurs && territory.networks.some((n) => inside(object.fields.address, n))) return "ours";
      return holder === "ours" && isTunnelAddress(object.fields) ? "adoptable" : null;
    case "neighbour":
      if (!onOurs || object.fields.state !== "permanent") return null;
      if (object.fields.protocol === 85) return "ours";
      return object.fields.protocol === 0 && territory.networks.some((n) => inside(object.fields.address, n))
        ? "adoptable"
        : "foreign";
    case "fdb":
      if (!onOurs || object.fields.state !== "permanent") return null;
      return object.fields.destination !== null && unicastMac(object.fields.mac ?? "") ? holder : "foreign";
    case "route":
      return ofRoute(object, onOurs, territory);
    default:
      // Nexthop objects come with more peers than a schedule has.
      return null;
  }
}

function ofLink({ key, fields }: ObjectOf<"link">, { devices }: Territory): Whose {
  if (fields.alias === "denim:default") return "ours";
  const vni = devices.get(key);
  if (vni === undefined) return null;
  const asFlannel = vni === null ? fields.type === "tun" : fields.type === "vxlan" && fields.vni === vni;
  return asFlannel && fields.alias === "" ? "adoptable" : "foreign";
}

function ownerOf({ on }: Obj, territory: Territory, device: Device): Whose {
  const link = on === undefined ? undefined : device(on);
  return link !== undefined && territory.devices.has(link.key) ? ofLink(link, territory) : null;
}

function ofRoute({ fields }: ObjectOf<"route">, onOurs: boolean, { networks }: Territory): Whose {
  const { destination } = fields;
  const within = networks.some((network) => inside(destination, network));
  const marked = fields.protocol === 85 && (fields.type === "unicast" || fields.type === "blackhole");
  if (marked && (onOurs || within)) return "ours";
  if (!within) return null;
  const usual = familyOfText(destination) === 4 ? 0 : 1024;
  const bare = fields.protocol === 3 && fields.type === "unicast" && fields.gateway !== null &&
    fields.nexthop === null && fields.metric === usual && fields.tos === 0 && fields.paths === 0;
  if (!bare) return "foreign";
  if (!onOurs) return "lookalike";
  return fields.onlink && destination.split("/")[0] === fields.gateway ? "adoptable" : "foreign";
}

/** The network address of a /24 or /64 or of something wider, alone. */
function isTunnelAddress({ address, length }: FieldsByKind["address"]): boolean {
  return /^\d+\.\d+\.\d+\.0 32$|^([0-9a-f]+:){1,4}: 128$/.test(`${address} ${length}`);
}

/** Not all zeros, and not of a group. */
function unicastMac(mac: string): boolean {
  return /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac) && mac !== "00:00:00:00:00:00";
}
