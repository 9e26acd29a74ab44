/** The backends by name. A configuration that names another one, or gives one a wrong member, is refused here. */
import type { NetworkConfig } from "../model/network_config.ts";
import { escaped } from "../model/shown.ts";
import { alloc } from "./alloc.ts";
import type { Backend } from "./backend.ts";
import { hostGw } from "./host_gw.ts";
import { udp } from "./udp.ts";
import { vxlan } from "./vxlan.ts";

const all: readonly Backend[] = [alloc, hostGw, udp, vxlan];

export const backends: ReadonlyMap<string, Backend> = new Map(all.map((b) => [b.type, b]));

/** Upstream's backends that are not here. */
const notBuilt = new Set([
  "wireguard",
  "ipip",
  "ipsec",
  "extension",
  "tencent-vpc",
  "ali-vpc",
  "aws-vpc",
  "gce",
]);

const noNftables =
  "EnableNFTables true: not built into this flanneld; leave it out, and the rules are iptables' " +
  "(which writes them through nf_tables where the system says so)";

/** The configured backend, or what is wrong with the configuration in one sentence. */
export function backendFor(config: NetworkConfig): Backend | { readonly problem: string } {
  const { type } = config.backend;
  if (config.enableNftables) return { problem: noNftables };
  const backend = backends.get(type);
  if (!backend) return { problem: unknownBackend(type) };
  const wrong = backend.check(config.backend);
  return wrong === null ? backend : { problem: wrong };
}

function unknownBackend(type: string): string {
  const known = [...backends.keys()].join(", ");
  if (!notBuilt.has(type)) {
    return `unknown backend type: ${escaped(type)}; set Backend.Type to one of ${known}`;
  }
  return `backend type ${type}: not built into this flanneld; set Backend.Type to one of ${known}`;
}
