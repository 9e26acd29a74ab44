/** A dual-stack host's wishes for the firewall. */
import type { TrafficOptions } from "../../src/backend/traffic_rules.ts";
import type { FamilyNetwork, NetworkConfig } from "../../src/model/network_config.ts";
import { parseIp } from "../../src/model/ip.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

function familyNetwork(network: string, subnetLen: number, min: string, max: string): FamilyNetwork {
  const prefix = parsePrefix(network)!;
  return {
    family: prefix.ip.family,
    network: prefix,
    subnetLen,
    subnetMin: parseIp(min)!,
    subnetMax: parseIp(max)!,
  };
}

export const dualStack: NetworkConfig = {
  v4: familyNetwork("10.5.0.0/16", 24, "10.5.1.0", "10.5.255.0"),
  v6: familyNetwork("fd00:1::/48", 64, "fd00:1:0:1::", "fd00:1:0:ffff::"),
  backend: { type: "vxlan", members: {} },
  enableNftables: false,
};

export function trafficOptions(changes: Partial<TrafficOptions> = {}): TrafficOptions {
  return {
    network: dualStack,
    subnets: { v4: parsePrefix("10.5.72.0/24"), v6: parsePrefix("fd00:1:0:48::/64") },
    instance: "default",
    layout: "chains",
    ipMasq: true,
    forwardRules: true,
    randomFully: true,
    ...changes,
  };
}
