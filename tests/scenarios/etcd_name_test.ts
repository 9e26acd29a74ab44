/**
 * An endpoint by name, on a host whose DNS is silent or knows no such name: that is what is said, and not that etcd or a firewall
 * is to blame. Once the name resolves the daemon goes on by itself.
 *
 *   h1 ─ eth0 ── 192.168.64.0/24      etcd on h1, as etcd.example
 */
import { launch } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { CONFIG } from "../support/overlay.ts";
import { poll } from "../support/process.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";

const KEY = "/coreos.com/network/config";

async function namedLater(net: Topology, api: "v2" | "v3", silent: boolean): Promise<void> {
  const h1 = net.host(1);
  const members = [{ ip: h1.ip, enter: h1.enter, ports: [2379, 2380] as const }];
  const etcd = net.use(await EtcdCluster.start({ members, flags: ["--enable-v2"] }));
  if (api === "v3") await etcd.ctl("put", KEY, JSON.stringify(CONFIG));
  else await etcd.ctl2("set", KEY, JSON.stringify(CONFIG));

  const [hosts, resolver] = [`${net.directory}/hosts`, `${net.directory}/resolv.conf`];
  await Deno.writeTextFile(hosts, "127.0.0.1 localhost\n");
  await Deno.writeTextFile(resolver, `nameserver ${h1.ip}\n`);
  await h1.sh(`mount --bind ${hosts} /etc/hosts; mount --bind ${resolver} /etc/resolv.conf`);
  if (silent) {
    h1.start("silent DNS", ["socat", "-u", `UDP-RECV:53,bind=${h1.ip}`, "-"]);
    await poll("the DNS", 5_000, async () => (await h1.run(["ss", "-Hlun"])).includes(":53 "));
  }
  const daemon = launch(h1, ["-etcd-endpoints=http://etcd.example:2379", `--etcd-api=${api}`]);
  await daemon.line(
    silent
      ? /etcd "http:\/\/etcd\.example:2379": the host name does not resolve, as the DNS does not answer; check/
      : /etcd "http:\/\/etcd\.example:2379": host name not found; check the name and the DNS/,
  );
  // In place: it is this file that is mounted.
  await Deno.writeTextFile(hosts, `127.0.0.1 localhost\n${h1.ip} etcd.example\n`);
  await daemon.line(/our subnet is/, 30_000);
}

scenariosTogether(
  "etcd by name: a name that does not resolve is said, and found by itself once it does",
  (["v3", "v2"] as const).flatMap((api) =>
    [true, false].map((silent) => [{ hosts: 1 }, (net: Topology) => namedLater(net, api, silent)] as const)
  ),
);
