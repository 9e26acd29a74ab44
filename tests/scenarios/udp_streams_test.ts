/**
 * Backend udp over a wire that loses, doubles, swaps and damages packets, also so that the outer checksum does not tell:
 * whatever arrives is what was sent, whichever sender the hosts have.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ~~~ bad wire ~~~ eth0 ─ h2 ── cbr0 ── c2
 *                 └ flannel0                flannel0 ┘
 */
import { BadWire } from "../support/bad_wire.ts";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { containerOn, sqliteArgs } from "../support/overlay.ts";
import { BADNESS, checkDatagrams, checkStreams, checkWire } from "../support/streams.ts";
import { type Host, type PlainContainer, scenario, type Topology } from "../support/topology.ts";
import { reachable } from "../support/traffic.ts";

for (const sender of ["socket", "pool", "raw"]) {
  scenario(
    `udp streams over a bad wire, sender ${sender}: what arrives is what was sent`,
    { hosts: 2, ipv6: true },
    async (net) => {
      const [c1, c2] = await twoContainers(net, sender);
      const wire = await BadWire.at(net, net.host(1), 1, BADNESS);
      for (const [from, to] of [[c1, c2], [c2, c1]] as const) {
        await Promise.all([
          checkStreams({ from, to, address: to.address, port: 5001 }),
          checkStreams({ from, to, address: to.ipv6, port: 5002 }),
          checkDatagrams({ from, to, address: to.address, port: 5003 }),
          checkDatagrams({ from, to, address: to.ipv6, port: 5004 }),
        ]);
      }
      await checkWire(wire, c1, c2);
    },
  );
}

interface DualContainer extends PlainContainer {
  readonly ipv6: string;
}

async function twoContainers(net: Topology, sender: string): Promise<[DualContainer, DualContainer]> {
  const args = await sqliteArgs(net, {
    Network: "10.1.0.0/16",
    EnableIPv6: true,
    IPv6Network: "fd00:1::/48",
    Backend: { Type: "udp", Sender: sender },
  });
  await Promise.all(net.hosts.map((host) => launchReady(host, args)));
  const [c1, c2] = [await dualContainer(net, net.host(1)), await dualContainer(net, net.host(2))];
  for (const [from, to] of [[c1, c2], [c2, c1]] as const) {
    await reachable(from, to.address);
    await reachable(from, to.ipv6);
  }
  return [c1, c2];
}

async function dualContainer(net: Topology, host: Host): Promise<DualContainer> {
  const container = await containerOn(net, host);
  const gateway = (await subnetEnv(host)).FLANNEL_IPV6_SUBNET!;
  const ipv6 = gateway.replace("::1/64", "::2");
  await host.sh(`ip address add ${gateway} dev cbr0 nodad`);
  await container.sh(`
    ip address add ${ipv6}/64 dev eth0 nodad
    ip route add default via ${gateway.replace("/64", "")}`);
  return Object.assign(container, { ipv6 });
}
