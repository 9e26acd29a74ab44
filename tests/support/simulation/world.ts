/**
 * A simulated cluster: hosts, one etcd in memory, one clock that stands still, chance from a seed. The same seed gives the
 * same run, step by step.
 */
import type { Owner } from "../../../src/model/owner.ts";
import { deriveMac } from "../../../src/model/mac.ts";
import { formatPrefix } from "../../../src/model/prefix.ts";
import { FakeClock, seededRandom } from "../clock.ts";
import { type Backup, EtcdModel } from "../etcd_model.ts";
import type { Random } from "../../../src/model/clock.ts";
import { SimHost } from "./host.ts";
import { placeOf, PREFIX } from "./records.ts";
import { Untouched } from "./untouched.ts";

/** The network configuration, as far as schedules change it. */
export interface Network {
  readonly v4: string;
  readonly families: readonly (4 | 6)[];
  readonly type: "vxlan" | "host-gw" | "udp";
  readonly vni: number;
  readonly direct: boolean;
  /** Of udp. */
  readonly port: number;
  readonly queues: number;
}

export function configText({ v4, families, type, vni, direct, port, queues }: Network): string {
  const four = families.includes(4) ? { Network: v4, SubnetLen: 24 } : { EnableIPv4: false };
  const six = families.includes(6)
    ? { EnableIPv6: true, IPv6Network: "fd00:10::/48", IPv6SubnetLen: 64 }
    : {};
  const members = {
    "vxlan": { VNI: vni, DirectRouting: direct },
    "host-gw": {},
    "udp": { Port: port, Queues: queues },
  };
  return JSON.stringify({ ...four, ...six, Backend: { Type: type, ...members[type] } });
}

/** What a record says of its backend; upstream's udp says nothing. */
export function recordType({ type }: Network): string {
  return type === "udp" ? "" : type;
}

export type Api = "v2" | "v3" | "both";

export class World {
  readonly clock = new FakeClock();
  readonly random: Random;
  /** Chance of its own for whatever concerns udp: a schedule without it is the same as before there was any. */
  readonly udpRandom: Random;
  /** Hosts were made to look like each other: for a moment one subnet can be two hosts', until they have heard of each other. */
  sameIds = false;
  /** Watches have left something out: what they did not tell is found out much later. */
  deaf = false;
  /** Since when two hosts, by their names, both use one subnet, or one MAC. */
  readonly sharing = new Map<string, number>();
  /** For ids: they must not change what else is drawn. */
  readonly idRandom: Random;
  /** Which of etcd's APIs the hosts speak; with `both` every second host speaks one of them. */
  readonly api: Api;
  /** False: the network is read back only where events ask for it. */
  readonly fullReads: boolean;
  /** What stands in the API that hosts speak, of two in v3. */
  readonly model: EtcdModel;
  /** What stands in v2; the same but where both are spoken. */
  readonly model2: EtcdModel;
  readonly hosts: SimHost[] = [];
  readonly untouched: Untouched;
  /** More peers from the start, so many that they can become far fewer. */
  readonly crowded: boolean;
  /** Keys that hosts may lose without noticing at once, because somebody had a hand in the store. */
  readonly tampered = new Set<string>();
  backup: Backup | null = null;
  /** Some list lacked records: what stands may be right by chance until that is found out. */
  thin = false;
  readonly #single: Api;
  readonly #given = new Set<string>();
  /** All that were ever configured. */
  readonly #networks = new Set<string>();
  readonly #devices = new Set<string>();
  /** What was broken that must never be; the first is what counts. */
  readonly violations: string[] = [];
  network: Network;
  /** The configuration has always been the same, or unreadable. */
  sameNetwork = true;

  /** @param trace called with each line of what happens; null where nobody reads it */
  constructor(seed: number, readonly trace: ((line: string) => void) | null) {
    this.random = seededRandom(seed);
    this.udpRandom = seededRandom(seed + 0x5eed_0000);
    this.idRandom = seededRandom(seed + 0x1d_0000);
    const api = seededRandom(seed + 0x7eed_0000).int(15);
    this.fullReads = seededRandom(seed + 0x5eed_f011).int(2) === 0;
    this.api = api < 3 ? "v2" : api === 3 ? "both" : "v3";
    this.#single = this.udpRandom.int(2) === 0 ? "v2" : "v3";
    this.model = new EtcdModel(this.clock);
    this.model2 = this.api === "both" ? new EtcdModel(this.clock) : this.model;
    this.untouched = new Untouched(this);
    // What v2 tells of IPv6 is little: a network of both families is for one API.
    const drawn = this.#drawNetwork(seededRandom(seed + 0x6eed_0000));
    this.network = this.api === "both" ? { ...drawn, families: [4] } : drawn;
    for (const model of this.models) {
      model.changedKey = ({ kv }) => this.untouched.changed(model, kv.key, kv.value);
    }
    this.setConfig(this.network);
    for (let n = 2 + this.random.int(3); n > 0; n--) {
      this.hosts.push(new SimHost(this, this.hosts.length + 1));
    }
    const chance = seededRandom(seed + 0x8eed_0000);
    this.crowded = chance.int(4) === 0 && this.api !== "both";
    for (let n = this.crowded ? 4 + chance.int(4) : 0; n > 0; n--) {
      this.model.put(this.key(160 + n), this.record(160 + n));
    }
  }

  /** All that there are. */
  get models(): readonly EtcdModel[] {
    return this.api === "both" ? [this.model, this.model2] : [this.model];
  }

  /**
   * The API of the host with this number. Where both are spoken, the others speak one and the same: hosts of different APIs
   * that draw one subnet before anybody has mirrored it find out too late, which no third can help.
   */
  apiOf(number: number): Api {
    return this.api === "both" && number % 2 === 0 ? this.#single : this.api;
  }

  /** Something that a process counts among what it has, and that no configuration ever gave it; or null. */
  strangerIn({ instance, devices, networks }: Owner): string | null {
    if (instance !== "default") return `the instance "${instance}"`;
    const network = networks.map(formatPrefix).find((text) => !this.#networks.has(text));
    return network ?? devices.find((name) => !this.#devices.has(name) && !/^flannel\d+$/.test(name)) ?? null;
  }

  setConfig(network: Network): void {
    for (const text of [network.v4, "fd00:10::/48"]) this.#networks.add(text);
    for (const family of ["flannel", "flannel-v6"]) this.#devices.add(`${family}.${network.vni}`);
    if (configText(network) !== configText(this.network)) this.sameNetwork = false;
    this.network = network;
    for (const model of this.models) model.put(`${PREFIX}/config`, configText(network));
  }

  /**
   * False where `other` was given before: two faults that together take away all by which a host could know what is its own
   * (a device's mark and its name; the subnet file and the network) are not for one schedule.
   */
  gives(fault: string, other: string): boolean {
    if (this.#given.has(other)) return false;
    this.#given.add(fault);
    return true;
  }

  /** One of `from`, which has at least one member. */
  pick<T>(from: readonly T[]): T {
    return from[this.random.int(from.length)]!;
  }

  /** True once in `times`. */
  chance(times: number): boolean {
    return this.random.int(times) === 0;
  }

  say(who: string, what: string): void {
    this.trace?.(`${((this.clock.boot() - 1_000_000) / 1000).toFixed(3).padStart(10)} s  ${who}: ${what}`);
  }

  violation(what: string): void {
    this.say("VIOLATION", what);
    this.violations.push(what);
  }

  /** A record as a host of another make writes it; `n` below 256 gives its addresses and MAC. */
  record(n: number, more: Record<string, unknown> = {}, families = this.network.families): string {
    const { type, vni } = this.network;
    const [four, six] = [families.includes(4), families.includes(6)];
    const data = { VNI: vni, VtepMAC: deriveMac(`192.168.65.${n}`, vni, 4) };
    return JSON.stringify({
      PublicIP: four ? `192.168.65.${n}` : "0.0.0.0",
      PublicIPv6: six ? `fd00:65::${n}` : null,
      BackendType: recordType(this.network),
      ...(type === "vxlan" && four && { BackendData: data }),
      ...(type === "vxlan" && six && { BackendV6Data: data }),
      ...more,
    });
  }

  /** The key of subnet number `n` of the network. */
  key(n: number): string {
    const { v4, families } = this.network;
    const subnets = { 4: v4.replace(/\.0\.0\/16$/, `.${n}.0-24`), 6: `fd00:10:0:${n.toString(16)}::-64` };
    return placeOf(families.map((family) => subnets[family]).join("&"));
  }

  /** @param random for IPv6 alone; which v2 has no place for */
  #drawNetwork(random: Random): Network {
    const kind = this.random.int(10);
    return {
      v4: "10.1.0.0/16",
      families: this.#drawFamilies(this.chance(4), random),
      type: this.udpRandom.int(5) === 0 ? "udp" : kind === 0 ? "host-gw" : "vxlan",
      vni: 1,
      direct: kind === 1,
      port: 8285,
      queues: 1,
    };
  }

  #drawFamilies(dual: boolean, random: Random): readonly (4 | 6)[] {
    return random.int(8) === 0 && this.api === "v3" ? [6] : dual ? [4, 6] : [4];
  }
}
