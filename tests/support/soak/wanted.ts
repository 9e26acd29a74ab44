/**
 * What has to stand on a host, worked out from the keys and values in etcd alone, and what does, as the host's own tools show it;
 * one line an object. Neither uses the product's code.
 *
 * Above 500 peers routes go by way of nexthop objects, below 400 they don't, in between either is right.
 */
import type { Place } from "../netns.ts";

const MANY = 500;
const FEW = 400;
/** Lines of a difference that are shown. */
const SHOWN = 5;

/** @param leases all of etcd's; @param own the host's, as in `10.1.7.0-24` */
export function wantedPeers(leases: ReadonlyMap<string, string>, own: string, objects: boolean): string[] {
  const peers = [...leases].filter(([name]) => name !== own);
  const through = peers.length > MANY || (peers.length >= FEW && objects);
  return peers.flatMap(([name, value]) => {
    const { PublicIP, BackendData: { VtepMAC } } = JSON.parse(value) as LeaseValue;
    const gateway = name.replace(/-24$/, "");
    return [
      `route ${gateway}/24 via ${gateway} flannel.1 onlink proto 85${through ? " by object" : ""}`,
      `neighbour ${gateway} ${VtepMAC} PERMANENT`,
      `fdb ${VtepMAC} ${PublicIP} permanent`,
      ...(through ? [`nexthop ${gateway} flannel.1 proto 85`] : []),
    ];
  });
}

interface LeaseValue {
  readonly PublicIP: string;
  readonly BackendData: { readonly VtepMAC: string };
}

/** Routes anywhere that are the daemon's or on its device, its neighbours, FDB entries and nexthop objects. */
export async function standingPeers(host: Place): Promise<string[]> {
  const show = (...words: string[]) => host.json<Shown[]>(...words).catch(() => [] as Shown[]);
  const [routes, neighbours, entries, objects] = await Promise.all([
    show("ip", "-j", "-4", "-N", "route", "show", "table", "all"),
    show("ip", "-j", "-4", "neigh", "show", "dev", "flannel.1"),
    show("bridge", "-j", "fdb", "show", "dev", "flannel.1"),
    show("ip", "-j", "-N", "nexthop", "show"),
  ]);
  const byId = new Map(objects!.map((o) => [o.id, o.gateway]));
  // Attempts to reach somebody whose entry was just taken away are the kernel's own.
  const kept = neighbours!.filter(({ state }) => !/^(FAILED|INCOMPLETE)$/.test(state!.join()));
  return [
    ...routes!.filter(isOurs).map((route) => describeRoute(route, byId)),
    ...kept.map(({ dst, lladdr, state }) => `neighbour ${dst} ${lladdr} ${state!.join()}`),
    ...entries!.map(({ mac, dst, state }) => `fdb ${mac} ${dst} ${state}`),
    ...objects!.map(({ gateway, dev, protocol }) => `nexthop ${gateway} ${dev} proto ${protocol}`),
  ];
}

interface Shown {
  readonly id?: number;
  readonly dst?: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly protocol?: string;
  readonly table?: string;
  readonly type?: string;
  readonly nhid?: number;
  readonly flags?: readonly string[];
  readonly lladdr?: string;
  readonly mac?: string;
  readonly state?: readonly string[];
}

/** The kernel's own, for the device's address, stand in the table of local ones (255). */
function isOurs({ protocol, dev, table }: Shown): boolean {
  return protocol === "85" || (dev === "flannel.1" && table !== "255" && table !== "local");
}

function describeRoute(route: Shown, byId: ReadonlyMap<number | undefined, string | undefined>): string {
  const { dst, gateway, dev, flags = [], protocol, nhid, type = "unicast" } = route;
  const kind = /^(unicast|1)$/.test(type) ? "" : `${type} `;
  const way = `${kind}${dst} via ${gateway} ${dev} ${flags.join()} proto ${protocol}`;
  if (nhid === undefined) return `route ${way}`;
  return `route ${way} by ${byId.get(nhid) === gateway ? "object" : `object of ${byId.get(nhid)}`}`;
}

/** What does not depend on peers: device, address, firewall, subnet file. */
export async function standingBase(host: Place): Promise<string[]> {
  const text = await host.run(["sh", "-c", BASE]);
  return text.replaceAll(/[ \t]+$/gm, "").replaceAll(/^\d+: /gm, "").trim().split("\n");
}

const BASE = `
ip -d -o link show dev flannel.1 | sed 's/qdisc.*link.ether/ether/'
ip -o -4 address show dev flannel.1
iptables -S | grep FLANNEL
iptables -t nat -S | grep FLANNEL
cat /run/flannel/subnet.env
true`;

/** The first lines that are in one alone; empty where both are the same. */
export function difference(wanted: readonly string[], standing: readonly string[]): string[] {
  const [want, have] = [count(wanted), count(standing)];
  const missing = [...want].filter(([line, n]) => (have.get(line) ?? 0) < n).map(([line]) =>
    `missing: ${line}`
  );
  const extra = [...have].filter(([line, n]) => (want.get(line) ?? 0) < n).map(([line]) =>
    `too much: ${line}`
  );
  const more = (lines: string[]) =>
    lines.length > SHOWN ? [...lines.slice(0, SHOWN), `… and ${lines.length - SHOWN} more`] : lines;
  return [...more(missing), ...more(extra)];
}

function count(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
