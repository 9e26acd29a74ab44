/**
 * Backend udp between upstream's proxy and ours over a wire that loses, doubles, swaps and damages packets, also so that the
 * outer checksum does not tell: whatever arrives is what was sent, in both directions.
 *
 *   c1 ── cbr0 ── h1: flanneld (ours) ~~~ bad wire ~~~ h2: flanneld (upstream) ── cbr0 ── c2
 *                  └ etcd
 */
import { BadWire } from "../support/bad_wire.ts";
import { launchReady } from "../support/daemon.ts";
import { containerOn } from "../support/overlay.ts";
import { startEtcd, startUpstreamTunnel, withUpstream } from "../support/peers.ts";
import { say } from "../support/process.ts";
import { BADNESS, checkDatagrams, checkStreams, checkWire } from "../support/streams.ts";
import { reachable } from "../support/traffic.ts";

const CONFIG = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "udp", Port: 7890 } };

withUpstream(
  "udp streams over a bad wire beside upstream's proxy: what arrives is what was sent",
  async (net, upstream) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    const etcd = await startEtcd(net, CONFIG);
    const args = ["-etcd-endpoints", etcd.endpoints];
    await launchReady(h1, args);
    await startUpstreamTunnel(net, h2, upstream, args);
    const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
    await reachable(c1, c2.address);
    await reachable(c2, c1.address);
    const wire = await BadWire.at(net, h2, 2, BADNESS);
    for (const [from, to] of [[c1, c2], [c2, c1]] as const) {
      say(`from ${from.name} to ${to.name}`);
      await checkStreams({ from, to, address: to.address, port: 5001 });
      await checkDatagrams({ from, to, address: to.address, port: 5002 });
    }
    await checkWire(wire, c1, c2);
  },
  { peer: "flanneld-0.28" },
);
