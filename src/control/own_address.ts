/** What the address plan has against this host's own address. Pure. */
import type { Host } from "../backend/backend.ts";
import { addressOf, hostPublicIp } from "../backend/host.ts";
import { leasableSubnet } from "../model/allocate.ts";
import { formatIp, sameIp } from "../model/ip.ts";
import { networkOf } from "../model/network_config.ts";
import { enabled } from "./desired.ts";
import { inLeasable } from "./peers.ts";

/** One sentence for each address of ours for which other hosts refuse us. */
export function ownAddressWarnings(self: Host): string[] {
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
