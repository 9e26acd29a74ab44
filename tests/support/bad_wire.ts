/**
 * A bad wire between a host and its segment: `bad_wire.c`, for kernels without netem.
 *
 *   h1 ─ eth0 ── h1 ┐                                   ┌ h1-out ─ bridge seg0
 *                   └ bridge h1-bad ─ h1-in ══ h1-a ~~~ h1-b ══┘
 *
 * In front of it, on either side, super-frames are cut and checksums made, so that it carries what a real wire would. The
 * host's own device keeps its offloads, and puts together again what it receives (GRO).
 */
import { cProgram } from "./c_program.ts";
import type { Process } from "./process.ts";
import type { Host, Topology } from "./topology.ts";

/** Of a thousand frames; see `bad_wire.c`. */
export interface Badness {
  readonly drop: number;
  readonly double: number;
  readonly swap: number;
  readonly damage: number;
  readonly disguise: number;
}

/** How many frames it has carried, and what happened to how many. */
export interface BadWireReport {
  readonly carried: number;
  readonly dropped: number;
  readonly doubled: number;
  readonly swapped: number;
  readonly damaged: number;
  readonly disguised: number;
}

export class BadWire {
  private constructor(private readonly process: Process) {}

  /** Puts it between a host of segment 0 and its bridge. */
  static async at(net: Topology, host: Host, seed: number, badness: Badness): Promise<BadWire> {
    const port = `h${net.hosts.indexOf(host) + 1}`;
    await net.wire.sh(`
      mtu=$(cat /sys/class/net/${port}/mtu)
      ip link add ${port}-bad mtu $mtu type bridge
      ip link add ${port}-in mtu $mtu type veth peer name ${port}-a mtu $mtu
      ip link add ${port}-out mtu $mtu type veth peer name ${port}-b mtu $mtu
      for device in ${port}-in ${port}-out; do
        ethtool -K $device tx off tso off gso off tx-udp-segmentation off > /dev/null
      done
      ip link set ${port} master ${port}-bad
      ip link set ${port}-in master ${port}-bad
      ip link set ${port}-out master seg0
      for device in bad in a b out; do ip link set ${port}-$device up; done`);
    await host.sh("ethtool -K eth0 gro on > /dev/null");
    const { drop, double, swap, damage, disguise } = badness;
    const words = [`${port}-a`, `${port}-b`, ...[seed, drop, double, swap, damage, disguise].map(String)];
    const process = net.wire.start("bad wire", [await cProgram("bad_wire"), ...words]);
    await process.line(/^ready/);
    return new BadWire(process);
  }

  /** Ends it: nothing is carried any more. */
  async stop(): Promise<BadWireReport> {
    await this.process.stop();
    return JSON.parse(this.process.lines.at(-1)!);
  }
}
