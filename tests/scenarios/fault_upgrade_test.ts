/**
 * An upgrade as administrators do it: the program is replaced on disk while it runs, by a rename, and the daemon is restarted
 * later. The old one goes on repairing meanwhile; no packet is lost.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 */
import { assertEquals, assertMatch } from "@std/assert";
import { daemonCommand, launchReady } from "../support/daemon.ts";
import { sqliteArgs, standing } from "../support/overlay.ts";
import { poll, run } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenario } from "../support/topology.ts";

/** What the daemon needs of a source tree. */
const PARTS = ["main.ts", "mod.ts", "deno.json", "deno.lock", "src", "ffi", "dist"];

scenario("fault: the program is replaced under a running daemon", { hosts: 2 }, async (net) => {
  const args = await sqliteArgs(net);
  const [h1, h2] = [net.host(1), net.host(2)];
  const installed = await install(net.directory);
  const options = { command: installed.command };
  const old = await Promise.all([h1, h2].map((host) => launchReady(host, args, options)));
  const traffic = await SteadyTraffic.start(net, h1, h2);
  const before = await Promise.all([h1, h2].map(standing));

  await installed.replace();
  await h1.sh("iptables -F FLANNEL-FWD");
  await poll("the old program's repair", 15_000, async () => await standing(h1) === before[0]);
  for (const [i, host] of [h1, h2].entries()) {
    assertEquals(await old[i]!.stop(), 0);
    const daemon = await launchReady(host, args, options);
    if (installed.marked) assertMatch(daemon.text, /denim flanneld v\S+-next/);
    await traffic.flows();
  }
  assertEquals(await Promise.all([h1, h2].map(standing)), before);
  await traffic.stopWhole("upgraded");
});

interface Installed {
  readonly command: readonly string[];
  /** Puts the next version in its place. */
  replace(): Promise<void>;
  /** The next version says that it is one. */
  readonly marked: boolean;
}

/** The daemon under test, installed in a directory: a built program as a file, a source tree behind a link. */
async function install(directory: string): Promise<Installed> {
  const command = daemonCommand();
  const program = command.at(-1)!;
  if (!program.endsWith("/main.ts")) return await installFile(directory, program);
  const link = `${directory}/denim`;
  await plant(program, `${directory}/old`);
  await run(["ln", "-s", `${directory}/old`, link]);
  const replace = async () => {
    await plant(program, `${directory}/new`);
    await run(["sed", "-i", 's/"version": "[^"]*/&-next/', `${directory}/new/deno.json`]);
    await run(["ln", "-s", `${directory}/new`, `${link}.new`]);
    await run(["mv", "-T", `${link}.new`, link]);
  };
  return { command: [...command.slice(0, -1), `${link}/main.ts`], replace, marked: true };
}

async function installFile(directory: string, program: string): Promise<Installed> {
  const file = `${directory}/flanneld`;
  await run(["cp", program, file]);
  const replace = async () => {
    await run(["cp", program, `${file}.new`]);
    await Deno.rename(`${file}.new`, file);
  };
  return { command: [file], replace, marked: false };
}

async function plant(program: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  const root = program.replace(/main\.ts$/, "");
  await run(["cp", "-a", ...PARTS.map((part) => root + part), to]);
}
