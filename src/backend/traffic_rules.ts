/**
 * What the firewall must do for the overlay: let its traffic through (`-iptables-forward-rules`) and hide container addresses
 * from the rest of the world (`-ip-masq`).
 *
 * Pure. The rules and their order are upstream's (release 0.28; with the layout `legacy` release 0.11), and their text is
 * exactly what `iptables-save` prints for them, so that what is read back equals what was wanted. They are the same for every
 * backend.
 */
import {
  bareForward,
  bareMasquerade,
  type FirewallLayout,
  forwardChain,
  masqueradeChain,
  multicastOf,
  type TrafficChain,
} from "../model/firewall.ts";
import { families, type Family } from "../model/ip.ts";
import { subnetOf, type Subnets } from "../model/lease.ts";
import { type NetworkConfig, networkOf } from "../model/network_config.ts";
import { bareRules, chain, jump, type Obj } from "../model/objects.ts";
import { formatPrefix, type Prefix } from "../model/prefix.ts";

export interface TrafficOptions {
  readonly network: NetworkConfig;
  /** This host's. A family without a subnet gets no masquerading. */
  readonly subnets: Subnets;
  readonly instance: string;
  readonly layout: FirewallLayout;
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  /** Source ports of masqueraded connections at random (`--random-fully`), where iptables knows how. */
  readonly randomFully: boolean;
}

/** The rules of every enabled family, in chains of their own or bare; none where neither service is wanted. */
export function trafficObjects(options: TrafficOptions): Obj[] {
  return families.flatMap((family) => [
    ...masquerading(options, family),
    ...forwarding(options, family),
  ]);
}

function masquerading(options: TrafficOptions, family: Family): Obj[] {
  const network = networkOf(options.network, family)?.network;
  const subnet = subnetOf(options.subnets, family);
  if (!options.ipMasq || network === undefined || subnet === null) return [];
  const place = masqueradeChain(options.instance);
  if (options.layout === "legacy") {
    return [bareRules(family, place.table, place.from, bareMasquerade(network, subnet, options.randomFully))];
  }
  return chainWithJump(
    family,
    place,
    masqueradeRules(network, subnet, options.randomFully),
    "flanneld masq",
  );
}

function masqueradeRules(network: Prefix, subnet: Prefix, randomFully: boolean): string[] {
  const [n, s] = [formatPrefix(network), formatPrefix(subnet)];
  const multicast = multicastOf(network);
  const comment = '-m comment --comment "flanneld masq"';
  const masquerade = `${comment} -j MASQUERADE${randomFully ? " --random-fully" : ""}`;
  return [
    // kube-proxy has marked it for masquerading by its own rules: once is enough.
    `-m mark --mark 0x4000/0x4000 ${comment} -j RETURN`,
    // Inside the overlay addresses stay visible.
    `-s ${s} -d ${n} ${comment} -j RETURN`,
    `-s ${n} -d ${s} ${comment} -j RETURN`,
    // From outside to our own containers: they answer through us in any case.
    `! -s ${n} -d ${s} ${comment} -j RETURN`,
    // Containers to the world, and the world to containers of other hosts.
    `-s ${n} ! -d ${multicast} ${masquerade}`,
    `! -s ${n} -d ${n} ${masquerade}`,
  ];
}

function forwarding(options: TrafficOptions, family: Family): Obj[] {
  const network = networkOf(options.network, family)?.network;
  if (!options.forwardRules || network === undefined) return [];
  const place = forwardChain(options.instance);
  if (options.layout === "legacy") {
    return [bareRules(family, place.table, place.from, bareForward(network))];
  }
  const comment = '-m comment --comment "flanneld forward"';
  const rules = ["-s", "-d"].map((side) => `${side} ${formatPrefix(network)} ${comment} -j ACCEPT`);
  return chainWithJump(family, place, rules, "flanneld forward");
}

function chainWithJump(
  family: Family,
  { table, name, from }: TrafficChain,
  rules: readonly string[],
  comment: string,
): Obj[] {
  return [
    chain(family, table, name, rules),
    jump(family, table, from, name, `-m comment --comment "${comment}" -j ${name}`),
  ];
}
