/**
 * What a daemon costs a node, in each form it comes in and beside upstream's, by turns in one run: the file's size, from exec
 * to the subnet file on an empty network, memory and idle CPU with no peers and with 5,000. dist/flanneld is measured where
 * it was built (`deno task compile`), upstream's daemons where they are found.
 *
 * Resident memory counts the pages of the program's file, which all its processes share and the kernel can drop; private
 * memory is what goes away with the process.
 */
import { daemonCommand } from "../tests/support/daemon.ts";
import { pause, type Process, say } from "../tests/support/process.ts";
import { Ear } from "./ear.ts";
import { clean, type Host, Lab, startDaemon } from "./lab.ts";
import { now } from "./libc.ts";
import { etcdArgs } from "./running.ts";
import { spread } from "./statistics.ts";
import { findUpstream } from "./upstream.ts";
import { cpuSeconds, memory, privateMemory } from "./usage.ts";

const STARTS = 7;
const PEERS = [0, 5_000];
const SETTLE_MS = 45_000;
const IDLE_MS = 60_000;

interface Form {
  readonly name: string;
  readonly command: readonly string[];
}

interface Resting {
  readonly form: Form;
  readonly peers: number;
  readonly daemon: Process;
}

export async function footprint(): Promise<void> {
  await using lab = await Lab.create();
  for (const peers of PEERS) await lab.seed(prefixOf(peers), peers);
  const forms = await findForms();
  for (const form of forms) say(`  ${form.name}: ${(await size(form)).toFixed(1)} MB on disk`);
  await starts(lab, forms);
  await rests(lab, forms);
}

function prefixOf(peers: number): string {
  return `/bench/footprint-${peers}`;
}

async function findForms(): Promise<Form[]> {
  const binary = new URL("../dist/flanneld", import.meta.url).pathname;
  const built = await Deno.stat(binary).then((file) => file.isFile, () => false);
  if (!built) say("  dist/flanneld was not there (deno task compile makes it)");
  const upstream = (await findUpstream()).filter(({ v2 }) => !v2);
  if (upstream.length === 0) {
    say("  upstream's flanneld was not there (DENIM_PEERS names a directory with some)");
  }
  return [
    { name: "deno run", command: daemonCommand() },
    ...(built ? [{ name: "dist/flanneld", command: [binary] }] : []),
    ...upstream.map(({ path, version }) => ({ name: `upstream ${version}`, command: [path] })),
  ];
}

/** Of the program's file, MB. */
async function size({ command }: Form): Promise<number> {
  return (await Deno.stat(command[0]!)).size / 1e6;
}

/** From exec to the end of the start, by turns. */
async function starts(lab: Lab, forms: readonly Form[]): Promise<void> {
  const host = await lab.host();
  const times = new Map(forms.map((form) => [form, [] as number[]]));
  for (let i = 0; i < STARTS; i++) {
    for (const [form, found] of times) {
      await clean(host);
      await lab.forgetHosts(prefixOf(0));
      const began = now();
      await using daemon = startDaemon(host, etcdArgs(lab, prefixOf(0)), { command: form.command });
      await daemon.line(READY);
      found.push(now() - began);
      // Asked politely as early as this, upstream's 0.28 at times waits for ever for one of its own goroutines.
      await daemon.stop("SIGKILL");
    }
  }
  for (const [{ name }, found] of times) {
    say(`  ${name}: ready after ${spread(found, "ms", 0)}, ${STARTS} starts`);
  }
}

/** What both say when the file is there. */
const READY = /Wrote subnet file/;

/** All forms at once over the same minute, on hosts of their own. */
async function rests(lab: Lab, forms: readonly Form[]): Promise<void> {
  const resting: Resting[] = [];
  for (const peers of PEERS) {
    for (const form of forms) {
      resting.push({ form, peers, daemon: await rest(lab, await lab.host(), form, peers) });
    }
  }
  await pause(SETTLE_MS);
  const before = resting.map(({ daemon }) => cpuSeconds(daemon.pid));
  await pause(IDLE_MS);
  for (const [i, { form, peers, daemon }] of resting.entries()) {
    const share = ((cpuSeconds(daemon.pid) - before[i]!) * 100_000 / IDLE_MS).toFixed(2);
    const { now: resident, peak } = memory(daemon.pid);
    const own = privateMemory(daemon.pid).toFixed(0);
    say(
      `  ${form.name}, ${peers} peers: RSS ${resident.toFixed(0)} MB (private ${own} MB, peak ${
        peak.toFixed(0)
      } MB), ` +
        `idle ${share} % of a core`,
    );
  }
  for (const { daemon } of resting) await daemon.stop();
}

async function rest(lab: Lab, host: Host, form: Form, peers: number): Promise<Process> {
  await clean(host);
  await using ear = await Ear.open({ routesOf: host.pid });
  const position = ear.position;
  const daemon = startDaemon(host, etcdArgs(lab, prefixOf(peers)), { command: form.command });
  await daemon.line(READY, 60_000);
  if (peers > 0) await ear.added(peers, position);
  return daemon;
}
