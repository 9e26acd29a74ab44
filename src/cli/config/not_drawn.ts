/** Which subnets of a network a machine would not draw, because it has their addresses for something else. Pure. */
import { addToIp } from "../../model/ip.ts";
import { type NetworkConfig, networkOf } from "../../model/network_config.ts";
import { describeOccupied, givesWay, type Occupied } from "../../model/occupied.ts";
import { subnetSize } from "../../model/parse_config.ts";
import { formatPrefix, overlaps, prefixesBetween } from "../../model/prefix.ts";

/** One sentence for each thing in the way of subnets that can be leased. Pure. */
export function notDrawn(config: NetworkConfig, occupied: readonly Occupied[]): string[] {
  const inTheWay = occupied.filter((each) => {
    const network = networkOf(config, each.prefix.ip.family);
    if (network === null || givesWay(each)) return false;
    if (each.by === "route" && each.prefix.length < network.subnetLen) return false;
    const last = addToIp(network.subnetMax, subnetSize(network) - 1n);
    return prefixesBetween(network.subnetMin, last).some((p) => overlaps(p, each.prefix));
  });
  // A network that a device is in has a route as well.
  const once = new Map(
    inTheWay.toReversed().map((each) => [`${formatPrefix(each.prefix)} ${each.device}`, each]),
  );
  return [...once.values()].reverse().map((each) =>
    `this host has ${describeOccupied(each)}: it draws no subnet that overlaps it`
  );
}
