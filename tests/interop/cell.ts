/**
 * One cell of the matrix: our daemon and a release of upstream's share a cluster, fail, expire and replace each other, while
 * containers talk. With vxlan and host-gw the kernel carries the packets and none may be lost; with udp the processes do, and what
 * falls between stop and ready is.
 *
 *   c1 ── cbr0 ── h1: ours, then upstream's ── 192.168.64.0/24 ── h2: upstream's, then ours ── cbr0 ── c2
 *                  └ etcd
 */
import { assert, assertEquals } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { containerOn, type Link, linkOf } from "../support/overlay.ts";
import { type Records, recordsOf } from "../support/records.ts";
import { startEtcd, startUpstream, withUpstream } from "../support/peers.ts";
import { poll, type Process, say } from "../support/process.ts";
import type { Host, PlainContainer, Topology } from "../support/topology.ts";
import { type PingReport, reachable, startPing, transfer } from "../support/traffic.ts";

export interface Cell {
  /** `0.28` is looked for as `flanneld-0.28`. */
  readonly release: string;
  readonly backend: "vxlan" | "host-gw" | "udp";
  /** Of etcd: the one that the release speaks. Ours finds out by itself. */
  readonly api: "v2" | "v3";
}

interface Side {
  readonly host: Host;
  readonly container: PlainContainer;
}

/** Registers the test of a cell; it prints the cell's row of the table in docs/migration.md. */
export function matrixCell(cell: Cell): void {
  const { release, backend, api } = cell;
  withUpstream(
    `matrix: flannel ${release}, ${backend}, etcd ${api}`,
    (net, binary) => new CellRun(net, binary, cell).run(),
    { peer: `flanneld-${release}` },
  );
}

class CellRun {
  #etcd!: EtcdCluster;
  #records!: Records;
  /** The daemon on each host. */
  readonly #daemons = new Map<Host, Process>();

  constructor(readonly net: Topology, readonly binary: string, readonly cell: Cell) {}

  async run(): Promise<void> {
    const { release, backend, api } = this.cell;
    const config = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: backend } };
    this.#etcd = await startEtcd(this.net, config, api);
    this.#records = recordsOf(this.#etcd, api);
    const [h1, h2] = [this.net.host(1), this.net.host(2)];
    await this.#ours(h1);
    await this.#theirs(h2);
    const one = { host: h1, container: await containerOn(this.net, h1) };
    const two = { host: h2, container: await containerOn(this.net, h2) };
    const bytes = await this.#talk(one, two);
    const killed = await this.#underPing(one, two, (answers) => this.#killEach(one, two, answers));
    const replaced = await this.#underPing(one, two, (answers) => this.#replaceEach(one, two, answers));
    const ended = await this.#expireEach(one, two);
    say(`| ${[release, backend, api, bytes, counts(killed), counts(replaced), ended].join(" | ")} |`);
    // Each time two daemons were away, one after the other.
    const allowed = this.#inKernel ? 0 : 2;
    for (const { lost } of [killed, replaced]) assert(gaps(lost) <= allowed, `lost: ${lost.join(" ")}`);
  }

  get #inKernel(): boolean {
    return this.cell.backend !== "udp";
  }

  /** Pings and 100 MB in both directions. */
  async #talk({ container: c1 }: Side, { container: c2 }: Side): Promise<string> {
    await reachable(c1, c2.address);
    await reachable(c2, c1.address);
    for (const [from, to] of [[c1, c2], [c2, c1]] as const) {
      const { sent, received } = await transfer(from, to, 100);
      assertEquals(received, sent);
    }
    return "equal";
  }

  async #underPing(
    { container: c1 }: Side,
    { container: c2 }: Side,
    body: (answers: () => Promise<void>) => Promise<void>,
  ): Promise<PingReport> {
    const ping = startPing(c1, c2.address, 10);
    await ping.answers(50);
    await body(() => ping.answers(50));
    return await ping.stop();
  }

  /** kill -9 and a new start, on one host and then on the other. */
  async #killEach(one: Side, two: Side, answers: () => Promise<void>): Promise<void> {
    for (const [{ host }, start] of [[one, "ours"], [two, "theirs"]] as const) {
      await this.#daemons.get(host)!.stop("SIGKILL");
      if (this.#inKernel) await answers();
      await this.#start(host, start);
      await answers();
    }
  }

  /** Each takes the other's place, and stands on what the other has left. */
  async #replaceEach(one: Side, two: Side, answers: () => Promise<void>): Promise<void> {
    const before = [await this.#left(one.host), await this.#left(two.host)];
    await this.#stop(two.host);
    await this.#ours(two.host);
    await answers();
    await this.#stop(one.host);
    await this.#theirs(one.host);
    await answers();
    assertEquals([await this.#left(one.host), await this.#left(two.host)], before);
  }

  /** What has to stay through a replacement: the file, whose record it is and, with vxlan, the device and its MAC. */
  async #left(host: Host): Promise<unknown> {
    const { PublicIP, BackendData } = JSON.parse(await this.#records.get(this.#key(await subnetEnv(host))));
    const link: Link | null = this.cell.backend === "vxlan" ? await linkOf(host) : null;
    return [await subnetEnv(host), PublicIP, BackendData?.VtepMAC, link?.address, link?.ifindex];
  }

  /** A host dies, its lease ends: the other side forgets it, and knows it again when it is back. */
  async #expireEach(one: Side, two: Side): Promise<string> {
    for (const [dead, alive, start] of [[one, two, "theirs"], [two, one, "ours"]] as const) {
      const env = await subnetEnv(dead.host);
      await this.#daemons.get(dead.host)!.stop("SIGKILL");
      await this.#records.end(this.#key(env));
      const network = env.FLANNEL_SUBNET!.replace(/1\/24$/, "0/24");
      // With udp one route leads the whole network into the device, and the peers are the daemon's own.
      await poll(`${alive.host.name} to forget ${network}`, 20_000, async () => {
        return (await alive.host.run(["ip", "route", "show", network])) === "";
      });
      await this.#start(dead.host, start);
      assertEquals(await subnetEnv(dead.host), env);
      await reachable(alive.container, dead.container.address);
    }
    return this.#inKernel ? "gone, back" : "back";
  }

  #key({ FLANNEL_SUBNET }: Record<string, string>): string {
    return `/coreos.com/network/subnets/${FLANNEL_SUBNET!.replace(/1\/24$/, "0-24")}`;
  }

  get #args(): string[] {
    return ["-etcd-endpoints", this.#etcd.endpoints, "-ip-masq"];
  }

  async #stop(host: Host): Promise<void> {
    await this.#daemons.get(host)!.stop();
  }

  #start(host: Host, which: "ours" | "theirs"): Promise<void> {
    return which === "ours" ? this.#ours(host) : this.#theirs(host);
  }

  async #ours(host: Host): Promise<void> {
    this.#daemons.set(host, await launchReady(host, this.#args));
  }

  async #theirs(host: Host): Promise<void> {
    const daemon = this.net.use(startUpstream(host, this.binary, this.#args));
    this.#daemons.set(host, daemon);
    await poll(
      "upstream's daemon runs",
      30_000,
      () => /Running backend|Waiting for .* to renew/.test(daemon.text),
    );
  }
}

/** Runs of requests without an answer. */
function gaps(lost: readonly number[]): number {
  return lost.filter((seq, i) => seq !== (lost[i - 1] ?? -2) + 1).length;
}

function counts({ sent, lost }: PingReport): string {
  return `${lost.length} of ${sent}`;
}
