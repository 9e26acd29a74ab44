/**
 * What befalls hosts and etcd. A fault undoes what would not come back by itself (a daemon that was killed, a cable that was
 * pulled); everything else is left to the daemons.
 *
 * `ms` is how long something stays away; `lease` is one of the further leases. The answer tells whether there was anything to damage.
 */
import type { ForeignLease } from "../../../bench/leases.ts";
import { pause } from "../process.ts";
import { subnetEnv } from "../daemon.ts";
import type { Topology } from "../topology.ts";
import type { SoakHost } from "./fleet.ts";
import type { Gateway } from "./gateway.ts";

export interface Scene {
  readonly net: Topology;
  readonly gateway: Gateway;
  readonly host: SoakHost;
  readonly lease: ForeignLease;
  readonly ms: number;
}

export interface Fault {
  readonly name: string;
  readonly weight: number;
  readonly on: "host" | "etcd";
  /** Ends a daemon: not for hosts that are spared. */
  readonly deadly?: true;
  readonly strike: (scene: Scene) => Promise<boolean>;
}

/** A script on the host; it fails where there is nothing to damage. */
function damage(name: string, weight: number, script: (lease: ForeignLease) => string): Fault {
  const strike = async ({ host, lease }: Scene) => {
    const { code } = await host.place.output(["sh", "-ec", script(lease)]);
    return code === 0;
  };
  return { name, weight, on: "host", strike };
}

const gatewayOf = ({ subnet }: ForeignLease) => subnet.replace(/\/24$/, "");

const damages: readonly Fault[] = [
  damage("route deleted", 4, ({ subnet }) => `ip route del ${subnet}`),
  damage(
    "route replaced by a blackhole",
    2,
    ({ subnet }) => `ip route del ${subnet}; ip route add blackhole ${subnet} proto 85`,
  ),
  damage("routes flushed", 2, () => "ip route flush proto 85"),
  damage("nexthop objects flushed", 1, () => "ip nexthop flush dev flannel.1"),
  damage("neighbour deleted", 4, (lease) => `ip neigh del ${gatewayOf(lease)} dev flannel.1`),
  damage("neighbours flushed", 1, () => "ip neigh flush dev flannel.1 nud permanent"),
  damage("FDB entry deleted", 4, ({ mac }) => `bridge fdb del ${mac} dev flannel.1`),
  damage(
    "FDB entry moved",
    2,
    ({ mac }) => `bridge fdb replace ${mac} dev flannel.1 dst 192.168.64.250 self permanent`,
  ),
  damage("device deleted", 2, () => "ip link del flannel.1"),
  damage("device set down", 2, () => "ip link set flannel.1 down"),
  damage("device's MAC rewritten", 1, () => "ip link set flannel.1 address 02:00:00:00:00:99"),
  damage("firewall flushed", 4, () => "iptables -F; iptables -t nat -F"),
];

async function restarted({ host, ms }: Scene, signal: Deno.Signal): Promise<boolean> {
  await host.end(signal);
  await pause(ms);
  host.start();
  await host.ready();
  return true;
}

async function whileAway(away: () => unknown, back: () => unknown, ms: number): Promise<true> {
  try {
    await away();
    await pause(ms);
  } finally {
    await back();
  }
  return true;
}

const lives: readonly Fault[] = [
  {
    name: "daemon killed",
    weight: 6,
    on: "host",
    deadly: true,
    strike: (scene) => restarted(scene, "SIGKILL"),
  },
  {
    name: "daemon restarted",
    weight: 2,
    on: "host",
    deadly: true,
    strike: (scene) => restarted(scene, "SIGTERM"),
  },
  { name: "daemon frozen", weight: 4, on: "host", strike: frozen },
  {
    name: "cable pulled",
    weight: 3,
    on: "host",
    strike: ({ net, host, ms }) => {
      const set = (state: string) => () => net.wire.run(["ip", "link", "set", host.name, state]);
      return whileAway(set("down"), set("up"), ms);
    },
  },
  {
    name: "underlay set down",
    weight: 3,
    on: "host",
    strike: ({ host: { place }, ms }) =>
      whileAway(
        () => place.run(["ip", "link", "set", "eth0", "down"]),
        () => place.sh("ip link set eth0 up; ip route replace default via 192.168.64.1"),
        ms,
      ),
  },
  { name: "host's own lease deleted", weight: 1, on: "host", strike: ownLeaseDeleted },
];

function frozen({ host, ms }: Scene): Promise<boolean> {
  const daemon = host.daemon!;
  return whileAway(() => daemon.signal("SIGSTOP"), () => daemon.signal("SIGCONT"), ms);
}

async function ownLeaseDeleted({ host, gateway }: Scene): Promise<boolean> {
  const { FLANNEL_SUBNET } = await subnetEnv(host.place);
  await gateway.remove(FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0-24"));
  return true;
}

const stores: readonly Fault[] = [
  {
    name: "etcd killed",
    weight: 2,
    on: "etcd",
    strike: async ({ gateway: { cluster }, ms }) => {
      const [member] = cluster.members;
      await whileAway(() => member!.kill(), () => member!.launch(), ms);
      await cluster.ready();
      return true;
    },
  },
  {
    name: "etcd frozen",
    weight: 1,
    on: "etcd",
    strike: async ({ gateway: { cluster }, ms }) => {
      const [member] = cluster.members;
      await whileAway(() => member!.freeze(), () => member!.thaw(), ms);
      await cluster.ready();
      return true;
    },
  },
  {
    name: "etcd compacted",
    weight: 1,
    on: "etcd",
    strike: async ({ gateway }) => {
      await gateway.compact();
      return true;
    },
  },
];

export const faults: readonly Fault[] = [...damages, ...lives, ...stores];
