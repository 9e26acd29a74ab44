/**
 * Userspace tunnels and their peers: a TUN device whose packets threads of the C library carry in UDP datagrams.
 *
 * They stand in this process, not in the kernel: what is read back is what runs, and what a service manager has kept for us
 * through a restart and nobody carries yet. All of it is ours. The device goes with its tunnel; where it was deleted, the
 * tunnel counts as gone.
 *
 * A descriptor has one owner at any time: the service manager until it is taken, then `Tunnel.kept`, and from `open` to
 * `release` the running tunnel; what fails in between gives back what it was handed. Whoever owns it closes it, once. What the
 * manager can't be told keeps nothing from running: it is told again at the next look.
 *
 * A kept device is taken up without a packet lost: it is carried only from the moment at which its peers are known, which is
 * with the first of them, or at the next read where there are none. What does not fit what is wanted (another number of
 * queues, another port) is closed, and made anew.
 */
import type { UdpDescriptors, UdpTunnel, UdpTunnelOptions } from "../../../ffi/udp_tunnel.ts";
import { messageOf } from "../../model/errors.ts";
import { type ObjectOf, sameValue, type TunnelFields } from "../../model/objects.ts";
import { isOn, type ObservedOf, type OperationOn, type Outcome } from "../../model/plan.ts";
import { DescriptorCare } from "./descriptor_care.ts";
import type { Driver } from "../driver.ts";
import type { KeptDescriptor, KeptDescriptors } from "./kept_descriptors.ts";
import type { TunnelReport } from "../kernel.ts";
import { failed, succeeded } from "../outcomes.ts";
import {
  arrange,
  deviceOf,
  keptFields,
  keptName,
  onlySources,
  optionsOf,
  peerRules,
  tunnelRules,
  udpPeers,
} from "./fields.ts";

export interface TunnelPorts {
  /** @throws Failure where it can't be opened */
  open(options: UdpTunnelOptions): UdpTunnel;
  readonly kept: KeptDescriptors;
  /** What a tunnel makes use of, and what becomes of it. */
  say(text: string): void;
}

type Tunnelled = "tunnel" | "peer";

export interface TunnelDriver extends Driver<Tunnelled>, Disposable {
  reports(): TunnelReport[];
}

interface Tunnel {
  /** As it is wanted. */
  fields: TunnelFields;
  /** Null while what was kept waits for its peers. */
  running: UdpTunnel | null;
  kept: readonly KeptDescriptor[];
  /** Of the device, once seen. */
  index: number | null;
  peers: ReadonlyMap<string, ObjectOf<"peer">>;
  said: string;
}

export function tunnelDriver(ports: TunnelPorts): TunnelDriver {
  return new Tunnels(ports);
}

class Tunnels implements TunnelDriver {
  readonly rules: TunnelDriver["rules"] = [tunnelRules, peerRules];
  readonly scope = "network";
  readonly #ports: TunnelPorts;
  readonly #tunnels = new Map<string, Tunnel>();
  readonly #care: DescriptorCare;

  constructor(ports: TunnelPorts) {
    this.#ports = ports;
    this.#care = new DescriptorCare(ports.kept, ports.say);
  }

  readonly read: TunnelDriver["read"] = async (_owner, links) => {
    const table = await links();
    this.#care.look();
    for (const [name, tunnel] of this.#tunnels) {
      const index = table.indexOf(name);
      if (index === null || (tunnel.index ?? index) !== index) this.#lose(name, tunnel);
      else this.#look(name, tunnel, index);
    }
    const running = [...this.#tunnels].flatMap(([name, { fields, peers }]) => [
      ours({ kind: "tunnel", key: name, fields }),
      ...[...peers.values()].map(ours),
    ]);
    return [...running, ...this.#waiting()];
  };

  readonly apply: TunnelDriver["apply"] = (operations) => {
    const dirty = new Map<string, ReadonlyMap<string, ObjectOf<"peer">>>();
    const outcomes = operations.map((operation) =>
      isOn(operation, "tunnel")
        ? this.#applyTunnel(operation)
        : this.#notePeer(operation as OperationOn<"peer">, dirty)
    );
    const refused = new Map([...dirty].flatMap(([name, peers]) => this.#setPeers(name, peers)));
    return Promise.resolve(outcomes.map((outcome) => {
      const { object } = outcome.operation;
      const why = object.kind === "peer" ? refused.get(object.on!) : undefined;
      return outcome.error === null && why !== undefined
        ? failed(peerRules, outcome.operation as OperationOn<"peer">, why)
        : outcome;
    }));
  };

  reports(): TunnelReport[] {
    return [...this.#tunnels].flatMap(([device, { running, peers }]) => {
      const subnets = [...peers.values()].map(({ fields }) => fields.subnet);
      const kept = this.#ports.kept.stores && !this.#care.lacks(keptName(device));
      return running === null ? [] : [{ device, subnets, kept, statistics: running.statistics() }];
    });
  }

  [Symbol.dispose](): void {
    for (const { running, kept } of this.#tunnels.values()) {
      running?.[Symbol.dispose]();
      this.#care.close(kept.map(({ fd }) => fd));
    }
    this.#tunnels.clear();
  }

  /** Kept under our names, and not taken up yet: wanted or not, that is the plan's business. */
  #waiting(): ObservedOf<"tunnel">[] {
    return [...this.#ports.kept.waiting].flatMap(([name, descriptors]) => {
      const device = deviceOf(name);
      return device === null ? [] : [ours({ kind: "tunnel", key: device, fields: keptFields(descriptors) })];
    });
  }

  #look(name: string, tunnel: Tunnel, index: number): void {
    tunnel.index = index;
    try {
      // The tunnel's own addresses are known from the first round on, and with them the peers.
      if (tunnel.running === null && (tunnel.fields.icmpSources ?? []).length > 0) this.#carry(name, tunnel);
      if (this.#care.lacks(keptName(name))) this.#keep(name, tunnel);
      this.#sayFeatures(name, tunnel);
    } catch (error) {
      this.#ports.say(`${messageOf(error)}; it is made anew`);
      this.#lose(name, tunnel);
    }
  }

  #applyTunnel(operation: OperationOn<"tunnel">): Outcome {
    const { verb, object } = operation;
    try {
      if (verb === "delete") this.#remove(object.key);
      else if (this.#tunnels.has(object.key)) this.#change(object, this.#tunnels.get(object.key)!);
      else this.#make(object);
      return succeeded(operation);
    } catch (error) {
      return failed(tunnelRules, operation, messageOf(error));
    }
  }

  #make({ key: name, fields }: ObjectOf<"tunnel">): void {
    const kept = this.#ports.kept.take(keptName(name));
    const nothing = { running: null, index: null, peers: new Map(), said: "" };
    const tunnel: Tunnel = { ...nothing, fields, kept };
    this.#judgeKept(name, tunnel);
    if (tunnel.kept.length === 0) this.#carry(name, tunnel);
    this.#tunnels.set(name, tunnel);
  }

  #judgeKept(name: string, tunnel: Tunnel): void {
    if (tunnel.kept.length === 0 || arrange(tunnel.kept, name, tunnel.fields) !== null) return;
    this.#ports.say(`what was kept of ${name} does not fit what is wanted now; it is closed`);
    this.#closeKept(name, tunnel);
  }

  /** Opens it, with what was kept where that is so, and has it carry packets to the peers that there are. */
  #carry(name: string, tunnel: Tunnel): void {
    const { fields, kept } = tunnel;
    const descriptors = kept.length === 0 ? null : arrange(kept, name, fields);
    this.#open(name, tunnel, descriptors);
  }

  /** The descriptors are the tunnel's afterwards; @throws with all of them open and still the caller's */
  #open(name: string, tunnel: Tunnel, descriptors: readonly UdpDescriptors[] | null): void {
    const options = optionsOf(name, tunnel.fields);
    const running = this.#ports.open(descriptors === null ? options : { ...options, descriptors });
    try {
      running.setPeers(udpPeers(tunnel.peers.values()));
    } catch (error) {
      const handed = new Set(flat(descriptors ?? []));
      this.#care.close(flat(running.release()).filter((fd) => !handed.has(fd)));
      throw error;
    }
    tunnel.running = running;
    tunnel.kept = [];
    running.ended.then((failure) => failure && this.#failed(name, running, failure.message));
    this.#keep(name, tunnel);
  }

  /** With its descriptors goes the device, of which the kernel tells: that brings the round that makes it anew. */
  #failed(name: string, running: UdpTunnel, why: string): void {
    const tunnel = this.#tunnels.get(name);
    if (tunnel?.running !== running) return;
    this.#ports.say(`${why}; it is made anew`);
    this.#lose(name, tunnel);
  }

  #keep(name: string, { running }: Tunnel): void {
    if (running) this.#care.keep(keptName(name), flat(running.descriptors()));
  }

  #change(object: ObjectOf<"tunnel">, tunnel: Tunnel): void {
    const { key: name, fields } = object;
    const { fields: before, running } = tunnel;
    if (running !== null && onlySources(before, fields)) running.setIcmpSources(fields.icmpSources ?? []);
    tunnel.fields = fields;
    if (running === null) this.#waitOn(name, tunnel);
    else if (fields.queues !== before.queues) {
      this.#lose(name, tunnel);
      this.#make(object);
    } else if (!onlySources(before, fields)) this.#reopen(name, tunnel, before);
  }

  /** What was kept goes on waiting for its peers, where it fits. */
  #waitOn(name: string, tunnel: Tunnel): void {
    this.#judgeKept(name, tunnel);
    if (tunnel.kept.length > 0) return;
    this.#tunnels.delete(name);
    this.#carry(name, tunnel);
    this.#tunnels.set(name, tunnel);
  }

  /** The device stays; sockets only where they are bound as before. */
  #reopen(name: string, tunnel: Tunnel, before: TunnelFields): void {
    const held = tunnel.running!.release();
    tunnel.running = null;
    const bound = before.port === tunnel.fields.port && sameValue(before.underlay, tunnel.fields.underlay);
    const descriptors = bound ? held : held.map(({ tun }) => ({ tun, socketV4: null, socketV6: null }));
    this.#care.forget(keptName(name));
    if (!bound) this.#care.close(held.flatMap(({ socketV4, socketV6 }) => [socketV4, socketV6]));
    try {
      this.#open(name, tunnel, descriptors);
    } catch (error) {
      this.#tunnels.delete(name);
      this.#care.close(flat(descriptors));
      throw error;
    }
  }

  #remove(name: string): void {
    const tunnel = this.#tunnels.get(name);
    if (tunnel) this.#end(name, tunnel);
    this.#care.close(this.#ports.kept.take(keptName(name)).map(({ fd }) => fd));
    this.#care.forget(keptName(name));
  }

  /** Ends it here and in the manager's store. */
  #lose(name: string, tunnel: Tunnel): void {
    this.#end(name, tunnel);
    this.#care.forget(keptName(name));
  }

  #end(name: string, tunnel: Tunnel): void {
    const { running } = tunnel;
    this.#tunnels.delete(name);
    tunnel.running = null;
    running?.[Symbol.dispose]();
    this.#closeKept(name, tunnel);
  }

  #closeKept(name: string, tunnel: Tunnel): void {
    const { kept } = tunnel;
    tunnel.kept = [];
    this.#care.close(kept.map(({ fd }) => fd));
    if (kept.length > 0) this.#care.forget(keptName(name));
  }

  /** @param dirty gets the peers from before the first change of each tunnel */
  #notePeer(
    operation: OperationOn<"peer">,
    dirty: Map<string, ReadonlyMap<string, ObjectOf<"peer">>>,
  ): Outcome {
    const { verb, object } = operation;
    const tunnel = this.#tunnels.get(object.on!);
    if (tunnel === undefined) {
      return verb === "delete"
        ? succeeded(operation)
        : failed(peerRules, operation, "the tunnel does not run; it is tried again");
    }
    const before = dirty.get(object.on!) ?? tunnel.peers;
    const peers = before === tunnel.peers ? new Map(before) : tunnel.peers as Map<string, ObjectOf<"peer">>;
    dirty.set(object.on!, before);
    if (verb === "delete") peers.delete(object.key);
    else peers.set(object.key, object);
    tunnel.peers = peers;
    return succeeded(operation);
  }

  /** Nothing, or why not: then `before` are its peers, as they are in the tunnel. */
  #setPeers(name: string, before: ReadonlyMap<string, ObjectOf<"peer">>): [string, string][] {
    const tunnel = this.#tunnels.get(name);
    // Gone in the same batch.
    if (tunnel === undefined) return [];
    try {
      if (tunnel.running === null) this.#carry(name, tunnel);
      else tunnel.running.setPeers(udpPeers(tunnel.peers.values()));
      return [];
    } catch (error) {
      tunnel.peers = before;
      return [[name, messageOf(error)]];
    }
  }

  #sayFeatures(name: string, tunnel: Tunnel): void {
    if (tunnel.running === null) return;
    const { features, sender, senderRefused } = tunnel.running.means();
    const by = senderRefused === null ? sender : `${sender} (${senderRefused})`;
    const text = `${name} carries packets with ${features.join(", ") || "no offload"}, sender ${by}`;
    if (text !== tunnel.said) this.#ports.say(text);
    tunnel.said = text;
  }
}

function flat(descriptors: readonly UdpDescriptors[]): number[] {
  return descriptors.flatMap(({ tun, socketV4, socketV6 }) => [tun, socketV4 ?? [], socketV6 ?? []].flat());
}

function ours<K extends Tunnelled>(object: ObjectOf<K>): ObservedOf<K> {
  return { ...object, standing: "ours" };
}
