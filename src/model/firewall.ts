/**
 * Names of the firewall chains, the bare rules of the old layout, and the keys of firewall objects. Pure: what is wanted is
 * said in `src/backend/traffic_rules.ts`, the kernel side is `src/kernel/firewall/`.
 *
 * A chain is ours by its name: upstream's for the instance `default`, so that a change from or to upstream finds them again,
 * and with `-<instance>` behind it for any other, so that two daemons on one host leave each other alone. A bare rule has no
 * name: it is ours by its text, which follows from the network and the subnet, and has to be flannel 0.11's to the letter,
 * because that daemon looks for its rules by their text and would add them a second time.
 */
import { families, type Family } from "./ip.ts";
import { familyOf, formatPrefix, type Prefix } from "./prefix.ts";

/** `chains`: flannel 0.28's, chains of our own and a jump to each. `legacy`: flannel 0.11's, bare rules in built-in chains. */
export type FirewallLayout = "chains" | "legacy";

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

/** The layout of flannel 0.11: masquerading for this network and this host's subnet, in this order. */
export function bareMasquerade(network: Prefix, subnet: Prefix, randomFully: boolean): string[] {
  const [n, s] = [formatPrefix(network), formatPrefix(subnet)];
  const masquerade = `-j MASQUERADE${randomFully ? " --random-fully" : ""}`;
  return [
    // Inside the overlay addresses stay visible.
    `-s ${n} -d ${n} -j RETURN`,
    // Containers to the world.
    `-s ${n} ! -d ${multicastOf(network)} ${masquerade}`,
    // From outside to our own containers: they answer through us in any case.
    `! -s ${n} -d ${s} -j RETURN`,
    // From outside through us to containers of other hosts.
    `! -s ${n} -d ${n} ${masquerade}`,
  ];
}

/** The layout of flannel 0.11: forwarding, in this order. */
export function bareForward(network: Prefix): string[] {
  return ["-s", "-d"].map((side) => `${side} ${formatPrefix(network)} -j ACCEPT`);
}

/** What is never masqueraded: `224.0.0.0/4` or `ff00::/8`. */
export function multicastOf(network: Prefix): string {
  return familyOf(network) === 4 ? "224.0.0.0/4" : "ff00::/8";
}

function suffix(instance: string): string {
  return instance === "default" ? "" : `-${instance}`;
}

/** Which of the two places in the kernel iptables keeps rules in: nf_tables or ip_tables. */
export type Variant = "nft" | "legacy";

/** Where a firewall object stands, as its key says it: `iptables nat POSTROUTING FLANNEL-POSTRTG`. */
export interface FirewallPlace {
  readonly family: Family;
  /** Only of what stands in the variant that is not in use (`iptables-legacy nat …`). */
  readonly variant?: Variant;
  readonly table: string;
  /** Of a chain its own name, of jumps and bare rules the chain that they are in. */
  readonly chain: string;
}

/** Reads the key of a `chain`, `jump` or `rules`. */
export function firewallPlace(key: string): FirewallPlace {
  const [tool = "", table = "", chain = ""] = key.split(" ");
  const [main, variant] = tool.split("-");
  const family = families.find((f) => firewallTool(f) === main) ?? 4;
  return { family, ...(variant === undefined ? {} : { variant: variant as Variant }), table, chain };
}

/** The same object in the variant that is not in use. */
export function inVariant<T extends { readonly key: string }>(object: T, variant: Variant): T {
  return { ...object, key: object.key.replace(/^\S+/, (tool) => `${tool}-${variant}`) };
}

/** The first word of a key. */
export function firewallTool(family: Family): string {
  return family === 4 ? "iptables" : "ip6tables";
}
