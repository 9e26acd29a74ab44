/**
 * subnet.env: what docker, CNI plugins and scripts read to learn this host's subnet, and what we read at the next start to ask
 * for the same subnet again.
 *
 * The text is upstream's byte for byte: fixed order, no quotes, LF. `FLANNEL_SUBNET` is the first usable address of the
 * subnet with its prefix length, the address that docker gives to its bridge.
 */
import { addToIp, families, type Family, formatIp } from "../model/ip.ts";
import { subnetOf, type Subnets } from "../model/lease.ts";
import { type NetworkConfig, networkOf } from "../model/network_config.ts";
import { familyOf, formatPrefix, parsePrefix, type Prefix } from "../model/prefix.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { osErrorText } from "../system/os_error.ts";
import { shownJson } from "../model/shown.ts";
import { parseEnv, strayLines } from "./env_text.ts";

export interface SubnetEnv {
  readonly network: NetworkConfig;
  readonly subnets: Subnets;
  /** FLANNEL_MTU, bytes. */
  readonly mtu: number;
  readonly ipMasq: boolean;
}

/** What an earlier start, or an earlier flanneld, left. */
export interface PreviousSubnetEnv {
  /** Networks that were ours; at most one of each family. */
  readonly networks: readonly Prefix[];
  readonly subnets: Subnets;
  /** What could not be read, one sentence each, for the log. */
  readonly problems: readonly string[];
}

/** The text of the file. */
export function formatSubnetEnv(env: SubnetEnv): string {
  const lines = families.flatMap((family) => familyLines(env, family));
  return [...lines, `FLANNEL_MTU=${env.mtu}`, `FLANNEL_IPMASQ=${env.ipMasq}`, ""].join("\n");
}

function familyLines({ network, subnets }: SubnetEnv, family: Family): string[] {
  const whole = networkOf(network, family)?.network;
  const subnet = subnetOf(subnets, family);
  if (whole === undefined || subnet === null) return [];
  const first = formatIp(addToIp(subnet.ip, 1n));
  const names = variableNames(family);
  return [`${names.network}=${formatPrefix(whole)}`, `${names.subnet}=${first}/${subnet.length}`];
}

/** Reads what any version of flanneld, or a person, wrote. Never throws: what is wrong counts as absent and is told. */
export function parseSubnetEnv(text: string): PreviousSubnetEnv {
  const variables = parseEnv(text);
  const problems = strays(text);
  const read = (name: string, family: Family) => {
    const entries = (variables.get(name) ?? "").split(",").map((entry) => entry.trim()).filter(Boolean);
    const prefixes = entries.flatMap((entry) => {
      const prefix = parsePrefix(entry);
      const known = prefix !== null && familyOf(prefix) === family;
      // Everything is in 0.0.0.0/0: what is in our network may be ours to remove.
      if (known && prefix.length > 0) return [prefix];
      const what = known ? "the whole internet is no network of ours" : `not an IPv${family} prefix`;
      problems.push(`${name} ${shownJson(entry)}: ${what}; it is skipped`);
      return [];
    });
    if (prefixes.length > 1) {
      problems.push(`${name} ${shownJson(entries.join())}: several values; none of them is used`);
    }
    return prefixes.length === 1 ? prefixes[0]! : null;
  };
  const [v4, v6] = [read(variableNames(4).subnet, 4), read(variableNames(6).subnet, 6)];
  const networks = families.flatMap((family) => read(variableNames(family).network, family) ?? []);
  const names = families.map((family) => variableNames(family).subnet);
  if (names.every((name) => !variables.get(name))) problems.push(`there is no ${names.join(" or ")} in it`);
  return { networks, subnets: { v4, v6 }, problems };
}

/** What is no line of such a file: it was damaged, or is another file. */
function strays(text: string): string[] {
  const [first, ...more] = strayLines(text);
  if (first === undefined) return [];
  const others = more.length === 0 ? "" : ` (and ${more.length} more)`;
  return [`line ${first} is no NAME=VALUE${others}; it is skipped`];
}

function variableNames(family: Family): { readonly network: string; readonly subnet: string } {
  const start = family === 4 ? "FLANNEL_" : "FLANNEL_IPV6_";
  return { network: `${start}NETWORK`, subnet: `${start}SUBNET` };
}

/** The previous values; nothing where there is no such file. Never throws. */
export async function readSubnetEnv(path: string): Promise<PreviousSubnetEnv> {
  try {
    return parseSubnetEnv(await Deno.readTextFile(path));
  } catch (thrown) {
    const nothing = { networks: [], subnets: { v4: null, v6: null } };
    if (thrown instanceof Deno.errors.NotFound) return { ...nothing, problems: [] };
    return { ...nothing, problems: [`${osErrorText(thrown)}; going on as if it were not there`] };
  }
}

/** @throws Failure where it can't be written */
export async function writeSubnetEnv(path: string, text: string): Promise<void> {
  await writeFileAtomic(path, text, { what: "subnet file" });
}
