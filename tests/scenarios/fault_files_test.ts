/**
 * Somebody cleans /run: the subnet file goes, or its directory does, or it is written over; and a daemon starts with a damaged
 * one. Traffic flows on throughout.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { sqliteArgs } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenario } from "../support/topology.ts";

const FILE = "/run/flannel/subnet.env";
/** A look every second, and what a busy machine adds. */
const SOON = 3_000;

const damages: Readonly<Record<string, [string, RegExp]>> = {
  "the file removed": [`rm ${FILE}`, /somebody removed it; it is written again/],
  "the file written over": [`echo FLANNEL_SUBNET=10.9.9.1/24 > ${FILE}`, /somebody changed it/],
  "the file emptied": [`: > ${FILE}`, /somebody changed it/],
  "the directory removed": ["rm -r /run/flannel", /somebody removed it/],
  "the directory removed and made again": ["rm -r /run/flannel; mkdir /run/flannel", /somebody removed it/],
};

scenario(
  "fault: the subnet file is removed or changed, or damaged before a start",
  { hosts: 2 },
  async (net) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    const args = await sqliteArgs(net);
    let daemon = await launchReady(h1, args);
    await launchReady(h2, args);
    const traffic = await SteadyTraffic.start(net, h1, h2);
    const env = await subnetEnv(h1);
    let said = 0;
    for (const [what, [command, says]] of Object.entries(damages)) {
      const start = performance.now();
      await h1.sh(command);
      await poll(`the file after ${what}`, SOON, async () => {
        const text = await h1.run(["sh", "-c", `cat ${FILE} || true`]);
        return text.includes(`FLANNEL_SUBNET=${env.FLANNEL_SUBNET}\n`) && text.includes("FLANNEL_MTU=");
      });
      say(`${what}: as it was after ${Math.round(performance.now() - start)} ms`);
      assertEquals(await subnetEnv(h1), env);
      const told = daemon.lines.filter((line) => /somebody (removed|changed) it/.test(line));
      // One in a minute is told.
      if (said++ === 0) assertMatch(told.join(), says);
      assertEquals(told.length, 1, told.join("\n"));
    }

    await daemon.stop();
    await h1.sh(`printf 'FLANNEL_NETWORK=10.1.0.0/16\\nFLANNEL_SUB' > ${FILE}`);
    daemon = await launchReady(h1, args);
    assert(
      daemon.lines.some((line) =>
        /subnet file "\/run\/flannel\/subnet\.env": line 2 is no NAME=VALUE/.test(line)
      ),
    );
    assert(
      daemon.lines.some((line) => /used of subnet file .*: network 10\.1\.0\.0\/16/.test(line)),
      daemon.text,
    );
    assertEquals(await subnetEnv(h1), env);
    await traffic.stopWhole("a cleaned /run");
  },
);
