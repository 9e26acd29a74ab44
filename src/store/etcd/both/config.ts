/**
 * The network configuration of a network that stands in both of etcd's APIs. It has to be the same in both, but for SubnetMin and
 * SubnetMax: giving each side a range of its own is what keeps two daemons that know one API each from taking one subnet. We
 * who see both may have any subnet of either range.
 */
import {
  type ConfigDifference,
  configDifferences,
  describeDifference,
} from "../../../model/config_difference.ts";
import type { Ip } from "../../../model/ip.ts";
import type { FamilyNetwork, NetworkConfig } from "../../../model/network_config.ts";
import type { SideName } from "../side.ts";
import { interleave } from "../../../async/interleave.ts";
import type { ConfigReading, Store } from "../../store.ts";

/** What keeps the two from being one network, a sentence each. */
export function contradictions(v2: NetworkConfig, v3: NetworkConfig): string[] {
  return configDifferences(v2, v3)
    .filter((difference) => !isRange(difference))
    .map((difference) => describeDifference(difference, "v2", "v3"));
}

/** `SubnetMin`, `IPv6SubnetMax`; not where one side lacks the family. */
function isRange({ member, a, b }: ConfigDifference): boolean {
  return /Subnet(Min|Max)$/.test(member) && a !== null && b !== null;
}

/** Two configurations without contradictions as one. */
export function joinConfigs(v2: NetworkConfig, v3: NetworkConfig): NetworkConfig {
  return { ...v3, v4: joinRanges(v2.v4, v3.v4), v6: joinRanges(v2.v6, v3.v6) };
}

function joinRanges(a: FamilyNetwork | null, b: FamilyNetwork | null): FamilyNetwork | null {
  if (a === null || b === null) return b;
  const lower = (x: Ip, y: Ip) => x.value < y.value ? x : y;
  const upper = (x: Ip, y: Ip) => x.value < y.value ? y : x;
  return { ...b, subnetMin: lower(a.subnetMin, b.subnetMin), subnetMax: upper(a.subnetMax, b.subnetMax) };
}

/** The readings of both as one; nothing before both were read. */
export async function* readBoth(v2: Store, v3: Store, signal: AbortSignal): AsyncGenerator<ConfigReading> {
  const latest: [ConfigReading | null, ConfigReading | null] = [null, null];
  let told = "";
  for await (const [from, reading] of interleave(v2.watchConfig(signal), v3.watchConfig(signal))) {
    latest[from] = from === 0 ? named(reading, "v2") : named(reading, "v3");
    const [two, three] = latest;
    const problem = [two, three].find((each) => each?.type === "problem");
    if (problem === undefined && (two === null || three === null)) continue;
    const joined = problem ?? join(two!, three!);
    const text = joined.type === "config" ? joined.text : joined.error;
    if (text !== told) yield joined;
    told = text;
  }
}

/** Says where a problem is. */
function named(reading: ConfigReading, api: SideName): ConfigReading {
  return reading.type === "config" ? reading : { ...reading, error: `etcd's ${api} API: ${reading.error}` };
}

function join(two: ConfigReading, three: ConfigReading): ConfigReading {
  if (two.type === "problem") return two;
  if (three.type === "problem") return three;
  const problems = contradictions(two.config, three.config);
  if (problems.length === 0) {
    return {
      type: "config",
      config: joinConfigs(two.config, three.config),
      text: `${three.text}\n${two.text}`,
      unread: [...new Set([...three.unread, ...two.unread])],
    };
  }
  return {
    type: "problem",
    error: `v2 and v3 have different networks, they are not bridged: ${problems.join(", ")}; ` +
      "make them the same (SubnetMin and SubnetMax may differ)",
    state: "wrong",
  };
}
