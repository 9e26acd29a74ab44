/**
 * The firewall changes hands: what upstream's daemon of either release left in either variant of iptables is taken over into
 * any layout and variant while flows to the world outside go on being masqueraded, and given back.
 *
 *   c1 ── cbr0 ── h1: upstream's, then ours, then upstream's ── eth0 ── outside (knows no way back to 10.1.0.0/16)
 *                  └ etcd with both of its APIs
 */
import { assertEquals } from "@std/assert";
import type { FirewallLayout, Variant } from "../../src/model/firewall.ts";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { layoutRules, overlayRules, subnetOfEnv } from "../support/firewall_listing.ts";
import { containerOn } from "../support/overlay.ts";
import { startUpstream, withUpstream } from "../support/peers.ts";
import { poll, type Process, say } from "../support/process.ts";
import { type Host, OUTSIDE, type Topology } from "../support/topology.ts";
import { startFlows } from "../support/udp_flows.ts";

const CONFIG = '{"Network":"10.1.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan"}}';
const RELEASES: readonly [peer: string, layout: FirewallLayout][] = [
  ["flanneld-0.11", "legacy"],
  ["flanneld-0.28", "chains"],
];

for (const [peer, layout] of RELEASES) {
  for (const variant of ["nft", "legacy"] as const) {
    withUpstream(
      `the firewall of ${peer} with iptables-${variant} is taken over and given back`,
      (net, upstream) => handOver(net, upstream, variant, layout),
      { hosts: 1, peer },
    );
  }
}

/** Ours in every layout and variant, the first in those that upstream has just left, the last in what it will find again. */
async function handOver(
  net: Topology,
  upstream: string,
  variant: Variant,
  layout: FirewallLayout,
): Promise<void> {
  const h1 = net.host(1);
  const args = ["-etcd-endpoints", await startBothApis(net, h1), "-ip-masq"];
  let theirs = await upstreamReady(net, h1, upstream, args, variant);
  const subnet = subnetOfEnv(await subnetEnv(h1));
  const left = await overlayRules(h1, "10.1.");
  assertEquals(left, layoutRules(variant, layout, "10.1.0.0/16", subnet));
  const flows = await startFlows(await containerOn(net, h1), net.outside, OUTSIDE);
  await flows.answers(50);
  for (const ours of stepsTo(variant, layout)) {
    await theirs.stop();
    const [inVariant, inLayout] = ours;
    theirs = await launchReady(h1, [
      ...args,
      `-iptables-variant=${inVariant}`,
      `-iptables-layout=${inLayout}`,
    ]);
    assertEquals(await overlayRules(h1, "10.1."), layoutRules(...ours, "10.1.0.0/16", subnet));
    await flows.answers(50);
  }
  const { sent, answered } = await flows.stop();
  say(`${sent} flows, ${answered} masqueraded`);
  assertEquals(sent - answered, 0);
  await theirs.stop();
  // Without flows: 0.28 empties its chain before it fills it again.
  await upstreamReady(net, h1, upstream, args, variant);
  await h1.run([`iptables-${variant}`, "-D", layout === "chains" ? "FLANNEL-FWD" : "FORWARD", "1"]);
  await poll(
    "upstream to look after its rules",
    10_000,
    async () => (await overlayRules(h1, "10.1.")).length >= left.length,
  );
  assertEquals(await overlayRules(h1, "10.1."), left);
}

function stepsTo(variant: Variant, layout: FirewallLayout): [Variant, FirewallLayout][] {
  const [otherVariant, otherLayout] = [
    variant === "nft" ? "legacy" : "nft",
    layout === "chains" ? "legacy" : "chains",
  ] as const;
  return [
    [variant, layout],
    [variant, otherLayout],
    [otherVariant, layout],
    [otherVariant, otherLayout],
    [variant, layout],
  ];
}

/** An etcd with the configuration in both of its APIs: 0.11 reads the old one, all others the new one. */
async function startBothApis(net: Topology, host: Host): Promise<string> {
  const { ip, enter } = host;
  const members = [{ ip, ports: [2379, 2380] as const, enter }];
  const etcd = net.use(await EtcdCluster.start({ members, flags: ["--enable-v2"] }));
  await etcd.ctl("put", "/coreos.com/network/config", CONFIG);
  const set = ["etcdctl", "--endpoints", etcd.endpoints, "set", "/coreos.com/network/config", CONFIG];
  await host.run(set, { env: { ETCDCTL_API: "2" } });
  return etcd.endpoints;
}

/** Starts upstream's daemon with one variant of iptables alone on its PATH, and waits until its rules stand. */
async function upstreamReady(
  net: Topology,
  host: Host,
  binary: string,
  args: readonly string[],
  variant: Variant,
): Promise<Process> {
  const directory = `/run/iptables-${variant}`;
  await host.sh(`mkdir -p ${directory}
    for tool in iptables ip6tables; do for end in "" -save -restore; do
      ln -sf $(command -v $tool-${variant}$end) ${directory}/$tool$end
    done; done`);
  const env = { PATH: `${directory}:${Deno.env.get("PATH")}` };
  const daemon = net.use(startUpstream(host, binary, [...args, "-iptables-resync", "1"], { env }));
  await poll(
    "upstream's daemon runs",
    30_000,
    () => daemon.lines.some((line) => /(Running backend|Waiting for .* to renew lease)/.test(line)),
  );
  // 0.11 writes its rules beside everything else.
  await poll("upstream's rules", 10_000, async () => (await overlayRules(host, "10.1.")).length >= 6);
  return daemon;
}
