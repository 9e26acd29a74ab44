/** Small builders for pure tests: leases, hosts and configurations in a line each. */
import { claimant } from "./identity.ts";
import type { Host } from "../../src/backend/backend.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { Lease, LeaseRecord, Subnets } from "../../src/model/lease.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

/** `10.1.15.0/24`, or `10.1.15.0/24,fd00:1:15::/64` for both families. */
export function subnets(text: string): Subnets {
  const all = text.split(",").map((part) => parsePrefix(part)!);
  return { v4: all.find((p) => p.ip.family === 4) ?? null, v6: all.find((p) => p.ip.family === 6) ?? null };
}

let created = 0;

/** A peer's lease as vxlan writes it; later ones are younger. */
export function lease(subnet: string, publicIp: string, mac: string, more: Partial<LeaseRecord> = {}): Lease {
  const record = {
    publicIp: parseIp(publicIp),
    publicIpv6: null,
    backendType: "vxlan",
    backendData: { VNI: 1, VtepMAC: mac },
    ...more,
  };
  created++;
  return { subnets: subnets(subnet), record, version: String(created), created, expires: 1e12 };
}

/** A host at 192.168.64.11 on eth0, with the subnet given, and a configuration as JSON. */
export function host(
  config: unknown,
  subnet: string | null = "10.1.15.0/24",
  more: Partial<Host> = {},
): Host {
  const network = parseNetworkConfig(JSON.stringify(config));
  const v4 = network.v4 ? parseIp("192.168.64.11") : null;
  const v6 = network.v6 ? parseIp("fd64::11") : null;
  return {
    id: claimant("host").host,
    instance: "default",
    network,
    subnets: subnet === null ? null : subnets(subnet),
    publicIp: v4,
    publicIpv6: v6,
    underlay: { device: "eth0", mtu: 1500, v4, v6, route: () => null },
    macs: new Map(),
    tun: "flannel0",
    acceptMoved: false,
    ...more,
  };
}
