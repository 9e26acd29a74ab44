/**
 * The daemon started again with another layout, another variant of iptables, or both: what stands is exactly one layout in one
 * variant, and flows to the world outside are masqueraded throughout.
 *
 *   c1 ── cbr0 ── h1: flanneld -ip-masq ── eth0 ── outside (knows no way back to 10.1.0.0/16)
 */
import { assert, assertEquals } from "@std/assert";
import type { FirewallLayout, Variant } from "../../src/model/firewall.ts";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { layoutRules, overlayRules, subnetOfEnv } from "../support/firewall_listing.ts";
import { containerOn, sqliteArgs } from "../support/overlay.ts";
import { say } from "../support/process.ts";
import { OUTSIDE, scenario } from "../support/topology.ts";
import { startFlows } from "../support/udp_flows.ts";

/** Every change of one, and of both. */
const STEPS: readonly [Variant, FirewallLayout][] = [
  ["nft", "chains"],
  ["nft", "legacy"],
  ["legacy", "legacy"],
  ["legacy", "chains"],
  ["nft", "legacy"],
  ["legacy", "chains"],
  ["nft", "chains"],
];

scenario(
  "other layouts and variants at restarts: every flow masqueraded, nothing doubled or left over",
  { hosts: 1 },
  async (net) => {
    const h1 = net.host(1);
    const args = [...await sqliteArgs(net), "-ip-masq"];
    const as = ([variant, layout]: readonly [Variant, FirewallLayout]) =>
      launchReady(h1, [...args, `-iptables-variant=${variant}`, `-iptables-layout=${layout}`]);
    let daemon = await as(STEPS[0]!);
    const subnet = subnetOfEnv(await subnetEnv(h1));
    const flows = await startFlows(await containerOn(net, h1), net.outside, OUTSIDE);
    for (const step of STEPS) {
      await daemon.stop();
      daemon = await as(step);
      assertEquals(await overlayRules(h1, "10.1."), layoutRules(...step, "10.1.0.0/16", subnet));
      await flows.answers(50);
    }
    assert(daemon.lines.some((line) => line.includes("deleted chain: iptables-legacy -t nat chain FLANNEL")));
    const { sent, answered } = await flows.stop();
    say(`${STEPS.length} restarts: ${sent} flows, ${answered} masqueraded`);
    assertEquals(answered, sent);
  },
);
