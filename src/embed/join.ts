/**
 * Joining an overlay from another program: the same overlay as the daemon runs, without the daemon around it. Signals, exit
 * and logging stay the caller's: nothing here listens to a signal, ends the process or writes to a terminal.
 */
import { ignoreInspectorSignal } from "../../ffi/process.ts";
import type { Ip } from "../model/ip.ts";
import { parseIp } from "../model/ip.ts";
import { Failure } from "../model/errors.ts";
import type { JsonObject } from "../model/json.ts";
import type { Lease } from "../model/lease.ts";
import { race } from "../async/race.ts";
import type { Log } from "../observe/log.ts";
import { literalConfigSource } from "../store/config_source.ts";
import { openSqliteStore } from "../store/rows/sqlite.ts";
import type { Store } from "../store/store.ts";
import { systemRandom } from "../system/random.ts";
import { type FirewallWishes, type Machine, openMachine } from "../control/machine.ts";
import { lockName } from "../control/name_lock.ts";
import { Overlay } from "../control/overlay.ts";
import type { Readiness } from "../control/readiness.ts";
import { identityFiles, stateDirectory } from "../control/identity_files.ts";
import type { OverlayPorts } from "../control/ports.ts";
import { noSubnetFile, openSubnetFile } from "../control/subnet_files.ts";
import { underlayChooser } from "../underlay/chooser.ts";

export interface JoinOptions {
  /** Who owns which subnet; stays the caller's to dispose of, after `leave`. Without one: SQLite. */
  readonly store?: Store;
  /** SQLite alone: the file that all hosts of this machine share. Default `/var/lib/flannel/leases.db`. */
  readonly database?: string;
  /** SQLite alone, and required there: the network configuration, as flannel's JSON. */
  readonly network?: JsonObject;
  /** External interface by name or address; the default route's unless told. */
  readonly iface?: string;
  /** Advertised address where it is not the interface's own. */
  readonly publicIp?: string;
  /** Hide container addresses from the outside. Default false. */
  readonly ipMasq?: boolean;
  /** Accept forwarded overlay traffic. Default true. */
  readonly forwardRules?: boolean;
  /** Backend udp: peers may send from another address than their public one. Default false. */
  readonly acceptMoved?: boolean;
  /** Written for other programs and read at the start; without it nothing is. */
  readonly subnetFile?: string;
  /** Tells several overlays on one machine apart. Default `default`. */
  readonly instance?: string;
  /** Where this host keeps its id: a directory of its own for each host. Default `/var/lib/flannel`. */
  readonly stateDirectory?: string;
  /** Where the C library is; without it DENIM_LIBRARY, then beside the module. */
  readonly library?: string;
  /** Default: nothing is said. */
  readonly log?: Log;
  /** Aborting gives up joining, and afterwards ends the membership with everything left in place. */
  readonly signal?: AbortSignal;
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A host's place in an overlay. */
export class Membership implements AsyncDisposable {
  readonly #overlay: Overlay;
  readonly #resources: AsyncDisposableStack;
  readonly #stop: AbortController;
  /** Settles when the membership ends: by `leave`, by the caller's signal, or with the Failure that ended it. */
  readonly ended: Promise<void>;

  /** Made by `join` alone. `resources` are freed when it ends. */
  constructor(overlay: Overlay, resources: AsyncDisposableStack, stop: AbortController, signal: AbortSignal) {
    this.#overlay = overlay;
    this.#resources = resources;
    this.#stop = stop;
    this.ended = overlay.run(signal).finally(() => stop.abort());
    // Whoever does not look at `ended` must not have the process end for it.
    this.ended.catch(() => {});
  }

  /** Our own lease: subnets, record, expiry. */
  get lease(): Lease {
    return this.#overlay.lease;
  }

  /** The hosts that traffic can go to, oldest first. */
  peers(): readonly Lease[] {
    return this.#overlay.peers;
  }

  readiness(): Readiness {
    return this.#overlay.readiness();
  }

  /**
   * Ends the membership: gives the lease back and takes away what is ours, or with `keep` leaves the data path in place.
   *
   * @throws Failure naming what could not be removed
   */
  async leave(options: { keep?: boolean } = {}): Promise<void> {
    this.#stop.abort();
    await this.ended.catch(() => {});
    try {
      const left = await this.#overlay.leave(options);
      if (left.length > 0) throw new Failure(`leave the overlay: ${left.join("; ")}`);
    } finally {
      await this.#resources.disposeAsync();
    }
  }

  /** Ends it and leaves everything in place, the lease too, as a stopped daemon does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.ended.catch(() => {});
    await this.#resources.disposeAsync();
  }
}

/**
 * Takes a lease and makes this host part of the overlay; resolves when its network stands.
 *
 * @throws Failure where this host cannot take part; the signal's reason on abort
 */
export async function join(options: JoinOptions): Promise<Membership> {
  const { log = silent } = options;
  await using resources = new AsyncDisposableStack();
  const machine = resources.use(await openMachine(options.library, firewallWishes(options), log));
  ignoreInspectorSignal(machine.library);
  resources.use(takeName(machine, options.instance));
  const stop = new AbortController();
  resources.defer(() => stop.abort());
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const store = options.store ?? resources.use(await openDatabase(options, machine, log));
  const identity = resources.use(identityFiles(
    {
      directory: options.stateDirectory ?? stateDirectory(undefined),
      instance: options.instance ?? "default",
      subnetFile: options.subnetFile ?? null,
    },
    systemRandom,
    log,
  ));
  const overlay = await Overlay.start(
    overlayOptions(options, machine),
    { ...await ports(options, machine, store, log), identity },
    signal,
  );
  const membership = new Membership(overlay, resources.move(), stop, signal);
  await race([overlay.established, membership.ended]);
  if (!signal.aborted) return membership;
  await membership[Symbol.asyncDispose]();
  throw signal.reason;
}

/** @throws Failure where somebody else has it */
function takeName({ library }: Machine, instance = "default"): Disposable {
  const taken = lockName(library, instance);
  if (taken !== null) return taken;
  throw new Failure(
    `join as "${instance}": a daemon or program of this name is in this network namespace already; ` +
      'stop it, or give another "instance"',
  );
}

async function openDatabase(options: JoinOptions, { clock }: Machine, log: Log): Promise<Store> {
  const { database: path = "/var/lib/flannel/leases.db", network } = options;
  if (network === undefined) {
    throw new Failure(
      'join without a store: no network configuration was given; pass one as "network", like { Network: "10.1.0.0/16" }',
    );
  }
  const config = literalConfigSource(JSON.stringify(network));
  return await openSqliteStore({ path, config, clock, random: systemRandom, log });
}

function firewallWishes({ ipMasq = false, forwardRules = true }: JoinOptions): FirewallWishes {
  return { ipMasq, forwardRules, randomFully: true, layout: "chains", resyncSeconds: 5 };
}

function overlayOptions(options: JoinOptions, machine: Machine): Parameters<typeof Overlay.start>[0] {
  return {
    ...machine.firewall,
    instance: options.instance ?? "default",
    renewMarginMs: 3_600_000,
    onLost: "reacquire",
    acceptMoved: options.acceptMoved ?? false,
  };
}

async function ports(
  options: JoinOptions,
  machine: Machine,
  store: Store,
  log: Log,
): Promise<Omit<OverlayPorts, "identity">> {
  const publicIp = options.publicIp === undefined ? null : requireIp(options.publicIp);
  const underlay = {
    iface: options.iface === undefined ? [] : [options.iface],
    ifaceRegex: [],
    ifaceCanReach: null,
    publicIp: publicIp?.family === 4 ? publicIp : null,
    publicIpv6: publicIp?.family === 6 ? publicIp : null,
  };
  return {
    store,
    kernel: machine.kernel,
    clock: machine.clock,
    random: systemRandom,
    log,
    subnetFile: options.subnetFile === undefined
      ? noSubnetFile()
      : await openSubnetFile(options.subnetFile, machine.clock),
    chooseUnderlay: underlayChooser(machine.kernel, underlay, log),
    reserve: (instance) => lockName(machine.library, instance),
  };
}

function requireIp(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null) {
    throw new Failure(`join with publicIp "${text}": not an IP address; give one like 192.0.2.1`);
  }
  return ip;
}
