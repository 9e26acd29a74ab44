/**
 * What is measured of a way between the containers, each for so many seconds:
 *
 * - TCP: iperf3 from container 1 to 2; what arrived, and the CPU time of the whole machine for it, iperf3's included.
 * - Small datagrams: 64 bytes of payload, one a system call, as many as go; what arrived (native/bench/traffic.c).
 * - Round trips: a datagram of 64 bytes there and back, the next after the last (the same program).
 *
 * CPU time is that of all states in /proc/stat that are work; what the hypervisor took (steal) is none.
 */
import { run } from "../tests/support/process.ts";
import { containerAddress, type UdpLab, type Way } from "./udp_lab.ts";

const TRAFFIC = new URL("../native/build/bench/traffic", import.meta.url).pathname;
const PORT = "7100";
const LENGTH = "64";

/** Figures by name. */
export type Figures = Readonly<Record<string, number>>;

export interface Column {
  readonly name: string;
  readonly title: string;
  readonly digits: number;
}

export interface Measure {
  readonly name: string;
  readonly title: string;
  readonly columns: readonly Column[];
  /** The underlay's devices take super-packets: yes, unless told. */
  readonly offload?: false;
  /** Of the packets inside: 4 unless told. */
  readonly family?: 6;
  readonly take: (lab: UdpLab, way: Way, seconds: number) => Promise<Figures>;
}

const TCP_COLUMNS = [
  { name: "gbps", title: "Gbit/s", digits: 2 },
  { name: "cpu", title: "CPU s/GB", digits: 2 },
];

export const MEASURES: readonly Measure[] = [
  { name: "tcp", title: "TCP, one stream", columns: TCP_COLUMNS, take: tcp(1) },
  { name: "tcp4", title: "TCP, four streams", columns: TCP_COLUMNS, take: tcp(4) },
  {
    name: "tcp-no-gso",
    title: "TCP, one stream, underlay without segmentation offload",
    columns: TCP_COLUMNS,
    offload: false,
    take: tcp(1),
  },
  { name: "tcp-v6", title: "TCP, one stream, IPv6 inside", columns: TCP_COLUMNS, family: 6, take: tcp(1, 6) },
  {
    name: "small",
    title: "UDP, 64 bytes, received",
    columns: [{ name: "kpps", title: "1000/s", digits: 0 }, {
      name: "cpu",
      title: "CPU us a packet",
      digits: 2,
    }],
    take: small,
  },
  {
    name: "round-trip",
    title: "Round trip, 64 bytes",
    columns: [{ name: "p50", title: "p50 us", digits: 1 }, { name: "p99", title: "p99 us", digits: 1 }],
    take: roundTrip,
  },
];

/** Starts what listens in container 2 all the time. */
export async function startServers(lab: UdpLab): Promise<void> {
  await run(["make", "--silent", "--no-print-directory", "-C", TRAFFIC.replace(/\/build.*/, ""), "bench"]);
  await lab.container(2).start("iperf3", ["iperf3", "-s", "--forceflush"]).line(/listening/);
}

/** Waits until packets go both ways. */
export async function reach(lab: UdpLab, way: Way): Promise<void> {
  const to = containerAddress(way, 2);
  await lab.container(1).run(["ping", "-n", "-q", "-c", "1", "-w", "20", "-i", "0.1", to]);
}

/** Seconds of work of all processors since the boot. */
function machineSeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = Deno.readTextFileSync("/proc/stat")
    .split("\n")[0]!.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) / 100;
}

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bytes: number; readonly bits_per_second: number };
  };
}

function tcp(streams: number, family: 4 | 6 = 4): Measure["take"] {
  return async (lab, way, seconds) => {
    const to = containerAddress(way, 2, family);
    const before = machineSeconds();
    const command = ["iperf3", "-c", to, "-J", "-t", String(seconds), "-P", String(streams)];
    const report = JSON.parse(await lab.container(1).run(command)) as IperfReport;
    const used = machineSeconds() - before;
    const received = report.end.sum_received;
    if (!received) throw new Error(`measure TCP to ${to}: iperf3: ${report.error ?? "no figures"}`);
    const { bytes, bits_per_second } = received;
    return { gbps: bits_per_second / 1e9, cpu: used / (bytes / 1e9) };
  };
}

async function small(lab: UdpLab, way: Way, seconds: number): Promise<Figures> {
  const to = containerAddress(way, 2);
  const counter = lab.container(2).start("count", [TRAFFIC, "count", to, PORT]);
  await counter.line(/ready/);
  const before = machineSeconds();
  await lab.container(1).run([TRAFFIC, "flood", to, PORT, String(seconds), LENGTH]);
  const { packets, seconds: took } = JSON.parse(await counter.line(/packets/));
  const used = machineSeconds() - before;
  await counter.ended();
  return { kpps: packets / took / 1000, cpu: used / packets * 1e6 };
}

async function roundTrip(lab: UdpLab, way: Way, seconds: number): Promise<Figures> {
  const to = containerAddress(way, 2);
  await using echo = lab.container(2).start("echo", [TRAFFIC, "echo", to, PORT]);
  await echo.line(/ready/);
  const answer = await lab.container(1).run([TRAFFIC, "ask", to, PORT, String(seconds), LENGTH]);
  const { p50, p99, lost } = JSON.parse(answer);
  return { p50, p99, lost };
}
