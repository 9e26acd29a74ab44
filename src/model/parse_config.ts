/**
 * Reads and checks the network configuration (spec §2): upstream's members, defaults, rules and messages.
 *
 * JSON is read the way Go reads it: member names in any case, the last of several wins, unknown ones are ignored, an
 * integer is written without fraction or exponent. Both families go through the same code; `familyMembers` says how their
 * members are called and where their limits lie. Every message opens with upstream's wording where upstream has one.
 */
import { Failure, messageOf } from "./errors.ts";
import { type ReadJson, readJson } from "./hostile.ts";
import { addToIp, bits, type Family, formatIp, type Ip, isUnspecified, parseIp } from "./ip.ts";
import { isJsonObject, type Json, type JsonObject, member } from "./json.ts";
import type { BackendConfig, FamilyNetwork, NetworkConfig } from "./network_config.ts";
import { containsIp, formatPrefix, parsePrefix, type Prefix, prefixEnd } from "./prefix.ts";
import { shownJson } from "./shown.ts";

const CONFIG_BOUNDS = { length: 1 << 20, depth: 64 } as const;

interface FamilyMembers {
  readonly family: Family;
  readonly enable: string;
  readonly enabledByDefault: boolean;
  readonly network: string;
  readonly length: string;
  readonly min: string;
  readonly max: string;
  /** Whether upstream reads `null` for min and max as absent; otherwise it is an error. */
  readonly boundsMayBeNull: boolean;
  /** Prefix length that subnets get by themselves where the network is large enough. */
  readonly usualLength: number;
  readonly example: string;
}

const familyMembers: readonly FamilyMembers[] = [
  {
    family: 4,
    enable: "EnableIPv4",
    enabledByDefault: true,
    network: "Network",
    length: "SubnetLen",
    min: "SubnetMin",
    max: "SubnetMax",
    boundsMayBeNull: false,
    usualLength: 24,
    example: "10.1.0.0/16",
  },
  {
    family: 6,
    enable: "EnableIPv6",
    enabledByDefault: false,
    network: "IPv6Network",
    length: "IPv6SubnetLen",
    min: "IPv6SubnetMin",
    max: "IPv6SubnetMax",
    boundsMayBeNull: true,
    usualLength: 64,
    example: "fd00:1::/48",
  },
];

/** Every member that is read, Backend's own excepted. */
export const knownMembers: readonly string[] = [
  ...familyMembers.flatMap(({ enable, network, length, min, max }) => [enable, network, length, min, max]),
  "EnableNFTables",
  "Backend",
];

/**
 * The configuration in `text`. Whether its backend type exists is for the backends to say.
 *
 * @throws Failure that names the member, its value and the rule
 */
export function parseNetworkConfig(text: string): NetworkConfig {
  const root = readRoot(text);
  const backend = readBackend(root.object);
  const enableNftables = readBoolean(root, "EnableNFTables", false);
  const raw = familyMembers.map((names) => readFamily(root, names));
  const [v4, v6] = raw.map((family) => family.enabled ? checkFamily(family, strangers(root)) : null);
  if (!v4 && !v6) {
    throw new Failure(
      `none defined stack: both EnableIPv4 and EnableIPv6 are off; set "EnableIPv4": true or "EnableIPv6": true`,
    );
  }
  return { v4: v4 ?? null, v6: v6 ?? null, backend, enableNftables };
}

/** The optional members that `text` leaves to their defaults, in the order of the table; Backend's own are the backend's. */
export function defaultedMembers(text: string): readonly string[] {
  const root = readRoot(text);
  const families = familyMembers.map((names) => readFamily(root, names));
  const absent = families.flatMap(({ names, enabled, length, min, max }) => [
    ...(member(root.object, names.enable) === undefined ? [names.enable] : []),
    ...(enabled && length === null ? [names.length] : []),
    ...(enabled && min === null ? [names.min] : []),
    ...(enabled && max === null ? [names.max] : []),
  ]);
  const others = ["EnableNFTables", "Backend"].filter((name) => member(root.object, name) === undefined);
  return [...absent, ...others];
}

/** Members that `text` has and nobody reads, as written: typing errors, mostly. */
export function unknownMembers(text: string): readonly string[] {
  return strangers(readRoot(text));
}

function strangers({ object }: Root): string[] {
  const known = new Set(knownMembers.map((name) => name.toLowerCase()));
  return Object.keys(object).filter((name) => !known.has(name.toLowerCase()));
}

/** How many subnets the network has to give away. */
export function subnetCount(network: FamilyNetwork): bigint {
  return (network.subnetMax.value - network.subnetMin.value) / subnetSize(network) + 1n;
}

/** How many addresses each subnet has: the step from one to the next. */
export function subnetSize(network: FamilyNetwork): bigint {
  return sizeOf(network.family, network.subnetLen);
}

function sizeOf(family: Family, length: number): bigint {
  return 1n << BigInt(bits(family) - length);
}

// Reading: members become typed values, or an error that says what stands there.

interface Root {
  readonly object: JsonObject;
  readonly written: ReadJson["written"];
}

/** Without the byte order mark that some editors put in front. */
export function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

function readRoot(text: string): Root {
  let read: ReadJson;
  try {
    read = readJson(withoutMark(text), CONFIG_BOUNDS);
  } catch (error) {
    throw new Failure(
      `parse the network configuration: it ${messageOf(error)}; it must look like {"Network": "10.1.0.0/16"}`,
    );
  }
  const object = read.value ?? {};
  if (!isJsonObject(object)) {
    throw new Failure(
      `parse the network configuration: ${
        shownJson(read.value)
      } is not an object; write {"Network": "10.1.0.0/16"}`,
    );
  }
  return { object, written: read.written };
}

function readBackend(root: JsonObject): BackendConfig {
  const backend = member(root, "Backend");
  if (backend === undefined) return { type: "udp", members: {} };
  if (backend === null) return { type: "", members: {} };
  if (!isJsonObject(backend)) {
    throw new Failure(
      `error decoding Backend property of config: it is ${
        kindOf(backend)
      }; write "Backend": {"Type": "vxlan"}`,
    );
  }
  const type = member(backend, "Type") ?? "";
  if (typeof type !== "string") {
    throw new Failure(
      `error decoding Backend property of config: Type ${
        shownJson(type)
      } is not a string; write "Type": "vxlan"`,
    );
  }
  return { type: type.toLowerCase(), members: backend };
}

/** One family as written; null for what is absent, or stands for it (`0.0.0.0/0`, length 0, `0.0.0.0`). */
interface RawFamily {
  readonly names: FamilyMembers;
  readonly enabled: boolean;
  readonly network: Prefix | null;
  readonly length: number | null;
  readonly min: Ip | null;
  readonly max: Ip | null;
}

function readFamily(root: Root, names: FamilyMembers): RawFamily {
  return {
    names,
    enabled: readBoolean(root, names.enable, names.enabledByDefault),
    network: readNetwork(root.object, names),
    length: readLength(root, names.length),
    min: readBound(root.object, names, names.min),
    max: readBound(root.object, names, names.max),
  };
}

function readBoolean({ object }: Root, name: string, otherwise: boolean): boolean {
  const value = member(object, name) ?? otherwise;
  if (typeof value === "boolean") return value;
  throw new Failure(`parse ${name} ${shownJson(value)}: not a boolean; write true or false without quotes`);
}

function readNetwork(root: JsonObject, names: FamilyMembers): Prefix | null {
  const value = member(root, names.network);
  if (value === undefined) return null;
  const network = typeof value === "string" ? parsePrefix(value) : null;
  if (network === null || network.ip.family !== names.family) {
    throw new Failure(
      `parse ${names.network} ${shownJson(value)}: not an IPv${names.family} network; ` +
        `give an address and a prefix length, as in "${names.example}"`,
    );
  }
  return network.length === 0 ? null : network;
}

function readLength(root: Root, name: string): number | null {
  const [key, value] = lastMember(root.object, name) ?? [name, null];
  if (value === null) return null;
  const written = root.written(root.object, key);
  if (written === undefined || !/^(0|[1-9]\d*)$/.test(written)) {
    throw new Failure(
      `parse ${name} ${
        written ?? shownJson(value)
      }: not a whole number; give a prefix length without quotes, sign or fraction`,
    );
  }
  return Number(written) === 0 ? null : Number(written);
}

function readBound(root: JsonObject, names: FamilyMembers, name: string): Ip | null {
  const value = member(root, name);
  if (value === undefined || (value === null && names.boundsMayBeNull)) return null;
  const address = typeof value === "string" ? parseIp(value) : null;
  if (address === null || address.family !== names.family) {
    throw new Failure(
      `parse ${name} ${
        shownJson(value)
      }: not an IPv${names.family} address; give the first address of a subnet, or leave it out`,
    );
  }
  return isUnspecified(address) ? null : address;
}

/** The member as it is really called, with its value. */
function lastMember(object: JsonObject, name: string): [string, Json] | undefined {
  const wanted = name.toLowerCase();
  const found = Object.entries(object).findLast(([key]) => key.toLowerCase() === wanted);
  return found?.[1] === undefined ? undefined : [found[0], found[1]];
}

function kindOf(value: Json): string {
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}

// Checking: upstream's arithmetic.

function checkFamily(raw: RawFamily, unread: readonly string[]): FamilyNetwork {
  const { names, network } = raw;
  if (network === null) {
    throw new Failure(
      `please define a correct ${names.network} parameter in the flannel config: it is not set${
        others(unread)
      }; ` +
        `add "${names.network}": "${names.example}", or turn the family off with "${names.enable}": false`,
    );
  }
  const subnetLen = raw.length === null
    ? usualLength(names, network)
    : checkLength(names, network, raw.length);
  const size = sizeOf(names.family, subnetLen);
  const subnetMin = raw.min ?? addToIp(network.ip, size);
  const subnetMax = raw.max ?? addToIp(prefixEnd(network), -size);
  checkBound(names, names.min, subnetMin, network, subnetLen);
  checkBound(names, names.max, subnetMax, network, subnetLen);
  if (subnetMin.value > subnetMax.value) {
    throw new Failure(
      `${names.min} is greater than ${names.max}: ${formatIp(subnetMin)} comes after ${
        formatIp(subnetMax)
      }, ` +
        `so there is no subnet to give away; exchange them`,
    );
  }
  return { family: names.family, network, subnetLen, subnetMin, subnetMax };
}

/** What may have been meant. */
function others(unread: readonly string[]): string {
  return unread.length === 0 ? "" : `, and nobody reads ${unread.slice(0, 3).map(shownJson).join(", ")}`;
}

function usualLength(names: FamilyMembers, network: Prefix): number {
  const smallest = bits(names.family) - 4;
  if (network.length > smallest) {
    throw new Failure(
      `${
        names.family === 4 ? "network" : names.network
      } is too small. Minimum useful network prefix is /${smallest}: ` +
        `${names.network} is ${formatPrefix(network)}; give a larger network`,
    );
  }
  return network.length <= names.usualLength - 2 ? names.usualLength : network.length + 2;
}

function checkLength(names: FamilyMembers, network: Prefix, length: number): number {
  const longest = bits(names.family) - 2;
  const wayOut = `give ${names.length} between ${
    network.length + 2
  } and ${longest}, or a larger ${names.network}`;
  if (length > longest) {
    throw new Failure(`SubnetLen must be less than /${longest + 1}: ${names.length} is ${length}; ${wayOut}`);
  }
  if (length < network.length + 2) {
    throw new Failure(
      `${
        names.family === 4 ? "network" : names.network
      } must be able to accommodate at least four subnets: ` +
        `/${length} subnets in ${formatPrefix(network)} are too large; ${wayOut}`,
    );
  }
  return length;
}

function checkBound(names: FamilyMembers, name: string, bound: Ip, network: Prefix, length: number): void {
  const text = formatIp(bound);
  if (!containsIp(network, bound)) {
    throw new Failure(
      `${name} is not in the range of the ${names.network}: ${text} lies outside ${formatPrefix(network)}; ` +
        `give an address inside, or leave ${name} out`,
    );
  }
  if (bound.value % sizeOf(names.family, length) !== 0n) {
    throw new Failure(
      `${name} is not on a SubnetLen boundary: ${text}: a /${length} subnet cannot begin there; ` +
        `give the first address of a /${length}, or leave ${name} out`,
    );
  }
}
