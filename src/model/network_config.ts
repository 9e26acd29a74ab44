/**
 * The network configuration: what an operator writes once for the whole cluster (spec §2).
 * Only the shape is here; reading and checking it is `parse_config.ts`.
 */
import { families, type Family, type Ip } from "./ip.ts";
import type { JsonObject } from "./json.ts";
import type { Prefix } from "./prefix.ts";

/** One family's network: where subnets come from. */
export interface FamilyNetwork {
  readonly family: Family;
  readonly network: Prefix;
  /** Prefix length of every host's subnet. */
  readonly subnetLen: number;
  /** First and last subnet (network addresses, inclusive), both on a subnetLen boundary inside `network`. */
  readonly subnetMin: Ip;
  readonly subnetMax: Ip;
}

export interface NetworkConfig {
  /** Null where the family is disabled; at least one is set. */
  readonly v4: FamilyNetwork | null;
  readonly v6: FamilyNetwork | null;
  readonly backend: BackendConfig;
  readonly enableNftables: boolean;
}

export interface BackendConfig {
  /** Lower case. `udp` where the configuration has no `Backend` (upstream's default). */
  readonly type: string;
  /** The members of `Backend`, `Type` included, as written. Each backend reads its own. */
  readonly members: JsonObject;
}

export function networkOf(config: NetworkConfig, family: Family): FamilyNetwork | null {
  return family === 4 ? config.v4 : config.v6;
}

/** The families that are enabled; at least one. */
export function familiesOf(config: NetworkConfig): Family[] {
  return families.filter((family) => networkOf(config, family) !== null);
}
