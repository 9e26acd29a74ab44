/**
 * Everything of a kind is wiped under a running daemon and under traffic: the rules of a firewall that drops what nobody accepts,
 * the device, its routes, its neighbours, its FDB entries. The data path is cut then; the time to repair is printed, and one TCP
 * connection lives through all of it.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 */
import { assert } from "@std/assert";
import type { Variant } from "../../src/model/firewall.ts";
import { launchReady } from "../support/daemon.ts";
import { overlayRules } from "../support/firewall_listing.ts";
import { sqliteArgs, standing } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { type Host, scenariosTogether, type Topology } from "../support/topology.ts";

/** Of a firewall that announces changes, and of the network: milliseconds without an answer. */
const PROMPT = 3_000;
/** Of the legacy firewall, which is read every second here. */
const SILENT = 5_000;

const NETWORK: Record<string, string> = {
  "ip link del": "ip link del flannel.1",
  "ip route flush": "ip route flush dev flannel.1",
  "ip neigh flush": "ip neigh flush dev flannel.1 nud permanent",
  "ip address flush": "ip address flush dev flannel.1",
  "bridge fdb del":
    "bridge fdb show dev flannel.1 | while read mac rest; do bridge fdb del $mac dev flannel.1; done",
};

/** What firewalld and its like do at a reload: everything goes, in every table, and forwarding is refused. */
const EMPTY = ["raw", "mangle", "nat"].map((table) => `*${table}\\nCOMMIT\\n`).join("") +
  "*filter\\n:FORWARD DROP [0:0]\\nCOMMIT\\n";

function firewall(iptables: string): Record<string, string> {
  return {
    [`${iptables} -F and -X`]:
      `for table in filter nat; do ${iptables} -t $table -F; ${iptables} -t $table -X; done`,
    [`${iptables}-restore of nothing`]: `printf '${EMPTY}' | ${iptables}-restore`,
  };
}

function wiping(variant: Variant, args: readonly string[], damages: Record<string, string>, limit: number) {
  return async (net: Topology): Promise<void> => {
    const h1 = net.host(1);
    const all = [...await sqliteArgs(net), "-ip-masq", `-iptables-variant=${variant}`, ...args];
    const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, all)));
    for (const host of net.hosts) await host.sh(`iptables-${variant} -P FORWARD DROP`);
    const traffic = await SteadyTraffic.start(net, h1, net.host(2));
    const before = await stateOf(h1);
    for (const [what, script] of Object.entries(damages)) {
      const start = performance.now();
      const gap = await traffic.gapDuring(async () => {
        await h1.sh(script);
        await poll(`the repair of: ${what}`, 15_000, async () => await stateOf(h1) === before);
      });
      say(
        `${what}: as before after ${Math.round(performance.now() - start)} ms, ${gap} ms without an answer`,
      );
      assert(gap < limit, `${what}: ${gap} ms without an answer`);
    }
    assert(daemons.every((daemon) => daemon.running));
    await traffic.stopRepaired(`wiped, with iptables-${variant}`);
  };
}

async function stateOf(host: Host): Promise<string> {
  return `${await standing(host)}${(await overlayRules(host, "10.1.")).join("\n")}`;
}

scenariosTogether("fault: device, routes, neighbours or rules are wiped; the connection lives on", [
  [
    { hosts: 2 },
    wiping("nft", [], {
      ...NETWORK,
      ...firewall("iptables-nft"),
      "nft flush ruleset": "nft flush ruleset; iptables-nft -P FORWARD DROP",
    }, PROMPT),
  ],
  [{ hosts: 2 }, wiping("legacy", ["-iptables-resync=1"], firewall("iptables-legacy"), SILENT)],
]);
