/**
 * What a network configuration means: how many subnets and addresses, which MTU, which defaults, what is wrong. Pure.
 *
 * `problems` are what keeps a daemon from using it; `notes` are what somebody may not have meant.
 */
import type { Backend, Host } from "../../backend/backend.ts";
import { type Members, readMembers } from "../../backend/members.ts";
import { backendFor } from "../../backend/registry.ts";
import { unreadMembers } from "../../backend/unread_members.ts";
import { Failure } from "../../model/errors.ts";
import { families, type Family, formatIp, sameIp } from "../../model/ip.ts";
import { isJsonObject, type Json, type JsonObject, member } from "../../model/json.ts";
import { type FamilyNetwork, type NetworkConfig, networkOf } from "../../model/network_config.ts";
import {
  defaultedMembers,
  parseNetworkConfig,
  subnetCount,
  subnetSize,
  unknownMembers,
  withoutMark,
} from "../../model/parse_config.ts";
import { formatPrefix, parseInterfaceAddress, prefix } from "../../model/prefix.ts";

export interface Explanation {
  readonly problems: readonly string[];
  readonly notes: readonly string[];
  /** The enabled ones; none where the configuration can't be read. */
  readonly families: readonly FamilyFacts[];
  /** Every optional member with its value; Backend's own excepted. */
  readonly members: readonly MemberFacts[];
  readonly backend: BackendFacts | null;
  /** Of the network between the hosts. */
  readonly underlayMtu: number;
}

export interface FamilyFacts {
  readonly family: Family;
  readonly network: string;
  readonly subnets: bigint;
  readonly first: string;
  readonly last: string;
  /** In each subnet. */
  readonly addresses: bigint;
  readonly containers: bigint;
  /** Null where the backend is not known, or nothing is left. */
  readonly mtu: number | null;
}

export interface MemberFacts {
  readonly name: string;
  readonly value: Json;
  readonly isDefault: boolean;
  /** What the value stands for, where it does. */
  readonly means?: string;
}

export interface BackendFacts {
  readonly type: string;
  /** The text names none. */
  readonly isDefault: boolean;
  readonly members: readonly MemberFacts[];
}

/** @param underlayMtu bytes */
export function explain(text: string, underlayMtu: number): Explanation {
  const nothing = { notes: [], families: [], members: [], backend: null, underlayMtu };
  try {
    const config = parseNetworkConfig(text);
    return { ...nothing, ...explainConfig(config, text, underlayMtu) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { ...nothing, problems: [error.message] };
  }
}

function explainConfig(config: NetworkConfig, text: string, mtu: number): Omit<Explanation, "underlayMtu"> {
  const defaulted = new Set(defaultedMembers(text));
  const found = backendFor(config);
  const backend = "problem" in found ? null : found;
  const self = exampleHost(config, mtu);
  const networks = families.flatMap((family) => networkOf(config, family) ?? []);
  const unsuited = networks.flatMap(({ family }) => backend?.unsuited(self, family) ?? []);
  return {
    problems: [...("problem" in found ? [found.problem] : []), ...unsuited],
    notes: notes(text, config, backend),
    families: networks.map((network) => familyFacts(network, backend, self)),
    members: members(config, defaulted),
    backend: {
      type: config.backend.type,
      isDefault: defaulted.has("Backend"),
      members: backendMembers(config.backend.members, backend?.members),
    },
  };
}

/** A host as any other on this underlay: what a backend's arithmetic needs. */
export function exampleHost(network: NetworkConfig, mtu: number): Host {
  const underlay = { device: "the external interface", mtu, v4: null, v6: null, route: () => null };
  const addresses = { subnets: null, publicIp: null, publicIpv6: null, macs: new Map() };
  return {
    id: "",
    instance: "default",
    network,
    underlay,
    tun: "flannel0",
    acceptMoved: false,
    ...addresses,
  };
}

function familyFacts(network: FamilyNetwork, backend: Backend | null, self: Host): FamilyFacts {
  const { family, subnetLen, subnetMin, subnetMax } = network;
  const mtu = backend?.mtu(self, family) ?? 0;
  return {
    family,
    network: formatPrefix(network.network),
    subnets: subnetCount(network),
    first: formatPrefix(prefix(subnetMin, subnetLen)),
    last: formatPrefix(prefix(subnetMax, subnetLen)),
    addresses: subnetSize(network),
    // The subnet's own address, the bridge's, and in IPv4 the broadcast address.
    containers: subnetSize(network) - (family === 4 ? 3n : 2n),
    mtu: mtu > 0 ? mtu : null,
  };
}

function members(config: NetworkConfig, defaulted: ReadonlySet<string>): MemberFacts[] {
  return Object.entries(values(config)).map(([name, value]) => ({
    name,
    value,
    isDefault: defaulted.has(name),
  }));
}

function values({ v4, v6, enableNftables }: NetworkConfig): Record<string, Json> {
  const of = (network: FamilyNetwork | null, prefix: string): Record<string, Json> =>
    network === null ? {} : {
      [`${prefix}SubnetLen`]: network.subnetLen,
      [`${prefix}SubnetMin`]: formatIp(network.subnetMin),
      [`${prefix}SubnetMax`]: formatIp(network.subnetMax),
    };
  return {
    EnableIPv4: v4 !== null,
    ...of(v4, ""),
    EnableIPv6: v6 !== null,
    ...of(v6, "IPv6"),
    EnableNFTables: enableNftables,
  };
}

function backendMembers(section: JsonObject, table: Members | undefined): MemberFacts[] {
  if (table === undefined) return [];
  const all: Readonly<Record<string, number | boolean>> = readMembers(section, table);
  return Object.entries(all).map(([name, value]) => {
    const rule = table[name]!;
    const zero = rule.type === "number" && value === 0 ? rule.zero : undefined;
    const isDefault = (member(section, name) ?? null) === null;
    return { name, value, isDefault, ...(zero !== undefined && { means: zero }) };
  });
}

function notes(text: string, config: NetworkConfig, backend: Backend | null): string[] {
  return [
    ...unreadMembers(unknownMembers(text), config.backend.members, backend),
    ...masked(text, config),
    ...few(config),
  ];
}

/** A network that was written with a host's address. */
function masked(text: string, config: NetworkConfig): string[] {
  const root: Json = JSON.parse(withoutMark(text));
  return families.flatMap((family) => {
    const name = family === 4 ? "Network" : "IPv6Network";
    const network = networkOf(config, family)?.network ?? null;
    const written = isJsonObject(root) ? member(root, name) : undefined;
    const address = typeof written === "string" ? parseInterfaceAddress(written)?.address ?? null : null;
    if (network === null || address === null || sameIp(address, network.ip)) return [];
    return [`${name} "${written}": counts as ${formatPrefix(network)}`];
  });
}

/** Both families' subnets go in pairs: the scarcer family says how many hosts there can be. */
function few({ v4, v6 }: NetworkConfig): string[] {
  if (v4 === null || v6 === null) return [];
  const [a, b] = [subnetCount(v4), subnetCount(v6)];
  return a === b ? [] : [`every host takes a subnet of each family: ${a < b ? a : b} hosts at most`];
}
