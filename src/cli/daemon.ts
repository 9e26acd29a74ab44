/**
 * The daemon: what stands around the overlay in a process of its own. Log, signals, one daemon per instance, health
 * endpoints, the service manager's notification, and the exit code: 0 asked to stop; what fails is thrown.
 *
 * A first SIGINT or SIGTERM stops it and leaves the network in place; a second one ends the process at once.
 */
import type { Library } from "../../ffi/library.ts";
import { ignoreInspectorSignal, notify } from "../../ffi/process.ts";
import { type FirewallWishes, type Machine, openMachine } from "../control/machine.ts";
import type { Clock } from "../model/clock.ts";
import { lockName } from "../control/name_lock.ts";
import { Overlay } from "../control/overlay.ts";
import { describePreview, preview } from "../control/preview.ts";
import type { Readiness } from "../control/readiness.ts";
import { ReadinessLog } from "../control/readiness_log.ts";
import { StartStatus } from "../control/start_status.ts";
import type { OverlayOptions } from "../control/ports.ts";
import type { OverlayPorts } from "../control/ports.ts";
import { identityFiles, stateDirectory } from "../control/identity_files.ts";
import { openSubnetFile } from "../control/subnet_files.ts";
import { underlayChooser } from "../underlay/chooser.ts";
import { Failure, messageOf } from "../model/errors.ts";
import { abortable } from "../async/abortable.ts";
import { healthRoutes } from "../observe/health.ts";
import { serveHttp } from "../observe/http.ts";
import { type HostReport, metricsAnswer } from "../observe/metrics.ts";
import type { Log } from "../observe/log.ts";
import { writeStdout } from "../system/output.ts";
import { processStarted } from "../system/processes.ts";
import { systemRandom } from "../system/random.ts";
import { Downtime } from "./downtime.ts";
import { openStore } from "./open_store.ts";
import { refuseRival } from "./rival.ts";
import { type DaemonOptions, describeOptions } from "./options.ts";
import { version } from "./version.ts";

/** How often readiness is looked at for the log. */
const READINESS_MS = 1_000;

/** @returns the exit code. @throws Failure where the daemon cannot run, or its lease was lost with --on-lease-lost=exit */
export async function runDaemon(options: DaemonOptions, log: Log): Promise<number> {
  const stop = stopOnSignal(log);
  log.info(`denim flanneld ${version}`, { version, pid: Deno.pid, instance: options.instance });
  log.info(describeOptions(options));
  for (const warning of options.warnings) log.warn(warning);
  try {
    using machine = await openMachine(undefined, firewallWishes(options), log, Deno.env);
    ignoreInspectorSignal(machine.library);
    await (options.readOnly ? show(options, machine, log, stop) : serve(options, machine, log, stop));
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  log.info("Exiting cleanly...");
  return 0;
}

/** The daemon proper: from taking its name to being asked to stop. */
async function serve(options: DaemonOptions, machine: Machine, log: Log, stop: AbortSignal): Promise<void> {
  using _name = takeName(machine.library, options.instance);
  refuseRival(options.subnetFile, options.force, log);
  let overlay: Overlay | null = null;
  const status = new StartStatus();
  const report = () => overlay?.readiness() ?? status.readiness();
  await using _health = openHealth(options, machine, log, report, () => overlay?.hostReport() ?? null);
  const ports = await openPorts(options, machine, status.listen(log), stop);
  await using _store = ports.store;
  using _identity = ports.identity;
  const stage = (what: string) => status.begin(what);
  overlay = await Overlay.start(overlayOptions(options, machine), { ...ports, stage }, stop);
  const downtime = new Downtime(options.subnetFile, machine.clock, log);
  overlay.established.then(async () => {
    await downtime.tell();
    notifyReady(machine.library, log);
  });
  await using _told = tellReadiness(overlay, machine.clock, log);
  await overlay.run(stop);
  await downtime.note(machine.kernel);
}

/** Tells the log of every change, until disposed. */
function tellReadiness(overlay: Overlay, clock: Clock, log: Log): AsyncDisposable {
  const told = new ReadinessLog(log, clock, processStarted() ?? clock.boot());
  const look = () => told.look(overlay.readiness(), overlay.peerCount);
  const end = new AbortController();
  const looking = (async () => {
    while (!end.signal.aborted) {
      await clock.sleep(READINESS_MS, end.signal).then(look, () => {});
    }
  })();
  overlay.established.then(look);
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      end.abort();
      await looking;
    },
  };
}

/** `--read-only`: the plan of a start, and nothing done. */
async function show(options: DaemonOptions, machine: Machine, log: Log, stop: AbortSignal): Promise<void> {
  const ports = await openPorts(options, machine, log, stop);
  await using _store = ports.store;
  const seen = await preview(overlayOptions(options, machine), ports, stop);
  const text = describePreview(seen, machine.kernel.rules);
  writeStdout(text);
}

async function openPorts(
  options: DaemonOptions,
  machine: Machine,
  log: Log,
  stop: AbortSignal,
): Promise<OverlayPorts & { readonly identity: Disposable }> {
  const { clock, kernel } = machine;
  const subnetFile = await openSubnetFile(options.subnetFile, clock);
  const previous = subnetFile.previous.subnets;
  const opening = openStore(options, { clock, random: systemRandom, log, previous, stop });
  // Loading etcd's client takes its time as well; what it opens too late goes with the process.
  const store = await abortable(opening, stop);
  log.info(`Created subnet manager: ${store.name}`, { store: options.store.type });
  const chooseUnderlay = underlayChooser(kernel, options, log);
  const reserve = (instance: string) => lockName(machine.library, instance);
  const { instance } = options;
  const directory = options.stateDir || stateDirectory(Deno.env.get("STATE_DIRECTORY"));
  const files = { directory, instance, subnetFile: options.subnetFile };
  const identity = identityFiles(files, systemRandom, log);
  return { store, kernel, clock, random: systemRandom, log, subnetFile, identity, chooseUnderlay, reserve };
}

function overlayOptions(options: DaemonOptions, machine: Machine): OverlayOptions {
  return {
    ...machine.firewall,
    instance: options.instance,
    renewMarginMs: options.subnetLeaseRenewMargin * 60_000,
    onLost: options.onLeaseLost,
    acceptMoved: options.udpAcceptMoved,
  };
}

function firewallWishes(options: DaemonOptions): FirewallWishes {
  return {
    ipMasq: options.ipMasq,
    forwardRules: options.iptablesForwardRules,
    randomFully: !options.ipMasqFullyRandomDisable,
    layout: options.iptablesLayout,
    resyncSeconds: options.iptablesResync,
    ...(options.iptablesVariant === "auto" ? {} : { variant: options.iptablesVariant }),
  };
}

/** One daemon of a name per network namespace; the name is free again however the process ends. */
function takeName(library: Library, instance: string): Disposable {
  const taken = lockName(library, instance);
  if (taken !== null) return taken;
  throw new Failure(
    `start daemon "${instance}": one of this name runs in this network namespace already; stop it, ` +
      "or give this one a name (--instance) and a --subnet-file of its own; " +
      `"ss -xap src @denim/${instance}" names the process, should it be another program`,
  );
}

function openHealth(
  options: DaemonOptions,
  { clock, kernel }: Machine,
  log: Log,
  report: () => Readiness,
  hostReport: () => HostReport | null,
): AsyncDisposable {
  const { healthzIp: address, healthzPort: port } = options;
  if (port <= 0) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const routes = new Map([...healthRoutes(report), [
    "/metrics",
    () => metricsAnswer(hostReport(), kernel.tunnels()),
  ]]);
  return serveHttp({ address, port, routes, clock, log });
}

function notifyReady(library: Library, log: Log): void {
  const socket = Deno.env.get("NOTIFY_SOCKET");
  if (!socket) return;
  try {
    notify(library, socket, "READY=1");
  } catch (error) {
    const text = messageOf(error);
    log.warn(`tell the service manager that we are ready: ${text}`, { error: text });
  }
}

/** Aborts at the first SIGINT or SIGTERM; after that the signals have their default effect again. */
function stopOnSignal(log: Log): AbortSignal {
  const stop = new AbortController();
  const names = ["SIGINT", "SIGTERM"] as const;
  const onSignal = () => {
    for (const name of names) Deno.removeSignalListener(name, onSignal);
    log.info("asked to stop");
    stop.abort();
  };
  for (const name of names) Deno.addSignalListener(name, onSignal);
  return stop.signal;
}
