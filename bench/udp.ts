/**
 * The userspace tunnel beside the other ways between two hosts, all in one run: every round measures every way, in an order
 * that turns, so that what else the machine does falls on all of them. Figures are medians with quartiles; ratios are those of
 * medians. `--json FILE` keeps every single figure.
 */
import { say } from "../tests/support/process.ts";
import { describeMachine } from "./machine.ts";
import { median, percentile } from "./statistics.ts";
import { UdpLab, type Way } from "./udp_lab.ts";
import { type Column, type Figures, type Measure, MEASURES, reach, startServers } from "./udp_measures.ts";
import { type MakeWay, ours, routed, upstream, vxlan } from "./udp_ways.ts";

export interface UdpOptions {
  readonly rounds: number;
  /** Names of measures; all of them where it is empty. */
  readonly measures: readonly string[];
  /** Where every figure goes; null: nowhere. */
  readonly json: string | null;
}

interface Sample {
  readonly measure: string;
  readonly way: string;
  readonly round: number;
  readonly figures: Figures;
}

/** iperf3 takes whole seconds only. */
const SECONDS = { tcp: 2, datagrams: 1 };

const KINDS: readonly MakeWay[] = [
  routed,
  vxlan,
  upstream,
  ours("plain", { plain: true }),
  ours("socket"),
  ours("pool", { sender: "pool" }),
  ours("raw", { sender: "raw" }),
];

/** The same tunnel with more and more peers; all but one never answer. */
const CROWDS: readonly MakeWay[] = [1, 100, 1_000, 10_000].map((peers) =>
  ours(`peers: ${peers}`, {}, peers - 1)
);

/** One packet thread, and two. */
const QUEUES: readonly MakeWay[] = [1, 2].map((queues) => ours(`queues: ${queues}`, { queues }));

export async function udp(options: UdpOptions): Promise<void> {
  await compare(KINDS, MEASURES, options);
}

export async function udpPeers(options: UdpOptions): Promise<void> {
  await compare(CROWDS, MEASURES.filter(({ name }) => name === "tcp" || name === "small"), options);
}

export async function udpQueues(options: UdpOptions): Promise<void> {
  await compare(QUEUES, MEASURES.filter(({ family, offload }) => family !== 6 && offload !== false), options);
}

async function compare(
  kinds: readonly MakeWay[],
  all: readonly Measure[],
  { rounds, measures, json }: UdpOptions,
): Promise<void> {
  const chosen = all.filter(({ name }) => measures.length === 0 || measures.includes(name));
  await using lab = await UdpLab.create();
  await startServers(lab);
  const ways = await open(lab, kinds);
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const measure of chosen) samples.push(...await takeAll(lab, measure, ways, round));
  }
  for (const measure of chosen) report(measure, samples.filter((sample) => sample.measure === measure.name));
  if (json !== null) await keep(json, { rounds, seconds: SECONDS }, samples);
}

async function open(lab: UdpLab, kinds: readonly MakeWay[]): Promise<Way[]> {
  const ways: Way[] = [];
  for (const make of kinds) {
    const way = await make(lab);
    if (typeof way === "string") {
      say(`  not run: ${way}`);
      continue;
    }
    await reach(lab, way);
    ways.push(way);
  }
  return ways;
}

async function takeAll(
  lab: UdpLab,
  measure: Measure,
  ways: readonly Way[],
  round: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const able = ways.filter((way) => measure.family !== 6 || carriesV6(way));
  const first = round % able.length;
  if (measure.offload === false) await lab.offload(false);
  for (const way of [...able.slice(first), ...able.slice(0, first)]) {
    const seconds = measure.name.startsWith("tcp") ? SECONDS.tcp : SECONDS.datagrams;
    const figures = await measure.take(lab, way, seconds);
    samples.push({ measure: measure.name, way: way.name, round, figures });
  }
  if (measure.offload === false) await lab.offload(true);
  return samples;
}

/** Upstream's proxy doesn't; of ours one is enough. */
function carriesV6({ name }: Way): boolean {
  return ["routed", "vxlan", "socket"].includes(name);
}

function report({ title, columns }: Measure, samples: readonly Sample[]): void {
  say(`  ${title}`);
  const by = Map.groupBy(samples, ({ way }) => way);
  for (const [way, of] of by) {
    const texts = columns.map((column) => cell(column, of, by));
    say(`    ${way.padEnd(18)} ${texts.join("   ")}`);
  }
}

/** `11.52 (11.31-11.60) Gbit/s, 7.4 x upstream, 0.61 x vxlan`. */
function cell({ name, title, digits }: Column, of: readonly Sample[], by: Map<string, Sample[]>): string {
  const values = (samples: readonly Sample[]) => samples.map(({ figures }) => figures[name]!);
  const text = (value: number) => value.toFixed(digits);
  const own = values(of);
  const range = `${text(median(own))} (${text(percentile(own, 0.25))}-${
    text(percentile(own, 0.75))
  }) ${title}`;
  const ratios = [...by].filter(([way]) => way.startsWith("upstream") || way === "vxlan")
    .map(([way, others]) => `, ${(median(own) / median(values(others))).toFixed(2)} x ${way.split(" ")[0]}`);
  return range + ratios.join("");
}

/** A line for each sample. */
async function keep(path: string, about: Record<string, unknown>, samples: readonly Sample[]): Promise<void> {
  const head = { machine: await describeMachine(), at: new Date().toISOString(), ...about };
  const lines = samples.map((sample) => JSON.stringify(sample)).join(",\n");
  await Deno.writeTextFile(
    path,
    JSON.stringify({ ...head, samples: [] }).replace("[]}", `[\n${lines}\n]}\n`),
  );
}
