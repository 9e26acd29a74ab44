/**
 * What a log pipeline gets of a daemon's life: JSON from the first line to the last, with fields that say of whom it is.
 *
 *   h1 (json) ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { sqliteArgs } from "../support/overlay.ts";
import { poll } from "../support/process.ts";
import { type Host, scenario } from "../support/topology.ts";

type Event = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string };

scenario(
  "json: ready, a peer, not ready and ready again, each with its fields",
  { hosts: 2 },
  async (net) => {
    const [h1, h2] = net.hosts as [Host, Host];
    const args = await sqliteArgs(net);
    const daemon = launch(h1, [...args, "-log-format=json"]);
    const event = async (message: RegExp): Promise<Event> => {
      const found = await poll(
        `an event ${message}`,
        20_000,
        () =>
          daemon.lines.map((line) => JSON.parse(line) as Event).find((each) => message.test(each.message)),
      );
      return found;
    };
    const ready = await event(/^ready: 0 peers in \d+ ms$/);
    assertEquals([ready.level, ready.peers, typeof ready.durationMs], ["info", 0, "number"]);
    assert(Number(ready.durationMs) > 20, String(ready.durationMs));

    await launchReady(h2, args);
    const subnet = (await subnetEnv(h2)).FLANNEL_SUBNET!.replace(/1\//, "0/");
    const joined = await event(/ joined$/);
    assertEquals([joined.subnet, joined.publicIp, joined.backend], [subnet, h2.ip, "vxlan"]);

    await h1.sh("rm /run/flannel/subnet.env && mount -t tmpfs -o ro tmpfs /run/flannel");
    const not = await event(/^not ready: the subnet file is not written: write subnet file .*read-only/);
    assertEquals([not.level, (not.reasons as string[]).length], ["warn", 1]);
    await h1.run(["umount", "/run/flannel"]);
    const again = await event(/^ready again after .*; it was: the subnet file is not written/);
    assertEquals([again.peers, typeof again.durationMs], [1, "number"]);

    assertEquals(await daemon.stop(), 0);
    for (const line of daemon.lines) {
      const { time, level, message } = JSON.parse(line);
      assertMatch(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert(["info", "warn", "error"].includes(level) && message !== "", line);
    }
  },
);
