/**
 * Who this host is: made from the chosen underlay, the configuration and what stands already. A `Host` is a value; when
 * anything changes a new one takes its place.
 */
import type { Backend, Host, Underlay } from "../backend/backend.ts";
import type { Interface, Kernel } from "../kernel/kernel.ts";
import { Failure } from "../model/errors.ts";
import { type Family, parseIp } from "../model/ip.ts";
import type { Json } from "../model/json.ts";
import type { LeaseRecord, Subnets } from "../model/lease.ts";
import type { Mac } from "../model/mac.ts";
import { type NetworkConfig, networkOf } from "../model/network_config.ts";
import { networkAlone, type Observed } from "../model/plan.ts";
import { prefix } from "../model/prefix.ts";
import { baseObjects, enabled, ownerOf } from "../plan/desired.ts";
import type { ChosenUnderlay } from "../underlay/choose.ts";
import type { UnderlayRoutes } from "../underlay/routes.ts";

export function makeHost(
  id: string,
  chosen: ChosenUnderlay,
  network: NetworkConfig,
  { instance, acceptMoved }: { readonly instance: string; readonly acceptMoved: boolean },
  routes: UnderlayRoutes,
): Host {
  const { publicIp, publicIpv6, ...device } = chosen;
  const underlay: Underlay = { ...device, route: (to) => routes.route(to) };
  const settled = { macs: new Map(), tun: "flannel0" };
  return { id, instance, acceptMoved, network, subnets: null, publicIp, publicIpv6, underlay, ...settled };
}

/**
 * The host with what its devices already are: an existing device keeps its MAC, a new one gets the derived one; they are
 * published, so from here on they do not change whatever the address does. A TUN device of ours keeps its name, a new one
 * gets the first `flannelN` that is free, as upstream's does.
 *
 * @param keepsMacs false where the host has another id from now on: its MACs follow from that
 */
export async function settleDevices(
  self: Host,
  backend: Backend,
  kernel: Kernel,
  keepsMacs = true,
): Promise<Host> {
  const observed = await kernel.read(ownerOf(self, backend), networkAlone);
  const links = observed.flatMap((o) =>
    o.kind === "link" && (o.standing === "ours" || o.standing === "adoptable") ? [o] : []
  );
  const standing = new Map<string, Mac>();
  for (const { key, fields } of links) {
    if (keepsMacs && typeof fields.mac === "string") standing.set(key, fields.mac);
  }
  const own = links.find(({ fields, standing }) => fields.type === "tun" && standing === "ours");
  // Carried or kept through a restart, whatever its device says.
  const tunnel = observed.find(({ kind, standing }) => kind === "tunnel" && standing === "ours");
  const tun = own?.key ?? tunnel?.key ??
    (hasTun(self, backend) ? freeName(await kernel.interfaces()) : self.tun);
  const settled = { ...self, macs: standing, tun };
  const macs = new Map(standing);
  for (const { kind, key, fields } of baseObjects(settled, backend)) {
    if (kind === "link" && typeof fields.mac === "string") macs.set(key, fields.mac);
  }
  return { ...settled, macs };
}

function hasTun(self: Host, backend: Backend): boolean {
  return enabled(self).some((family) => backend.device(self, family)?.name === self.tun);
}

function freeName(interfaces: readonly Interface[]): string {
  const taken = new Set(interfaces.map(({ name }) => name));
  for (let number = 0;; number++) if (!taken.has(`flannel${number}`)) return `flannel${number}`;
}

/**
 * The subnets that we had before: as the subnet file tells, and where it does not, as our device's address does, or the host's
 * own memory. `observed` is what stands on this host.
 */
export function previousSubnets(
  told: Subnets,
  observed: readonly Observed[],
  kept: Subnets | null,
  { network }: Host,
): Subnets {
  const standing = (family: Family) => {
    const length = networkOf(network, family)?.subnetLen;
    const own = observed.flatMap((o) =>
      o.kind === "address" && o.standing === "ours" ? [o.fields.address] : []
    );
    const addresses = own.map((address) => parseIp(address)).filter((ip) => ip?.family === family);
    const [only] = addresses;
    return only && length !== undefined && addresses.length === 1 ? prefix(only, length) : null;
  };
  return { v4: told.v4 ?? standing(4) ?? kept?.v4 ?? null, v6: told.v6 ?? standing(6) ?? kept?.v6 ?? null };
}

/** Our own record: what every other host needs to know of us. */
export function recordOf(self: Host, backend: Backend): LeaseRecord {
  const data = (family: 4 | 6): Json | undefined =>
    enabled(self).includes(family) ? backend.publish(self, family) : undefined;
  const [v4, v6] = [data(4), data(6)];
  return {
    publicIp: self.publicIp,
    publicIpv6: self.publicIpv6,
    backendType: backend.recordType,
    ...(v4 === undefined ? {} : { backendData: v4 }),
    ...(v6 === undefined ? {} : { backendV6Data: v6 }),
  };
}

/** @throws Failure where this host cannot run the backend */
export function requireSuited(self: Host, backend: Backend): void {
  for (const family of enabled(self)) {
    const reason = backend.unsuited(self, family);
    if (reason !== null) throw new Failure(`run backend "${backend.type}": ${reason}`);
  }
}
