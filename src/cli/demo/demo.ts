/**
 * `flanneld demo`: the whole job on one machine and on the embedded store. Hosts with a container each, a daemon on every
 * host, one SQLite file; what they did is shown, then traffic, then all is taken away.
 */
import type { Clock } from "../../model/clock.ts";
import { Failure, UsageError } from "../../model/errors.ts";
import { ROUTE_PROTOCOL } from "../../model/objects.ts";
import { race } from "../../async/race.ts";
import { systemClock } from "../../system/clock.ts";
import { quotedWord } from "../hide.ts";
import { didYouMean } from "../../model/nearest.ts";
import type { VerbIo } from "../verb.ts";
import { refuseRest, takeFlags } from "../verb_flags.ts";
import { type DemoDaemon, startDaemons } from "./daemons.ts";
import { goInside, isInside, outerPid, settleInside } from "./inside.ts";
import { type DemoHost, inside, makeContainer, makeHosts, mustInside } from "./lab.ts";
import { type Container, pingMatrix, throughput } from "./traffic.ts";

/** How long hosts may take to find each other. */
const PATIENCE_MS = 10_000;
const DIRECTORY = "/run/denim-demo";
const BACKENDS = ["vxlan", "host-gw", "udp"];
type Out = (text: string) => void;

export const help = `Usage: flanneld demo [OPTION]...

Builds hosts with a container each on this machine, in network namespaces of its own, runs a daemon on every host, shows
what they did, sends traffic, and takes all of it away.

  --hosts N       how many, 2 to 20 (default 3)
  --backend NAME  ${BACKENDS.join(", ")} (default vxlan)
  --keep          leave it running until Ctrl-C, to look around

Exit codes: 0 done, 1 failed, 2 wrong usage.
`;

const flags = { hosts: "value", backend: "value", keep: "switch" } as const;

export async function run({ args, out }: VerbIo): Promise<number> {
  const options = readOptions(args);
  if (!isInside()) return await goInside(args);
  await settleInside();
  const stopped = Promise.withResolvers<never>();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(
      name,
      () => stopped.reject(new Failure("\ndemo: stopped; everything is taken away")),
    );
  }
  await race([show(options, out, systemClock()), stopped.promise]);
  return 0;
}

interface DemoOptions {
  readonly hosts: number;
  readonly backend: string;
  readonly keep: boolean;
}

function readOptions(args: readonly string[]): DemoOptions {
  const { values, on, rest } = takeFlags("demo", args, flags);
  refuseRest("demo", rest, flags);
  const [hosts, backend] = [values.get("hosts") ?? "3", values.get("backend") ?? "vxlan"];
  if (!/^\d{1,2}$/.test(hosts) || Number(hosts) < 2 || Number(hosts) > 20) {
    throw new UsageError(`demo --hosts ${quotedWord(hosts)}: not a number of hosts; give 2 to 20`);
  }
  if (!BACKENDS.includes(backend)) {
    const hint = didYouMean(backend, BACKENDS) || `; give one of ${BACKENDS.join(", ")}`;
    throw new UsageError(`demo --backend ${quotedWord(backend)}: no such backend${hint}`);
  }
  return { hosts: Number(hosts), backend, keep: on.has("keep") };
}

async function show(options: DemoOptions, out: Out, clock: Clock): Promise<void> {
  const began = clock.boot();
  out(`denim demo: ${options.hosts} hosts, backend ${options.backend}, embedded store (SQLite)\n`);
  await Deno.mkdir(DIRECTORY);
  const hosts = await makeHosts(options.hosts);
  const daemons = await startDaemons(hosts, options.backend, DIRECTORY, clock);
  showLeases(daemons, out);
  await showWays(options, daemons, out, clock);
  const containers = await Promise.all(daemons.map(containerOf));
  out("\nPing, container to container\n" + indent(await pingMatrix(containers)));
  const gbits = await throughput(containers[0]!, containers[1]!, clock);
  out(`\nTCP, container 1 to container 2\n  ${gbits} Gbit/s\n`);
  if (options.keep) await keep([...hosts, ...containers], out);
  for (const daemon of daemons) await daemon.stop();
  const seconds = ((clock.boot() - began) / 1000).toFixed(1);
  out(
    `\nCleanup\n  namespaces, devices, processes and files are gone with the demo, ${seconds} s after its start\n`,
  );
}

/** How host 1 reaches the others; waits until every host does. */
async function showWays({ backend }: DemoOptions, daemons: readonly DemoDaemon[], out: Out, clock: Clock) {
  const others = daemons.length - 1;
  // One route leads into a userspace tunnel; whom it leads to is known inside.
  const routes = await Promise.all(
    daemons.map(({ host }) => routesOf(host, backend === "udp" ? 1 : others, clock)),
  );
  out("\nRoutes of host 1\n" + indent(routes[0]!));
  if (backend !== "udp") return;
  const peers = await Promise.all(daemons.map((daemon) => peersOf(daemon, others, clock)));
  out("\nPeers in host 1's tunnel\n" + indent(peers[0]!));
}

/** The peers in the host's tunnel, as its daemon told of them, once there are as many. */
async function peersOf(daemon: DemoDaemon, count: number, clock: Clock): Promise<string> {
  for (let waited = 0;; waited += 20) {
    const peers = [...(await daemon.log()).matchAll(/ added peer: (.*)$/gm)].map(([, peer]) => peer);
    if (peers.length >= count) return peers.join("\n");
    if (waited > PATIENCE_MS) throw new Failure(`demo: ${daemon.host.name} has not found the others`);
    await clock.sleep(20);
  }
}

/** The host's routes to the others, once there are as many: a host is ready before the last one has joined. */
async function routesOf(host: DemoHost, count: number, clock: Clock): Promise<string> {
  for (let waited = 0;; waited += 20) {
    const routes = (await mustInside(host, "ip", "route", "show", "proto", String(ROUTE_PROTOCOL))).trim();
    if (routes !== "" && routes.split("\n").length >= count) return routes;
    if (waited > PATIENCE_MS) throw new Failure(`demo: ${host.name} has not found the others:\n${routes}`);
    await clock.sleep(20);
  }
}

function showLeases(daemons: readonly DemoDaemon[], out: Out): void {
  out("\nLeases\n");
  for (const { host, environment } of daemons) {
    const { FLANNEL_SUBNET = "", FLANNEL_MTU = "" } = environment;
    out(`  ${host.name}  ${host.address}  gateway ${FLANNEL_SUBNET.padEnd(15)}  MTU ${FLANNEL_MTU}\n`);
  }
}

function containerOf({ host, environment }: DemoDaemon): Promise<Container> {
  return makeContainer(host, environment.FLANNEL_SUBNET ?? "", Number(environment.FLANNEL_MTU));
}

/** Leaves all of it running until Ctrl-C ends the process, and says how to look at it. */
async function keep(nodes: readonly (DemoHost | Container)[], out: Out): Promise<never> {
  const init = await outerPid();
  out("\nKept until Ctrl-C. To look around, from another terminal\n");
  for (const node of nodes) {
    out(`  ${node.name.padEnd(12)} nsenter -t ${init} -a ${inside(node, "bash").join(" ")}\n`);
  }
  return await new Promise<never>(() => {});
}

function indent(text: string): string {
  return text.trimEnd().split("\n").map((line) => `  ${line}\n`).join("");
}
