/**
 * One host's part in the overlay, running: the store's leases and the kernel's events come in, rounds of reconciliation
 * and the subnet file come out. Who we are (`Host`) changes when the lease moves, the underlay changes or the
 * configuration does; every change only replaces a value and asks for a round.
 *
 * Stopping leaves everything in place, so that packets flow on until the next start; `leave` takes it all away.
 */
import { everything } from "../model/plan.ts";
import type { Backend, Host } from "../backend/backend.ts";
import { trafficObjects } from "../backend/traffic_rules.ts";
import { formatSubnetEnv } from "../files/subnet_env.ts";
import { concerns, isFirewallAlone } from "../kernel/kernel.ts";
import type { Instant } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import { describeSubnets, type Lease, prefixesOf, type Subnets } from "../model/lease.ts";
import { remembered } from "../model/memo.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { makesDevices, type Obj } from "../model/objects.ts";
import type { Occupied } from "../model/occupied.ts";
import { samePrefix } from "../model/prefix.ts";
import type { HostReport } from "../observe/metrics.ts";
import { occupiedBesides } from "./claim.ts";
import { ConfigFollower } from "./config_follower.ts";
import { networksOf } from "./config_change.ts";
import { baseObjects, containerMtu, type Former, formerly, ownerOf } from "../plan/desired.ts";
import { planRound } from "../plan/round.ts";
import { recordOf, requireSuited, settleDevices } from "./host.ts";
import { later } from "../async/later.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import { LeaseView } from "./lease_view.ts";
import { PeerSet } from "./peer_set.ts";
import { planWarnings } from "../plan/warnings.ts";
import { judgeReadiness, type Readiness } from "./readiness.ts";
import { type Asking, Reconciler } from "./reconciler.ts";
import type { WantedNetwork } from "./network_rounds.ts";
import { leavesRemains, obstacles, type Part, type Round } from "./rounds.ts";
import type { Owner } from "../model/owner.ts";
import type { OverlayOptions } from "./ports.ts";
import type { OverlayPorts } from "./ports.ts";
import { start, type Started } from "./start.ts";
import { RivalWatch } from "./rival_watch.ts";
import type { Own } from "./rivals.ts";
import { StoreReports } from "./store_reports.ts";
import { SubnetFileWriter } from "./subnet_file_writer.ts";
import { every, runTasks } from "../async/tasks.ts";
import { Throttle } from "../async/throttle.ts";
import { UnderlayFollower } from "../underlay/follower.ts";

/** How often everything is read back without any event, with up to a quarter of jitter. */
const FULL_READ_MS = 60_000;
/** How long the subnet file waits for things of an earlier network to go, and for how many rounds at least. */
const OLD_REMAINS_MS = 30_000;
const OLD_REMAINS_ROUNDS = 5;
/** How long after the first a rival is answered once more. */
const SECOND_ANSWER_MS = 5_000;
/** How long until a MAC that could not be changed is tried again. */
const MAC_RETRY_MS = 5_000;
const none: Subnets = { v4: null, v6: null };
/** Where others change the firewall all the time (kube-proxy), it is read back at most this often. */
const FIREWALL_PAUSE_MS = 1_000;

export class Overlay {
  #options: OverlayOptions;
  readonly #ports: OverlayPorts;
  readonly #view = new LeaseView();
  readonly #keeper: LeaseKeeper;
  readonly #reconciler: Reconciler;
  readonly #file: SubnetFileWriter;
  readonly #started: Started;
  readonly #since: Instant;
  /** Ended so far. */
  #networkRounds = 0;
  #former: Former;
  readonly #ownerOf = remembered((self: Host, backend: Backend, former: Former) =>
    ownerOf(self, backend, former, this.#options.layout)
  );
  readonly #trafficOf = remembered((self: Host) => this.#traffic(self));
  readonly #peerSet: PeerSet;
  #self: Host;
  #backend: Backend;
  #rounds: { network: Round | null; firewall: Round | null } = { network: null, firewall: null };
  /** Why the last round could not read what stands; null where it could. */
  readonly #unread: Record<Part, string | null> = { network: null, firewall: null };
  readonly #rivals: RivalWatch;
  readonly #config: ConfigFollower;
  /** Ends with the run. */
  #running: AbortSignal = AbortSignal.abort();
  /** What this host has besides us. */
  #occupied: readonly Occupied[] = [];
  #addressesStale = true;
  /** The last change of who we are. */
  #turn: Promise<void> = Promise.resolve();
  readonly #underlay: UnderlayFollower;
  readonly #reports: StoreReports;
  readonly #firewallEvents: Throttle;

  /** Waits for a configuration and takes a lease. @throws Failure as `start` does */
  static async start(options: OverlayOptions, ports: OverlayPorts, signal: AbortSignal): Promise<Overlay> {
    return new Overlay(options, ports, await start(options, ports, signal));
  }

  private constructor(options: OverlayOptions, ports: OverlayPorts, started: Started) {
    this.#options = options;
    this.#ports = ports;
    this.#started = started;
    this.#self = started.self;
    this.#backend = started.backend;
    this.#since = ports.clock.boot();
    this.#former = formerly(ports.subnetFile.previous);
    this.#keeper = new LeaseKeeper(started.lease, {
      ...ports,
      identity: started.identity,
      marginMs: options.renewMarginMs,
      onLost: options.onLost,
      config: () => this.#self.network,
      occupied: (own) => this.#occupiedBesides(own),
      moved: (lease, from) => this.#moved(lease, from),
      renamed: () => this.#become({ id: started.identity.host }),
      leases: () => this.#view.standing(),
      proven: () => this.#offerFile(),
    });
    this.#reconciler = new Reconciler({
      ...ports,
      network: () => this.#wanted(),
      firewall: () => ({
        objects: this.#trafficOf(this.#self),
        owner: this.#owner(),
        inSync: this.#view.inSync,
      }),
      secondLook: (signal) => this.#secondLook(signal),
      finished: (round) => this.#finished(round),
      unread: (part, why) => this.#couldNotRead(part, why),
      underlayChanged: () => this.#underlay.doubt(),
    });
    this.#peerSet = new PeerSet({ ...ports, view: this.#view, routes: started.routes });
    this.#file = new SubnetFileWriter(ports);
    this.#underlay = new UnderlayFollower(
      { ...ports, lookAgainIn: (ms) => this.#lookAgainIn(ms) },
      started.routes,
    );
    this.#reports = new StoreReports(ports.log, ports.clock);
    this.#config = new ConfigFollower({
      ...ports,
      ...started,
      network: () => this.#self.network,
      subnets: () => this.#keeper.lease.subnets,
      leaving: (network) => this.#leaveNetwork(network),
      apply: (network, backend) => this.#become({ network }, backend),
    });
    this.#rivals = new RivalWatch({
      ...ports,
      own: () => this.#own(),
      leases: () => this.#view.standing(),
      macTaken: () => this.#giveMacUp(),
      met: () => this.#answerRival(),
    });
    this.#firewallEvents = new Throttle(
      ports.clock,
      FIREWALL_PAUSE_MS,
      () => this.#reconciler.request({ firewall: "all" }),
    );
  }

  get lease(): Lease {
    return this.#keeper.lease;
  }

  /** The peers that have their objects, oldest lease first. */
  get peers(): readonly Lease[] {
    return this.#peerSet.peers;
  }

  get peerCount(): number {
    return this.#peerSet.count;
  }

  /** Resolves when the network stands and the subnet file is written for the first time. */
  get established(): Promise<void> {
    return this.#file.written;
  }

  readiness(): Readiness {
    return judgeReadiness({
      leaseHeld: this.#keeper.held,
      onTrial: this.#keeper.onTrial,
      inSync: this.#view.inSync && this.#rounds.network?.inSync === true,
      subnetFileWritten: this.#file.current,
      subnetFileTrouble: this.#file.trouble,
      ...this.#rounds,
      unread: this.#unread,
      outage: this.#view.outage,
      peers: this.#peerSet.count,
      refused: this.#peerSet.refused,
      warnings: [...this.#config.notes, ...planWarnings(this.#self, this.#occupied)],
      unreadable: this.#view.unreadable().map((u) => u.key),
      missing: this.#view.missing,
      unfit: this.#config.reason,
      rivals: this.#rivals.reasons,
    });
  }

  /** The same in figures. */
  hostReport(): HostReport {
    const { onTrial } = this.#keeper;
    const { missed } = this.#reconciler;
    return { ready: this.readiness().ready, onTrial, rivals: this.#rivals.reasons.length, missed };
  }

  /** Runs until aborted; everything stays in place then. @throws Failure where a lost lease ends the run */
  async run(signal: AbortSignal): Promise<void> {
    this.#running = signal;
    this.#ports.log.info("Running backend.");
    await runTasks([
      (s) => this.#watchStore(s),
      (s) => this.#watchKernel(s),
      (s) => this.#config.run(s),
      (s) => this.#keeper.run(s),
      (s) => this.#reconciler.run(s),
      (s) => this.#file.run(s),
      (s) => this.#file.follow(s),
      (s) => this.#firewallEvents.run(s),
      (s) => this.#awaitFirewall(s),
      (s) => every(this.#ports, FULL_READ_MS, () => this.#reconsider(), s),
      (s) =>
        every(
          this.#ports,
          this.#options.firewallPeriodMs,
          () => this.#reconciler.request({ firewall: "all" }),
          s,
        ),
    ], signal).finally(() => this.#started.formerNames[Symbol.dispose]());
  }

  /**
   * Gives the lease back and, unless `keep`, takes everything of ours from the kernel. Only after `run` has ended.
   *
   * @returns what could not be removed, one sentence each
   */
  async leave({ keep = false }: { keep?: boolean } = {}): Promise<string[]> {
    const { kernel, store } = this.#ports;
    await store.release(this.#keeper.lease);
    if (keep) return [];
    const observed = await kernel.read(this.#owner(), everything);
    const { instance } = this.#self;
    const { plan } = planRound({ objects: [], observed, scope: everything, instance, deletes: true }, kernel);
    const outcomes = await kernel.apply(plan.operations);
    return outcomes.flatMap((outcome) => outcome.error ?? []);
  }

  #occupiedBesides(own = this.#self.subnets): Promise<Occupied[]> {
    return occupiedBesides(this.#self, this.#backend, this.#former, own ?? none, this.#ports.kernel);
  }

  async #watchStore(signal: AbortSignal): Promise<void> {
    for await (const event of this.#ports.store.watch(signal)) {
      this.#reports.event(event);
      this.#keeper.observe(event);
      const changed = this.#view.take(event, this.#ports.clock.boot());
      this.#rivals.take(event);
      // Who joins is not kept waiting; whether few go or many has to be seen at once.
      if (changed) this.#reconciler.request(this.#firstLook(), { gathers: event.type !== "put" });
    }
  }

  /** Twice: who has not listed yet takes the first answer for what always stood there. */
  #answerRival(): void {
    this.#keeper.touch();
    later(this.#ports.clock, SECOND_ANSWER_MS, this.#running, () => {
      if (this.#rivals.reasons.length > 0) this.#keeper.touch();
    });
  }

  #own(): Own {
    const { subnets, record } = this.#keeper.lease;
    return { id: this.#self.id, subnets, record };
  }

  /** A device that was there before us kept its MAC, which another host has too: it gets the one that is ours alone. */
  #giveMacUp(): void {
    if (this.#self.macs.size === 0) return;
    const derived = { ...this.#self, macs: new Map() };
    const own = baseObjects(derived, this.#backend).flatMap((o) => o.kind === "link" ? [o] : []);
    if (own.every(({ key, fields }) => fields.mac === undefined || fields.mac === this.#self.macs.get(key))) {
      return;
    }
    this.#ports.log.warn("another host has the MAC of our tunnel device; ours changes");
    this.#become({ macs: new Map() }).catch((error) => {
      this.#ports.log.warn(`change the MAC of our tunnel device: ${messageOf(error)}; trying again`);
      later(this.#ports.clock, MAC_RETRY_MS, this.#running, () => this.#giveMacUp());
    });
  }

  /** Before the first round both scopes are due; after that a lease only concerns the network. */
  #firstLook(): Asking {
    return this.#rounds.firewall === null ? { network: "changes", firewall: "all" } : { network: "changes" };
  }

  async #watchKernel(signal: AbortSignal): Promise<void> {
    for await (const event of this.#ports.kernel.events(signal)) {
      if (concerns(event, ["link", "address"])) this.#addressesStale = true;
      if (!isFirewallAlone(event)) this.#reconciler.request({ network: "changes" });
      if (concerns(event, ["chain"])) this.#firewallEvents.pass();
    }
  }

  #leaveNetwork(network: NetworkConfig): void {
    this.#former = { ...this.#former, networks: [...this.#former.networks, ...networksOf(network)] };
  }

  /** Changes who we are, one change after the other; without a backend the one that we have by then goes on. */
  #become(change: Partial<Host>, backend?: Backend): Promise<void> {
    const turn = this.#turn.then(() => this.#change(change, backend ?? this.#backend));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Checks, publishes and asks for a round. */
  async #change(change: Partial<Host>, backend: Backend): Promise<void> {
    const next = { ...this.#self, ...change };
    requireSuited(next, backend);
    const isRenamed = next.id !== this.#self.id || change.macs !== undefined;
    const kept = isRenamed ? { ...next, macs: new Map() } : next;
    const { macs, tun: free } = await settleDevices(kept, backend, this.#ports.kernel, !isRenamed);
    // What was free when we started may be somebody's by now; what we carry already keeps its name.
    const tun = backend === this.#backend ? this.#self.tun : free;
    // Others may have changed other sides of us meanwhile.
    const own = isRenamed ? [] : this.#self.macs;
    this.#self = { ...this.#self, ...change, tun, macs: new Map([...macs, ...own]) };
    this.#backend = backend;
    this.#keeper.publish(recordOf(this.#self, backend));
    this.#reconciler.request({ network: "all", firewall: "all" });
  }

  #moved(lease: Lease, from: Lease): void {
    this.#ports.log.error(
      `our subnet has changed from ${describeSubnets(from.subnets)} to ${describeSubnets(lease.subnets)}; ` +
        `${this.#ports.subnetFile.path} is rewritten, docker has to be restarted to use it`,
      { from: describeSubnets(from.subnets), subnet: describeSubnets(lease.subnets) },
    );
    this.#file.outdated();
    this.#former = { ...this.#former, subnets: [...this.#former.subnets, ...prefixesOf(from.subnets)] };
    this.#self = { ...this.#self, subnets: lease.subnets };
    this.#addressesStale = true;
    this.#reconciler.request({ network: "all", firewall: "all" });
  }

  async #wanted(): Promise<WantedNetwork> {
    await this.#underlay.follow(this.#self, (change) => this.#become(change));
    const { book, inSync, unreadable } = await this.#peerSet.now(this.#self, this.#backend);
    this.#reports.refusals(book.refused);
    if (this.#addressesStale) this.#occupied = await this.#occupiedBesides();
    this.#addressesStale = false;
    this.#reports.warnings(planWarnings(this.#self, this.#occupied));
    return {
      objects: book,
      names: this.#peerSet,
      owner: this.#owner(),
      inSync,
      protectedSubnets: unreadable,
    };
  }

  #traffic({ network, subnets, instance }: Host): Obj[] {
    return subnets === null ? [] : trafficObjects({ ...this.#options, network, subnets, instance });
  }

  /** The very same while nothing about it has changed: then nothing of the kernel's is judged anew. */
  #owner(): Owner {
    return this.#ownerOf(this.#self, this.#backend, this.#former);
  }

  async #secondLook(signal: AbortSignal): Promise<boolean> {
    const listing = await this.#ports.store.list(signal);
    const agrees = this.#view.agreesWith(listing);
    if (!agrees) this.#view.take({ type: "snapshot", ...listing }, this.#ports.clock.boot());
    this.#ports.log.warn(
      `many peers are gone from the store; a second look ${
        agrees ? "agrees, removing them" : "disagrees, judging afresh"
      }`,
      { leases: listing.leases.length },
    );
    return agrees;
  }

  #finished(round: Round): void {
    if (round.scope.network) {
      this.#rounds.network = round;
      this.#networkRounds++;
      if (round.plan.withheld.length === 0) this.#peerSet.forget();
    }
    if (round.scope.firewall) this.#rounds.firewall = round;
    this.#rivals.tell();
    this.#unread[round.scope.network ? "network" : "firewall"] = null;
    this.#offerFile();
  }

  #couldNotRead(part: Part, why: string): void {
    this.#unread[part] = why;
    this.#offerFile();
  }

  /**
   * Has the subnet file written as soon as our device stands. The firewall was tried by then, but a firewall that can't be set
   * up does not keep containers from each other: that is said elsewhere.
   */
  #offerFile(): void {
    const { network, firewall } = this.#rounds;
    // Another host may still object: what was told to containers could not be taken back.
    if (network?.inSync !== true || this.#self.subnets === null || this.#keeper.onTrial) return;
    const base = baseObjects(this.#self, this.#backend).filter((object) =>
      makesDevices(object) || object.kind === "address"
    );
    if (obstacles(network, base).length > 0) return;
    if (firewall === null && this.#unread.firewall === null) return;
    if (firewall !== null) this.#letGo([network, firewall]);
    if (this.#oldRemains()) return;
    this.#file.want(formatSubnetEnv({
      network: this.#self.network,
      subnets: this.#self.subnets,
      mtu: containerMtu(this.#self, this.#backend),
      ipMasq: this.#options.ipMasq,
    }));
  }

  /** Nothing is left under the names whose place we have taken: from now on they are anybody's. */
  #letGo(rounds: readonly Round[]): void {
    const { formerInstances = [] } = this.#self;
    if (formerInstances.length === 0 || rounds.some(leavesRemains)) return;
    this.#self = { ...this.#self, formerInstances: [] };
    this.#started.formerNames[Symbol.dispose]();
    this.#ports.log.info(`taken over from ${formerInstances.map((name) => `"${name}"`).join(", ")}`);
  }

  /**
   * True while something of a network that we had before is still to go: should we end now, the old subnet file is all that
   * tells of it. Not for long: others wait for the file.
   */
  #oldRemains(): boolean {
    const now = networksOf(this.#self.network);
    const moved = this.#former.networks.some((old) => !now.some((network) => samePrefix(network, old)));
    // Both: a machine that slept in the middle of its first round has had time, but no round.
    const waited = this.#ports.clock.boot() - this.#since > OLD_REMAINS_MS;
    if (!moved || (waited && this.#networkRounds > OLD_REMAINS_ROUNDS)) return false;
    return leavesRemains(this.#rounds.network!);
  }

  /** Runs out with the run. */
  #lookAgainIn(ms: number): void {
    later(this.#ports.clock, ms, this.#running, () => this.#reconciler.request({ network: "changes" }));
  }

  /** What iptables can do is known when it comes: everything is worked out anew then. */
  async #awaitFirewall(signal: AbortSignal): Promise<void> {
    if (this.#options.later === undefined) return;
    const { forwardRules, randomFully } = await this.#options.later(signal);
    this.#options = { ...this.#options, forwardRules, randomFully };
    this.#self = { ...this.#self };
    this.#reconciler.request({ network: "all", firewall: "all" });
  }

  #reconsider(): void {
    const { fullReads = true } = this.#options;
    this.#underlay.doubt();
    this.#addressesStale = true;
    this.#file.check();
    this.#reconciler.request({ network: fullReads ? "period" : "changes", firewall: "all" });
  }
}
