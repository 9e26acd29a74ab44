/**
 * Traffic between places, and what became of it: pings in all directions, a ping that never stops while something is done to
 * the network, bulk TCP with checksums, throughput, and the source address that a server sees.
 * Programs: ping, busybox (ping, nc, sha256sum), socat, iperf3.
 */
import type { Place } from "./netns.ts";
import { poll, type Process, run } from "./process.ts";

/** A place that can be reached at an address. */
export type Endpoint = Place & { readonly address: string };

/** Whether any of `count` echo requests was answered within a second each. */
export async function ping(from: Place, to: string, count = 1): Promise<boolean> {
  const ended = await from.output(["busybox", "ping", "-c", String(count), "-W", "1", to]);
  return ended.code === 0;
}

/** Waits until `to` answers; returns the milliseconds it took. */
export async function reachable(from: Place, to: string, ms = 20_000): Promise<number> {
  const start = performance.now();
  await poll(`an answer from ${to} to ${from.name}`, ms, () => ping(from, to));
  return Math.round(performance.now() - start);
}

/** Every ordered pair that does not reach each other, as `a → b`; empty is good. */
export async function unreachablePairs(endpoints: readonly Endpoint[]): Promise<string[]> {
  const pairs = endpoints.flatMap((a) => endpoints.filter((b) => b !== a).map((b) => [a, b] as const));
  const answers = await Promise.all(pairs.map(([a, b]) => ping(a, b.address, 3)));
  return pairs.filter((_, i) => !answers[i]).map(([a, b]) => `${a.name} → ${b.name}`);
}

export interface PingReport {
  readonly sent: number;
  readonly received: number;
  /** Sequence numbers that were never answered. */
  readonly lost: readonly number[];
  /** The longest time between two answers, milliseconds. */
  readonly gap: number;
}

/** An endless ping, started with `startPing`. */
export class ContinuousPing {
  constructor(readonly process: Process) {}

  /** Waits until `count` more answers came in. */
  async answers(count: number, ms = 20_000): Promise<void> {
    const goal = this.#answered().size + count;
    await poll(`${count} answers to ${this.process.name}`, ms, () => this.#answered().size >= goal);
  }

  /** Ends it and counts. A request that was sent last and still on its way when the ping was stopped does not count as sent. */
  async stop(): Promise<PingReport> {
    await this.process.stop("SIGINT");
    const transmitted = Number(/(\d+) packets transmitted/.exec(this.process.text)?.[1]);
    const answered = this.#answered();
    const sent = answered.has(transmitted) ? transmitted : transmitted - 1;
    const lost = Array.from({ length: sent }, (_, i) => i + 1).filter((i) => !answered.has(i));
    return { sent, received: sent - lost.length, lost, gap: this.#gap() };
  }

  #gap(): number {
    const times = this.process.lines.flatMap((line) => /^\[([\d.]+)\].*seq=\d+ /.exec(line)?.[1] ?? []).map(
      Number,
    );
    const gaps = times.map((time, i) => time - (times[i - 1] ?? time));
    return Math.round(Math.max(0, ...gaps) * 1000);
  }

  #answered(): Set<number> {
    return new Set(this.process.lines.flatMap((line) => /seq=(\d+) /.exec(line)?.[1] ?? []).map(Number));
  }
}

/**
 * That of iputils: busybox's has a receive buffer of seven kilobytes, and loses answers that come late and all at once.
 *
 * @param interval between two requests, in milliseconds
 */
export function startPing(from: Place, to: string, interval = 20): ContinuousPing {
  const command = ["ping", "-n", "-D", "-i", String(interval / 1000), to];
  return new ContinuousPing(from.start(`ping ${to}`, command));
}

export interface Transfer {
  readonly sent: string;
  readonly received: string;
  readonly seconds: number;
}

/** Sends `megabytes` of random data over TCP; the SHA-256 of what was sent and of what arrived. */
export async function transfer(from: Place, to: Endpoint, megabytes: number, port = 5001): Promise<Transfer> {
  const server = to.start(`receive ${port}`, [
    "sh",
    "-c",
    `exec socat -u TCP-LISTEN:${port},reuseaddr SYSTEM:sha256sum`,
  ]);
  await listening(to, port);
  const file = await Deno.makeTempFile({ prefix: "denim-transfer-" });
  try {
    await run(["dd", "if=/dev/urandom", `of=${file}`, "bs=1M", `count=${megabytes}`, "status=none"]);
    const start = performance.now();
    await from.run(["socat", "-u", `FILE:${file}`, `TCP:${to.address}:${port},connect-timeout=10`]);
    const received = (await server.line(/^[0-9a-f]{64}/, 60_000)).slice(0, 64);
    const seconds = (performance.now() - start) / 1000;
    const sent = (await run(["sha256sum", file])).slice(0, 64);
    return { sent, received, seconds };
  } finally {
    await Deno.remove(file);
  }
}

/** TCP throughput in bits per second, as iperf3 measures it on the receiving side. */
export async function throughput(from: Place, to: Endpoint, seconds = 3, port = 5201): Promise<number> {
  await using server = to.start(`iperf3 ${port}`, ["iperf3", "-s", "-1", "-p", String(port)]);
  await listening(to, port);
  const text = await from.run(["iperf3", "-J", "-c", to.address, "-p", String(port), "-t", String(seconds)]);
  await server.ended();
  return JSON.parse(text).end.sum_received.bits_per_second;
}

/** The address that a server at `address` in `server` sees when `from` connects. */
export async function sourceSeen(from: Place, server: Place, address: string, port = 8081): Promise<string> {
  await using listener = server.start(`echo ${port}`, [
    "socat",
    `TCP-LISTEN:${port},bind=${address},reuseaddr,fork`,
    "SYSTEM:echo $SOCAT_PEERADDR",
  ]);
  await listening(server, port);
  const seen = await from.run(["socat", "-u", `TCP:${address}:${port},connect-timeout=5`, "-"]);
  listener.signal("SIGTERM");
  return seen.trim();
}

/** Waits until something listens on a TCP port in a place. */
export async function listening(place: Place, port: number, ms = 10_000): Promise<void> {
  await poll(
    `a listener on port ${port} in ${place.name}`,
    ms,
    async () => (await place.run(["ss", "-Hltn", `sport = :${port}`])) !== "",
  );
}
