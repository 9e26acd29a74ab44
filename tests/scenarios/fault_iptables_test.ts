/**
 * `-ip-masq` on hosts where iptables is missing or of no use: containers reach each other all the same, the daemon says what is
 * wrong and is not ready, and mends it when it can.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { health, launch, launchReady } from "../support/daemon.ts";
import { containerOn, sqliteArgs } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";
import { reachable } from "../support/traffic.ts";

/** Programs of an iptables that answers `--version` and nothing else, as on a kernel or in a sandbox that lacks what it takes. */
const useless = (message: string) =>
  `#!/bin/sh\n[ "$1" = --version ] && { echo "iptables v1.8.9 (nf_tables)"; exit 0; }\necho '${message}' >&2\nexit 4\n`;
const NAMES = ["iptables", "iptables-save", "iptables-restore"].flatMap((n) => [n, n.replace("ip", "ip6")]);

/** `before`: what each program is at first, none where null. `reason`: of `/readyz`. */
function lacking(before: string | null, reason: RegExp, loud: RegExp) {
  return async (net: Topology) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    const bin = `${net.directory}/bin`;
    await Deno.mkdir(bin);
    if (before !== null) {
      for (const name of NAMES) await Deno.writeTextFile(`${bin}/${name}`, before, { mode: 0o755 });
    }
    const args = [...await sqliteArgs(net), "-ip-masq", "-healthz-port=300"];
    await launchReady(h2, args);
    const daemon = await launchReady(h1, args, { wrap: ["env", `PATH=${bin}`] });
    const here = await containerOn(net, h1);
    const there = await containerOn(net, h2);
    await reachable(here, there.address);
    const { status, body } = await health(h1, "/readyz");
    assertEquals(status, 503, body);
    assertMatch(body, reason);
    assert(daemon.lines.some((line) => loud.test(line)), daemon.text);

    const start = performance.now();
    for (const name of NAMES) {
      await Deno.remove(`${bin}/${name}`).catch(() => {});
      const real = (await h1.run(["sh", "-c", `command -v ${name}`])).trim();
      await Deno.symlink(real, `${bin}/${name}`);
    }
    await poll("readiness", 60_000, async () => (await health(h1, "/readyz")).status === 200);
    say(`ready ${Math.round(performance.now() - start)} ms after iptables came`);
    // What this iptables can do is asked a few seconds later at most.
    await poll(
      "random source ports",
      20_000,
      async () =>
        /-A FLANNEL-POSTRTG .*MASQUERADE --random-fully/.test(await h1.run(["iptables-save", "-t", "nat"])),
    );
    await reachable(here, there.address);
  };
}

/** iptables-legacy opens a raw socket. */
async function noPermission(net: Topology): Promise<void> {
  const h1 = net.host(1);
  const args = [...await sqliteArgs(net), "-ip-masq", "-healthz-port=300", "-iptables-variant=legacy"];
  const daemon = launch(h1, args, { wrap: ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"] });
  await daemon.line(/Wrote subnet file/);
  const { status, body } = await health(h1, "/readyz");
  assertEquals(status, 503, body);
  assertMatch(
    body,
    /iptables-legacy-restore": unable to initialize table .*; run as root with CAP_NET_ADMIN and CAP_NET_RAW/,
  );
}

const hosts = { hosts: 2 };
scenariosTogether("fault: masquerading is asked for, and iptables is missing or of no use", [
  [
    hosts,
    lacking(
      null,
      /"iptables-restore".*: not found/,
      /error.*set up -ip-masq: .*not found.*going on without it/,
    ),
  ],
  [
    hosts,
    lacking(
      useless("iptables: Failed to initialize nft: Protocol not supported"),
      /Failed to initialize nft.*; load the kernel's nf_tables/,
      /error.*Failed to initialize nft/,
    ),
  ],
  [{ hosts: 1 }, noPermission],
]);
