/** What this host's own addresses have against the address plan, or the plan against them: one sentence each. Pure. */
import type { Host } from "../backend/backend.ts";
import { addressOf, hostPublicIp } from "../backend/host.ts";
import { leasableSubnet } from "../model/allocate.ts";
import { formatIp, sameIp } from "../model/ip.ts";
import { prefixesOf } from "../model/lease.ts";
import { networkOf } from "../model/network_config.ts";
import { describeOccupied, givesWay, inTheWay, type Occupied } from "../model/occupied.ts";
import { formatPrefix } from "../model/prefix.ts";
import { enabled } from "./desired.ts";
import { inLeasable } from "./peers.ts";

/** @param occupied what this host has without us and without what carries our subnet */
export function planWarnings(self: Host, occupied: readonly Occupied[]): string[] {
  return [...refusedElsewhere(self), ...overlapping(self, occupied)];
}

/** A subnet that we hold is kept, whatever it is in the way of: containers use it. */
function overlapping({ subnets }: Host, occupied: readonly Occupied[]): string[] {
  return prefixesOf(subnets ?? { v4: null, v6: null }).flatMap((subnet) => {
    const other = inTheWay(subnet, occupied);
    if (other === null) return [];
    const cure = givesWay(other)
      ? `restart what runs ${other.device}, so that it takes the subnet file's address`
      : `give SubnetMin and SubnetMax that leave it out, or another Network; then stop this daemon, remove its lease and start it`;
    return [`our subnet ${formatPrefix(subnet)} overlaps ${describeOccupied(other)}; ${cure}`];
  });
}

/** Addresses of ours for which other hosts refuse us. */
function refusedElsewhere(self: Host): string[] {
  return enabled(self).flatMap((family) => {
    const network = networkOf(self.network, family);
    const [publicIp, local] = [hostPublicIp(self, family), addressOf(self.underlay, family)];
    const addresses = sameIp(publicIp, local) ? [publicIp] : [publicIp, local];
    return addresses.flatMap((address) => {
      const subnet = address && network && leasableSubnet(network, address);
      return subnet
        ? [`other hosts refuse us: our own address ${formatIp(address)} ${inLeasable(subnet, family)}`]
        : [];
    });
  });
}
