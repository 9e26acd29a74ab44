/** What a changed network configuration means for a host that holds a subnet. Pure. */
import type { Backend } from "../backend/backend.ts";
import { backendFor } from "../backend/registry.ts";
import { compatible } from "../model/allocate.ts";
import { formatIp } from "../model/ip.ts";
import { describeSubnets, type Subnets } from "../model/lease.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { formatPrefix, type Prefix } from "../model/prefix.ts";

export type ConfigChange =
  | { readonly type: "same" }
  /** It can be applied in this process. */
  | { readonly type: "fits"; readonly backend: Backend; readonly text: string }
  /** It can't: the old network goes on, and `text` says why and what to do. */
  | { readonly type: "unfit"; readonly text: string };

export function judgeConfigChange(was: NetworkConfig, is: NetworkConfig, subnets: Subnets): ConfigChange {
  const [old, changed] = [describeConfig(was), describeConfig(is)];
  if (old === changed) return { type: "same" };
  const what = `the network configuration has changed from ${old} to ${changed}`;
  const backend = backendFor(is);
  const problem = "problem" in backend ? backend.problem : misfit(is, subnets);
  if (problem !== null || "problem" in backend) {
    return { type: "unfit", text: `${what}, but ${problem}; the old network goes on` };
  }
  return { type: "fits", backend, text: `${what}; applying it` };
}

/** The networks of the enabled families. */
export function networksOf(config: NetworkConfig): Prefix[] {
  return [config.v4, config.v6].flatMap((family) => family?.network ?? []);
}

/** For people. */
export function describeNetworks(config: NetworkConfig): string {
  return networksOf(config).map(formatPrefix).join(" ");
}

function misfit(config: NetworkConfig, subnets: Subnets): string | null {
  if (compatible(subnets, config)) return null;
  const ours = describeSubnets(subnets);
  return `our subnet ${ours} does not fit it; stop this daemon, remove its lease and start it again to move`;
}

function describeConfig(config: NetworkConfig): string {
  const networks = [config.v4, config.v6].flatMap((n) =>
    n ? `${formatPrefix(n.network)} (${formatIp(n.subnetMin)}-${formatIp(n.subnetMax)}/${n.subnetLen})` : []
  );
  return `${networks.join(", ")} ${JSON.stringify({ Type: config.backend.type, ...config.backend.members })}`;
}
