/**
 * Many streams at once, of sizes around those of segments and messages, and trains of datagrams, with the proof of what has
 * arrived. Programs: socat, sha256sum, nstat, and `datagrams.c`.
 */
import { assert, assertEquals } from "@std/assert";
import type { Badness, BadWire } from "./bad_wire.ts";
import { cProgram } from "./c_program.ts";
import type { Place } from "./netns.ts";
import { poll, say } from "./process.ts";
import { listening } from "./traffic.ts";

/** Enough to be met by every kind of packet, and little enough for TCP to go on. */
export const BADNESS: Badness = { drop: 5, double: 5, swap: 10, damage: 5, disguise: 5 };
const TRAINS = 220;
const MEGABYTE = 1_000_000;
/** Of everything together, in milliseconds. */
const DEADLINE = 60_000;

/** Sizes of streams, in bytes: those around borders, and a few megabytes that end anywhere. */
function streamSizes(): number[] {
  const odd = () => 1 + 2 * Math.floor(Math.abs(randomInt()) % MEGABYTE);
  return [1, 2, 1471, 1472, 1473, 65535, 65536, 65537, odd(), odd(), odd() + MEGABYTE];
}

/** Payloads of datagrams, in bytes: tiny, around what fits in one packet of the tunnel, and what goes in fragments. */
const DATAGRAM_SIZES: readonly number[] = [5, 64, 777, 1403, 1404, 1424, 1443, 1444, 1445, 3000, 8972];

/** Where something is sent. */
export interface Way {
  readonly from: Place;
  readonly to: Place;
  /** Of `to`. */
  readonly address: string;
  readonly port: number;
}

/** Streams of all sizes arrive as they were sent. */
export async function checkStreams(way: Way): Promise<void> {
  const sizes = streamSizes();
  const start = performance.now();
  const { sent, received } = await sendStreams(way, sizes);
  assertEquals(received, sent, `streams of ${sizes} bytes to ${way.address}`);
  say(`${sizes.length} streams to ${way.address} in ${Math.round(performance.now() - start)} ms`);
}

/** Of the datagrams a fair share arrives, and nothing that was not sent. */
export async function checkDatagrams(way: Way): Promise<void> {
  const report = await sendDatagrams(way, TRAINS);
  say(`datagrams to ${way.address}: ${JSON.stringify(report)}`);
  assertEquals(report.damaged, 0);
  // A machine that is busy loses more than the wire does.
  assert(report.received > report.sent / 4, "a fair share arrives");
}

/** Ends the wire; it must have done each of its tricks, and damage that only checksums inside can tell must have come through. */
export async function checkWire(wire: BadWire, ...containers: Place[]): Promise<void> {
  const report = await wire.stop();
  say(`the wire: ${JSON.stringify(report)}`);
  assertEquals(Object.entries(report).filter(([, count]) => count === 0), []);
  const errors = (await Promise.all(containers.map(checksumErrors))).reduce((sum, count) => sum + count, 0);
  say(`damage inside that only the containers could see: ${errors}`);
  assert(errors > 0, "damaged packets come as far as the containers");
}

interface Streams {
  /** SHA-256 of each stream that was sent, sorted. */
  readonly sent: readonly string[];
  /** The same of those that arrived. */
  readonly received: readonly string[];
}

/** Sends streams of random bytes of these sizes over TCP, all at once. */
async function sendStreams({ from, to, address, port }: Way, sizes: readonly number[]): Promise<Streams> {
  const listen = `TCP6-LISTEN:${port},ipv6only=0,reuseaddr,fork,backlog=64`;
  await using server = to.start(`receive ${port}`, ["socat", "-u", listen, "SYSTEM:sha256sum"]);
  await listening(to, port);
  const target = `TCP:${address.includes(":") ? `[${address}]` : address}:${port},connect-timeout=30`;
  const send = `
    file=$(mktemp); trap 'rm "$file"' EXIT
    head -c "$1" /dev/urandom > "$file"
    socat -u "FILE:$file" "$2"
    sha256sum < "$file"`;
  const sums = await Promise.all(
    sizes.map(async (size) =>
      (await from.run(["sh", "-ec", send, "sh", String(size), target], { deadline: DEADLINE })).slice(0, 64)
    ),
  );
  await poll("the last stream's sum", DEADLINE, () => server.lines.length >= sizes.length);
  return { sent: sums.sort(), received: server.lines.map((line) => line.slice(0, 64)).sort() };
}

interface Datagrams {
  readonly sent: number;
  /** Different ones that are what was sent. */
  readonly received: number;
  /** Those that came again. */
  readonly doubled: number;
  /** Those that were never sent. */
  readonly damaged: number;
}

/** Sends trains of datagrams, each sixteen of the same size. */
async function sendDatagrams({ from, to, address, port }: Way, trains: number): Promise<Datagrams> {
  const program = await cProgram("datagrams");
  const words = [port, trains, ...DATAGRAM_SIZES].map(String);
  await using receiver = to.start(`receive ${port}`, [program, "receive", ...words]);
  await receiver.line(/^ready/);
  await from.run([program, "send", address, ...words]);
  await receiver.ended(DEADLINE);
  return JSON.parse(receiver.lines.at(-1)!);
}

/** How many packets a place's own stack has dropped because of wrong checksums of TCP or UDP. */
async function checksumErrors(place: Place): Promise<number> {
  const { kernel } = await place.json<{ kernel: Record<string, number> }>("nstat", "-asz", "--json");
  return ["TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors"]
    .reduce((sum, name) => sum + (kernel[name] ?? 0), 0);
}

function randomInt(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}
