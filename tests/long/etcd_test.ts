/**
 * Faults of etcd that take minutes by their nature. As always the data path is never touched, so that nothing may be lost.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *   etcd on h1 to h3, or on h1 behind etcd's own gRPC proxy
 */
import { assert } from "@std/assert";
import { launchReady } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { withoutMajority } from "../support/etcd_faults.ts";
import { ghost, knows } from "../support/ghosts.ts";
import { CONFIG } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenario } from "../support/topology.ts";
import { listening } from "../support/traffic.ts";

const MINUTE = 60_000;
const PROXY_PORT = 23790;

scenario("long: five minutes without a majority", { hosts: 3 }, (net) => withoutMajority(net, 5 * MINUTE));

// The proxy keeps its clients' watches over the restore, and goes on to wait for a revision that is long in coming.
scenario(
  "long: a watch that falls silent without an error is found out within 11 minutes",
  { hosts: 2 },
  async (net) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    const members = [{ ip: h1.ip, enter: h1.enter, ports: [2379, 2380] as const }];
    const etcd = net.use(await EtcdCluster.start({ members }));
    await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
    const proxy = ["etcd", "grpc-proxy", "start", `--endpoints=${etcd.endpoints}`];
    h1.start("proxy", [...proxy, `--listen-addr=${h1.ip}:${PROXY_PORT}`]);
    await listening(h1, PROXY_PORT);
    const backup = `${net.directory}/backup`;
    await etcd.backup(backup);
    const args = [`-etcd-endpoints=http://${h1.ip}:${PROXY_PORT}`];
    const daemons = await Promise.all([h1, h2].map((host) => launchReady(host, args)));
    // History that the restored etcd lacks: what comes after the restore is old news to the watch.
    for (let i = 0; i < 100; i++) await etcd.ctl("put", "/elsewhere", String(i));
    const traffic = await SteadyTraffic.start(net, h1, h2);

    await etcd.members[0]!.kill();
    await etcd.restore(backup);
    etcd.members[0]!.launch();
    await etcd.ready();
    const start = performance.now();
    await etcd.ctl("put", ...ghost(101));
    for (const [i, host] of [h1, h2].entries()) {
      await poll(`ghost 101 on ${host.name}`, 11 * MINUTE, () => knows(host, 101));
      const silent = !daemons[i]!.text.includes("the store is out of reach");
      const seconds = Math.round((performance.now() - start) / 1000);
      say(`${host.name} knows after ${seconds} s${silent ? ", without having seen an outage" : ""}`);
    }
    assert(daemons.every((daemon) => daemon.running));
    await traffic.stopWhole("a silent watch");
  },
);
