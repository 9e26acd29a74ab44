/**
 * A host with IPv6 alone joins flannel 0.28 and a denim with both families: nobody's packets are lost, and flannel keeps all its
 * peers through the newcomer's start, restart and end. The last step shows what a key in the place of the others would do.
 *
 *   c1 ── cbr0 ── h1: ours, both families ──┬── h2: flannel, both families ── cbr0 ── c2
 *                  └ etcd                   └── h3: ours, IPv6 alone
 */
import { assertEquals, assertMatch } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { containerOn, deviceAddress } from "../support/overlay.ts";
import { startEtcd, startUpstream, withUpstream } from "../support/peers.ts";
import { poll, type Process } from "../support/process.ts";
import { recordsOf } from "../support/records.ts";
import type { Host } from "../support/topology.ts";
import { reachable, startPing } from "../support/traffic.ts";

const PREFIX = "/coreos.com/network";
const SIX = { EnableIPv6: true, IPv6Network: "fd00:1::/48", Backend: { Type: "vxlan" } };

/** How flannel says that a peer has gone. */
const REMOVAL = /Batch elem \[\d+\] is \{ lease\.Event\{Type:1,/;

withUpstream(
  "a host with IPv6 alone beside flannel 0.28 costs it no peer",
  async (net, upstream) => {
    const [h1, h2, h3] = [net.host(1), net.host(2), net.host(3)];
    const etcd = await startEtcd(net, { Network: "10.1.0.0/16", ...SIX });
    const args = ["-etcd-endpoints", etcd.endpoints, "-ip-masq"];
    await launchReady(h1, args);
    const theirs = net.use(startUpstream(h2, upstream, args));
    await poll("flannel runs", 30_000, () => /Running backend|Waiting for .* to renew/.test(theirs.text));
    const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
    await reachable(c1, c2.address);
    const routes = await routesTo(h2, h1);
    const ping = startPing(c2, c1.address, 10);
    await ping.answers(20);

    await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify({ EnableIPv4: false, ...SIX }));
    const first = await launchReady(h3, args);
    const env = await subnetEnv(h3);
    await reachable(h3, await deviceAddress(h1, "flannel-v6.1"));
    await reachable(h1, await deviceAddress(h3, "flannel-v6.1"));
    await ping.answers(50);
    // What it does with its peers takes it most of a minute; what it is about to do, it says at once.
    assertEquals(removals(theirs), []);
    await first.stop();
    const again = await launchReady(h3, args);
    assertEquals(await subnetEnv(h3), env);
    await ping.answers(50);
    await again.stop();
    const subnet = env.FLANNEL_IPV6_SUBNET!.replace(/1\/64$/, "-64");
    await recordsOf(etcd, "v3").end(`${PREFIX}/subnet6/${subnet}`);
    await ping.answers(100);
    assertEquals([(await ping.stop()).lost, removals(theirs)], [[], []]);
    assertEquals(await routesTo(h2, h1), routes);
    assertMatch(routes, /via 10\.1\..* dev flannel\.1[^]*via fd00:1:.* dev flannel-v6\.1/);

    // The same record where flannel reads: all its peers are removed.
    await etcd.ctl("put", `${PREFIX}/subnets/${subnet}`, '{"PublicIP":"0.0.0.0","BackendType":"vxlan"}');
    await theirs.line(REMOVAL, 20_000);
  },
  { hosts: 3, peer: "flanneld-0.28", ipv6: true },
);

function removals({ lines }: Process): string[] {
  return lines.filter((line) => REMOVAL.test(line));
}

/** The routes on `host` to the subnets of `peer`, of both families. */
async function routesTo(host: Host, peer: Host): Promise<string> {
  const { FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET } = await subnetEnv(peer);
  const v4 = await host.run(["ip", "route", "show", FLANNEL_SUBNET!.replace(/1\/24$/, "0/24")]);
  const v6 = await host.run(["ip", "-6", "route", "show", FLANNEL_IPV6_SUBNET!.replace(/1\/64$/, "/64")]);
  return v4 + v6;
}
