/**
 * Names of the firewall chains, and the keys of firewall objects. Pure: the rules are made in `src/backend/traffic_rules.ts`,
 * the kernel side is `src/kernel/firewall/`.
 *
 * A chain is ours by its name: upstream's for the instance `default`, so that a change from or to upstream finds them again,
 * and with `-<instance>` behind it for any other, so that two daemons on one host leave each other alone.
 */
import type { Family } from "./ip.ts";

/** A chain of ours and the built-in chain that leads to it. */
export interface TrafficChain {
  readonly table: "nat" | "filter";
  readonly name: string;
  readonly from: "POSTROUTING" | "FORWARD";
}

/** Masquerading. Names stay below the limit of 28 characters with an instance of up to 8. */
export function masqueradeChain(instance: string): TrafficChain {
  return { table: "nat", name: `FLANNEL-POSTRTG${suffix(instance)}`, from: "POSTROUTING" };
}

/** Forwarding. */
export function forwardChain(instance: string): TrafficChain {
  return { table: "filter", name: `FLANNEL-FWD${suffix(instance)}`, from: "FORWARD" };
}

function suffix(instance: string): string {
  return instance === "default" ? "" : `-${instance}`;
}

/** Where a firewall object stands, as its key says it: `iptables nat POSTROUTING FLANNEL-POSTRTG`. */
export interface FirewallPlace {
  readonly family: Family;
  readonly table: string;
  /** Of a chain its own name, of a jump the chain that it is in. */
  readonly chain: string;
}

/** Reads the key of a `chain` or `jump`. */
export function firewallPlace(key: string): FirewallPlace {
  const [tool = "", table = "", chain = ""] = key.split(" ");
  return { family: tool === "ip6tables" ? 6 : 4, table, chain };
}
