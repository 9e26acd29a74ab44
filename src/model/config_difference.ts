/** In which members two network configurations differ, for those who need them to be one. Pure. */
import { formatIp } from "./ip.ts";
import { isJsonObject, type Json } from "./json.ts";
import type { FamilyNetwork, NetworkConfig } from "./network_config.ts";
import { formatPrefix } from "./prefix.ts";

export interface ConfigDifference {
  /** As operators write it: `SubnetLen`, `Backend.VNI`. */
  readonly member: string;
  /** Null where the configuration does not have it. */
  readonly a: string | null;
  readonly b: string | null;
}

/** What each host does for itself (`EnableNFTables`) does not count. */
export function configDifferences(a: NetworkConfig, b: NetworkConfig): ConfigDifference[] {
  const [of, other] = [membersOf(a), membersOf(b)];
  const names = new Set([...of.keys(), ...other.keys()]);
  return [...names].flatMap((member) => {
    const [left, right] = [of.get(member) ?? null, other.get(member) ?? null];
    return left === right ? [] : [{ member, a: left, b: right }];
  });
}

/** `SubnetLen is 24 in v2 and 26 in v3`. */
export function describeDifference({ member, a, b }: ConfigDifference, inA: string, inB: string): string {
  const is = (value: string | null) => value ?? "absent";
  return `${member} is ${is(a)} in ${inA} and ${is(b)} in ${inB}`;
}

function membersOf({ v4, v6, backend }: NetworkConfig): Map<string, string> {
  const members = Object.keys(backend.members)
    .filter((name) => name.toLowerCase() !== "type")
    .map((name): [string, string] => [`Backend.${name}`, canonical(backend.members[name] ?? null)]);
  return new Map([
    ...familyMembers("", v4),
    ...familyMembers("IPv6", v6),
    ["Backend.Type", backend.type],
    ...members,
  ]);
}

function familyMembers(prefix: string, network: FamilyNetwork | null): [string, string][] {
  if (network === null) return [];
  return [
    [`${prefix}Network`, formatPrefix(network.network)],
    [`${prefix}SubnetLen`, String(network.subnetLen)],
    [`${prefix}SubnetMin`, formatIp(network.subnetMin)],
    [`${prefix}SubnetMax`, formatIp(network.subnetMax)],
  ];
}

/** JSON with the members of objects in one order. */
function canonical(value: Json): string {
  return JSON.stringify(
    value,
    (_, part) =>
      isJsonObject(part) ? Object.fromEntries(Object.entries(part).sort(([x], [y]) => x < y ? -1 : 1)) : part,
  );
}
