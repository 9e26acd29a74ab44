/** Whether bridged container traffic passes through iptables at all. */
import type { Family } from "../../model/ip.ts";

/**
 * A warning where the kernel's br_netfilter module is not loaded: then packets between containers on one bridge bypass
 * iptables, which matters to kube-proxy's service addresses. Many hosts do well without it, so this is never a reason to stop.
 *
 * @param root where the kernel's settings are, for tests
 */
export function checkBridgeNetfilter(family: Family = 4, root = "/proc/sys"): string | null {
  const path = `${root}/net/bridge/bridge-nf-call-${family === 4 ? "iptables" : "ip6tables"}`;
  try {
    Deno.statSync(path);
    return null;
  } catch {
    return `check br_netfilter "${path}": not there, so traffic within a bridge bypasses the firewall; ` +
      "where kube-proxy runs on this host, do: modprobe br_netfilter";
  }
}
