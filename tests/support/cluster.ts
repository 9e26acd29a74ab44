/**
 * A cluster in memory for fault tests: hosts with a fake kernel each, on one memory store and one clock that stands still.
 *
 *     memory store ── host 192.168.64.11 (eth0, fake kernel) ── the real overlay: loop, keeper, diff
 *                  ── host 192.168.64.12 …
 */
import { identityIn, MemoryPlace } from "./identity.ts";
import { Overlay } from "../../src/control/overlay.ts";
import { type Preview, preview } from "../../src/control/preview.ts";
import type { Readiness } from "../../src/control/readiness.ts";
import type { OverlayOptions } from "../../src/control/ports.ts";
import type { OverlayPorts } from "../../src/control/ports.ts";
import type { SubnetFile } from "../../src/control/ports.ts";
import { StartStatus } from "../../src/control/start_status.ts";
import { noSubnetFile } from "../../src/control/subnet_files.ts";
import type { UnderlayOptions } from "../../src/underlay/choose.ts";
import { underlayChooser } from "../../src/underlay/chooser.ts";
import { FakeKernel } from "./kernel/fake.ts";
import { messageOf } from "../../src/model/errors.ts";
import { type Ip, parseIp } from "../../src/model/ip.ts";
import type { Subnets } from "../../src/model/lease.ts";
import type { Random } from "../../src/model/clock.ts";
import type { Level, Log } from "../../src/observe/log.ts";
import type { InterfaceAddress } from "../../src/kernel/kernel.ts";
import { MemoryCluster } from "../../src/store/rows/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { FakeClock, seededRandom, settle } from "./clock.ts";

export const config = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } };

const defaults: OverlayOptions = {
  instance: "default",
  ipMasq: true,
  forwardRules: true,
  randomFully: true,
  layout: "chains",
  renewMarginMs: 3_600_000,
  onLost: "reacquire",
  acceptMoved: false,
  firewallPeriodMs: 5_000,
};

/** The cluster: a clock, a store and its hosts. Disposing stops every host. */
export class Cluster implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly store: MemoryCluster;
  readonly random: Random;
  readonly hosts: TestHost[] = [];

  constructor(seed = 1, network: unknown = config) {
    this.store = new MemoryCluster(this.clock);
    this.store.setConfig(JSON.stringify(network));
    this.random = seededRandom(seed);
  }

  /** A host that is not started yet. `number` gives its addresses: 192.168.64.`number` and fd00:64::`number`. */
  host(number: number, options: Partial<OverlayOptions> = {}): TestHost {
    const host = new TestHost(this, number, { ...defaults, ...options });
    this.hosts.push(host);
    return host;
  }

  /** A started host whose network stands. */
  async started(number: number, options: Partial<OverlayOptions> = {}): Promise<TestHost> {
    const host = this.host(number, options);
    await host.start();
    await this.clock.advance(1_000);
    return host;
  }

  /** Lets `ms` pass. */
  advance(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.hosts) await host.stop();
  }
}

/** One host: its kernel survives a restart of its daemon, as the real one does. */
export class TestHost {
  readonly kernel: FakeKernel;
  readonly lines: string[] = [];
  /** The flags about the external interface; changes count from the next start. */
  readonly flags: { -readonly [Name in keyof UnderlayOptions]: UnderlayOptions[Name] } = {
    iface: [],
    ifaceRegex: [],
    ifaceCanReach: null,
    publicIp: null,
    publicIpv6: null,
  };
  /** What the run ended with; null while it runs or ended well. */
  failure: string | null = null;
  subnetFile: SubnetFile = noSubnetFile();
  /** Its disk: what it knows itself by. */
  readonly disk = new MemoryPlace();
  /** Can be another one before `start`. */
  store: Store;
  overlay: Overlay | null = null;
  /** Whatever else is drawn, the host's id is the same in each run of a test. */
  readonly #ids: Random;
  #status = new StartStatus();
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(readonly cluster: Cluster, number: number, readonly options: OverlayOptions) {
    const [v4, v6] = [parseIp(`192.168.64.${number}`)!, parseIp(`fd00:64::${number}`)!];
    this.kernel = new FakeKernel({
      interfaces: [{
        name: "eth0",
        index: 2,
        type: "",
        alias: "",
        mtu: 1500,
        up: true,
        addresses: [onInterface(v4, 24), onInterface(v6, 64)],
      }],
      route: ({ family }) => ({ device: "eth0", gateway: null, source: family === 4 ? v4 : v6 }),
      defaultRoutes: () => [{ device: "eth0", gateway: null }],
    });
    this.#ids = seededRandom(number);
    this.store = cluster.store.store({ random: cluster.random, log: this.#log() });
  }

  /** Starts the daemon's overlay, in a process without memory but for the subnet file. */
  async start(): Promise<void> {
    this.#stop = new AbortController();
    this.#status = new StartStatus();
    const starting = Overlay.start(this.options, this.#ports(), this.#stop.signal);
    this.#running = starting.then((overlay) => (this.overlay = overlay).run(this.#stop.signal)).catch(
      (error) => {
        if (!this.#stop.signal.aborted) this.failure = messageOf(error);
      },
    );
    await settle();
  }

  /** What a start would do, and nothing of it done. */
  preview(): Promise<Preview> {
    return preview(this.options, this.#ports(), new AbortController().signal);
  }

  #ports(): OverlayPorts {
    const { clock, random } = this.cluster;
    return {
      store: this.store,
      kernel: this.kernel,
      clock,
      random,
      log: this.#log(),
      stage: (what: string) => this.#status.begin(what),
      subnetFile: this.subnetFile,
      identity: identityIn([this.disk], this.#ids, this.#log()),
      chooseUnderlay: underlayChooser(this.kernel, this.flags, this.#log()),
    };
  }

  /** Ends the daemon; everything stays, and the next start finds the subnet that the file tells. */
  async stop(): Promise<void> {
    const subnets = this.overlay?.lease.subnets;
    this.#stop.abort();
    await this.#running;
    this.overlay = null;
    if (subnets) this.subnetFile = remembering(subnets);
  }

  /** As the daemon tells it, from the first moment of a start. */
  readiness(): Readiness {
    return (this.overlay ?? this.#status).readiness();
  }

  get subnet(): string {
    return this.kernel.objects().find((o) => o.kind === "address")?.key ?? "none";
  }

  /** Keys of the objects of a kind that stand on this host. */
  keys(kind: string): string[] {
    return this.kernel.objects().filter((o) => o.kind === kind).map((o) => o.key).sort();
  }

  said(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }

  #log(): Log {
    const line = (level: Level) => (message: string) => void this.lines.push(`${level}: ${message}`);
    const lines: Log = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
    const at = (level: Level) => (message: string) => this.#status.listen(lines)[level](message);
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

/** A permanent address that tunnels can start from. */
function onInterface(address: Ip, length: number): InterfaceAddress {
  return {
    address,
    length,
    scope: "global",
    deprecated: false,
    tentative: false,
    temporary: false,
    permanent: true,
  };
}

function remembering(subnets: Subnets): SubnetFile {
  return { ...noSubnetFile(), previous: { networks: [], subnets } };
}
