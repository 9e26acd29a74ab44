/**
 * One simulated machine: a fake kernel, an underlay, a subnet file, and the daemon that runs on it, ends, is killed and
 * started again. Only kernel and file outlive a process. A supervisor starts a daemon that failed again after some seconds.
 */
import { Overlay } from "../../../src/control/overlay.ts";
import type { OverlayOptions } from "../../../src/control/ports.ts";
import type { OverlayPorts } from "../../../src/control/ports.ts";
import type { SubnetFile } from "../../../src/control/ports.ts";
import { underlayChooser } from "../../../src/underlay/chooser.ts";
import { noSubnetFile } from "../../../src/control/subnet_files.ts";
import { parseSubnetEnv } from "../../../src/files/subnet_env.ts";
import { FakeKernel } from "../kernel/fake.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Failure, messageOf } from "../../../src/model/errors.ts";
import { formatIp, type Ip } from "../../../src/model/ip.ts";
import type { Obj } from "../../../src/model/objects.ts";
import type { Operation, Outcome } from "../../../src/model/plan.ts";
import type { Level, Log } from "../../../src/observe/log.ts";
import { BothStore } from "../../../src/store/etcd/both/both_store.ts";
import { Election } from "../../../src/store/etcd/both/election.ts";
import { v2ConfigPlace, V2Store } from "../../../src/store/etcd/v2/v2_store.ts";
import { v3ConfigPlace, V3Store } from "../../../src/store/etcd/v3/v3_store.ts";
import { electionKey } from "../../../src/store/etcd/keys.ts";
import type { EtcdStoreOptions } from "../../../src/store/etcd/etcd_store.ts";
import type { Store } from "../../../src/store/store.ts";
import type { IdentityPlace } from "../../../src/control/identity.ts";
import { identityIn, MemoryPlace } from "../identity.ts";
import { checkStandings } from "./checks.ts";
import { HostFaults } from "./host_faults.ts";
import { Life } from "./life.ts";
import { MortalKernel } from "./mortal_kernel.ts";
import { SimUnderlay } from "./underlay.ts";
import { Wire2, Wire3 } from "./wire.ts";
import { PREFIX } from "./records.ts";
import type { World } from "./world.ts";

const options: OverlayOptions = {
  instance: "default",
  ipMasq: true,
  forwardRules: true,
  randomFully: true,
  layout: "chains",
  acceptMoved: false,
  renewMarginMs: 3_600_000,
  onLost: "reacquire",
  // Seldom: virtual time is cheap, but not for nothing.
  firewallPeriodMs: 60_000,
};

/** At least one. */
interface Remotes {
  readonly v2: Wire2 | null;
  readonly v3: Wire3 | null;
}

function openStore({ v2, v3 }: Remotes, told: EtcdStoreOptions): Store {
  if (v2 === null) return new V3Store(v3!, told);
  const store2 = new V2Store(v2, told);
  if (v3 === null) return store2;
  const store3 = new V3Store(v3, told);
  const { clock, random, log } = told;
  return new BothStore({
    v2: { store: store2, table: store2.table, config: v2ConfigPlace(v2, PREFIX) },
    v3: { store: store3, table: store3.table, config: v3ConfigPlace(v3, PREFIX) },
    election: new Election({ remote: v3, key: electionKey(PREFIX), clock, random, log }),
    clock,
    random,
    ...(log && { log }),
  });
}

interface Process {
  readonly life: Life;
  readonly stop: AbortController;
  overlay: Overlay | null;
  ended: boolean;
}

export class SimHost {
  readonly name: string;
  readonly underlay: SimUnderlay;
  readonly kernel: FakeKernel;
  readonly faults = new HostFaults();
  /** Every public address that this host ever had. */
  readonly addresses = new Set<string>();
  /** What somebody else has put up here, by kind and key. */
  readonly foreign = new Map<string, Obj>();
  /** What somebody has put on our devices, which may go with them, by kind and key. */
  readonly strays = new Set<string>();
  /** Something that the kernel had to tell was never told. */
  misled = false;
  /** Content of the subnet file. */
  file: string | null = null;
  /** What this machine knows itself by. */
  readonly disk = new MemoryPlace();
  /** A service manager holds the descriptors of tunnels when the process has ended. */
  keepsTunnels: boolean;
  /** The supervisor is about to start it again. */
  pausing = false;
  #pauses = 0;
  /** Was asked to stop, and may still be at something. */
  #ending: Life | null = null;
  #process: Process | null = null;

  constructor(readonly world: World, readonly number: number) {
    this.name = `host ${number}`;
    this.keepsTunnels = world.udpRandom.int(2) === 0;
    this.underlay = new SimUnderlay(number);
    this.kernel = new FakeKernel(this.underlay);
    this.kernel.refuse = (operation) => this.faults.refuse(operation);
    this.kernel.unreadable = () =>
      this.faults.unreadable > 0 && this.faults.unreadable-- > 0 ? "no buffer space" : null;
    this.kernel.inspect = (owner, scope, observed) => checkStandings(this, owner, scope, observed);
    this.#known();
  }

  get overlay(): Overlay | null {
    return this.#process?.overlay ?? null;
  }

  get life(): Life | null {
    return this.#process?.life ?? null;
  }

  get running(): boolean {
    return this.#process !== null;
  }

  /** The device gets other addresses; the daemon hears of it, unless events get lost. */
  renumber(v4: Ip, v6: Ip): void {
    this.underlay.renumber(v4, v6);
    this.#known();
    this.kernel.emit(new Set(["address"]));
  }

  #known(): void {
    for (const address of [this.underlay.v4, this.underlay.v6]) this.addresses.add(formatIp(address));
  }

  start(): void {
    this.kill();
    // A supervisor waits until the last one has ended.
    this.#ending?.kill();
    this.pausing = false;
    const stop = new AbortController();
    const life = new Life(() => this.#died(process, remotes));
    const kernel = new MortalKernel(this, life);
    const remotes = this.#remotes(life, kernel);
    const process: Process = { life, stop, overlay: null, ended: false };
    this.#process = process;
    const { fullReads } = this.world;
    Overlay.start({ ...options, fullReads }, this.#ports(life, kernel, remotes), stop.signal)
      .then((overlay) => (process.overlay = overlay).run(stop.signal))
      .then(() => this.#dropTunnels(process))
      .catch((error) => this.#failed(process, error));
  }

  /** SIGTERM: everything stays in place. */
  stop(): void {
    this.pausing = false;
    this.life?.thaw();
    this.#ending = this.life ?? this.#ending;
    this.#process?.stop.abort();
    this.#process = null;
  }

  /** SIGKILL, a power cut: now, in the middle of whatever it does. */
  kill(): void {
    this.life?.kill();
    this.#process = null;
  }

  /** For good: the schedule is over. */
  end(): void {
    this.kill();
    this.pausing = false;
  }

  /** After a device was made, udev may have its own mind about the MAC. */
  madeDevice({ verb, object }: Operation, { error }: Outcome): void {
    const made = error === null && object.kind === "link" && object.fields.type !== "tun" &&
      (verb === "create" || verb === "recreate");
    if (!made || this.faults.rewrites === 0) return;
    this.faults.rewrites--;
    const { clock, random } = this.world;
    clock.sleep(1 + random.int(30)).then(() => this.rewriteMac(object.key));
  }

  rewriteMac(device: string): void {
    const link = this.kernel.get("link", device);
    if (!link || link.fields.type === "tun" || this.foreign.has(`link ${device}`)) return;
    const mac = `02:aa:00:00:00:${(16 + this.world.random.int(200)).toString(16)}`;
    this.kernel.put({ ...link, fields: { ...link.fields, mac } });
  }

  #remotes(life: Life, kernel: MortalKernel): Remotes {
    const api = this.world.apiOf(this.number);
    return {
      v2: api === "v3" ? null : new Wire2(this, life, kernel),
      v3: api === "v2" ? null : new Wire3(this, life, kernel),
    };
  }

  #ports(life: Life, kernel: MortalKernel, remotes: Remotes): OverlayPorts {
    const { random } = this.world;
    const log = this.#log(life);
    const clock = this.#clock(life);
    const flags = { iface: [], ifaceRegex: [], ifaceCanReach: null, publicIp: null, publicIpv6: null };
    const subnetFile = this.#subnetFile(life);
    const { subnets } = subnetFile.previous;
    const told = { prefix: PREFIX, previous: subnets, clock, random, log };
    const store = openStore(remotes, told);
    return {
      store,
      kernel,
      clock,
      random,
      log,
      subnetFile,
      identity: identityIn([this.#place(life)], this.world.idRandom, log),
      chooseUnderlay: underlayChooser(kernel, flags, log),
    };
  }

  #place(life: Life): IdentityPlace {
    return {
      path: "host-id",
      read: () => life.call(() => this.disk.text),
      write: (text) => life.call(() => void (this.disk.text = text)),
    };
  }

  #clock(life: Life): Clock {
    const { clock } = this.world;
    return {
      wall: () => clock.wall(),
      boot: () => clock.boot(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        await life.moment();
      },
    };
  }

  #subnetFile(life: Life): SubnetFile {
    const broken = () => {
      if (this.faults.fileBroken) throw new Failure("write subnet file: no space left on device");
    };
    const none = noSubnetFile();
    return {
      ...none,
      path: "subnet.env",
      previous: this.file === null ? none.previous : parseSubnetEnv(this.file),
      read: () => life.call(() => this.file),
      write: (text) => life.call(() => (broken(), void (this.file = text))),
    };
  }

  #log(life: Life): Log {
    const at = (level: Level) => (message: string) => {
      if (life.alive) this.world.say(this.name, `${level}: ${message}`);
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), verbose: false };
  }

  #died(process: Process, remotes: Remotes): void {
    if (this.#process === process) this.#process = null;
    remotes.v2?.close();
    remotes.v3?.close();
    process.stop.abort();
    this.#dropTunnels(process);
    // Not every daemon has a supervisor that minds.
    if (this.world.chance(2)) this.#startSoon();
  }

  /** Once: by then the next process may have tunnels of its own. */
  #dropTunnels(process: Process): void {
    if (!process.ended) this.kernel.endProcess(this.keepsTunnels);
    process.ended = true;
  }

  #failed(process: Process, error: unknown): void {
    if (!process.life.alive || process.stop.signal.aborted) return;
    this.world.say(this.name, `ended: ${messageOf(error)}`);
    if (!(error instanceof Failure)) this.world.violation(`${this.name} crashed: ${trace(error)}`);
    process.life.kill();
    this.#startSoon();
  }

  #startSoon(): void {
    this.pausing = true;
    const nth = ++this.#pauses;
    this.world.clock.sleep(1_000 + this.world.random.int(2_000)).then(() => {
      if (this.pausing && nth === this.#pauses) this.start();
    });
  }
}

function trace(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
