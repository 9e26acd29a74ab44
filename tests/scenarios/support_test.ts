/**
 * The support itself, without the daemon: two dockerds at once, joined by a vxlan device made by hand.
 *
 *   c1 ── docker0 10.1.15.1/24 ── h1 ─── 192.168.64.0/24 ─── h2 ── docker0 10.1.40.1/24 ── c2
 *                                 └── flannel.1 (vxlan 1) ──┘
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import { Docker } from "../support/docker.ts";
import { NotifySocket } from "../support/notify_socket.ts";
import { run, say } from "../support/process.ts";
import { type Host, OUTSIDE, scenario, Topology } from "../support/topology.ts";
import {
  ping,
  reachable,
  sourceSeen,
  startPing,
  throughput,
  transfer,
  unreachablePairs,
} from "../support/traffic.ts";

scenario(
  "support: containers of two dockerds reach each other over a vxlan made by hand",
  { hosts: 2 },
  async (net) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    await joinByHand(h1, "10.1.15.0", h2, "10.1.40.0");
    await joinByHand(h2, "10.1.40.0", h1, "10.1.15.0");
    const options = ["--mtu=1450", "--iptables=false"];
    const d1 = net.use(await Docker.start(h1, ["--bip=10.1.15.1/24", ...options]));
    const d2 = net.use(await Docker.start(h2, ["--bip=10.1.40.1/24", ...options]));
    const c1 = net.watch(await d1.run("c1"));
    const c2 = net.watch(await d2.run("c2"));
    assertEquals([c1.address, c2.address], ["10.1.15.2", "10.1.40.2"]);

    const continuous = startPing(c1, c2.address);
    await continuous.answers(5);
    assertEquals(await unreachablePairs([c1, c2]), []);
    const { sent, received } = await transfer(c1, c2, 20);
    assertEquals(received, sent);
    assertEquals(await sourceSeen(c1, c2, c2.address), c1.address);
    say(`throughput ${Math.round(await throughput(c1, c2, 1) / 1e6)} Mbit/s`);
    const report = await continuous.stop();
    say(`sent ${report.sent}, received ${report.received}`);
    assertEquals(report.received, report.sent);
    assertEquals((await d1.exec(c1, "ping", "-c", "1", c2.address)).includes("1 packets received"), true);
  },
);

scenario(
  "support: the world outside answers hosts and nobody unmasqueraded",
  { hosts: 2, segments: [0, 1] },
  async (net) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    const container = await net.addContainer(h1, "10.1.15.1/24");
    await reachable(h1, OUTSIDE);
    await reachable(h1, h2.ip);
    await reachable(container, "10.1.15.1");
    assertEquals(await ping(container, OUTSIDE), false);
    await h1.sh("iptables -t nat -A POSTROUTING -s 10.1.0.0/16 -o eth0 -j MASQUERADE");
    assertEquals(await sourceSeen(container, net.outside, OUTSIDE), h1.ip);
  },
);

scenario(
  "support: a notify socket hears READY=1, by path and by abstract name",
  { hosts: 1 },
  async (net) => {
    for (
      const [address, target] of [["/run/notify", "UNIX-SENDTO:/run/notify"], [
        "@notify",
        "ABSTRACT-SENDTO:notify",
      ]]
    ) {
      const socket = await NotifySocket.listen(net.host(1), address!);
      await net.host(1).sh(`printf READY=1 | socat -u - ${target}`);
      await socket.ready();
      assertEquals(socket.received.trim(), "READY=1");
    }
  },
);

Deno.test({
  name: "support: a disposed topology leaves no process, control group or file",
  ignore: Deno.uid() !== 0,
  async fn() {
    const net = await Topology.create({ hosts: 1 });
    const host = net.host(1);
    const namespace = await Deno.readLink(`/proc/${host.pid}/ns/net`);
    host.start("sleep", ["sh", "-c", "sleep 1000 & trap '' TERM; sleep 1000 & wait"]);
    await host.sh(
      "for g in /sys/fs/cgroup/pids /sys/fs/cgroup; do mkdir $g/$(hostname) 2> /dev/null && break; done",
    );
    assertNotEquals(await leftovers(host.name, namespace), "");
    await net[Symbol.asyncDispose]();
    assertEquals(await leftovers(host.name, namespace), "");
    assertEquals(await Deno.stat(net.directory).catch(() => null), null);
  },
});

/** Control groups of a host, and processes in its network namespace. */
async function leftovers(name: string, namespace: string): Promise<string> {
  const pattern = namespace.replaceAll(/[[\]]/g, "?");
  return await run([
    "sh",
    "-c",
    `find /sys/fs/cgroup -name ${name}; find /proc/[0-9]*/ns/net -lname '${pattern}'; true`,
  ]);
}

/** What the daemon does for one peer, with `ip` and `bridge`. MACs follow from the subnets, so that either side knows the other's. */
async function joinByHand(self: Host, subnet: string, peer: Host, peerSubnet: string): Promise<void> {
  await self.sh(`
    ip link add flannel.1 address ${
    macFor(subnet)
  } mtu 1450 type vxlan id 1 local ${self.ip} dev eth0 dstport 8472 nolearning
    ip address add ${subnet}/32 dev flannel.1
    ip link set flannel.1 up
    ip neigh add ${peerSubnet} lladdr ${macFor(peerSubnet)} dev flannel.1 nud permanent
    bridge fdb add ${macFor(peerSubnet)} dev flannel.1 dst ${peer.ip} self permanent
    ip route add ${peerSubnet}/24 via ${peerSubnet} dev flannel.1 onlink`);
}

function macFor(subnet: string): string {
  return "02:42:" + subnet.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0")).join(":");
}
