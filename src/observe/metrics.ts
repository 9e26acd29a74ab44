/**
 * Figures in Prometheus' text format (exposition format 0.0.4), for `/metrics` on the health server. Pure.
 *
 * Those of the host: whether it is ready, whether its lease is on trial, how many others have its address. Those of userspace
 * tunnels: what went through, what was dropped and why, what of the kernel's help is in use, and each peer's share. Counters are
 * sums since the tunnel was opened.
 */
import type { UdpPeerStatistics, UdpStatistics } from "../../ffi/udp_tunnel.ts";
import type { HttpAnswer } from "./http_request.ts";

/** As `Kernel.tunnels` tells of it. */
interface Report {
  readonly device: string;
  readonly statistics: UdpStatistics;
  readonly subnets: readonly string[];
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  samples(report: Report): readonly Sample[];
}

const bothWays = (sent: number, received: number): Sample[] => [
  [{ direction: "sent" }, sent],
  [{ direction: "received" }, received],
];

function perPeer(read: (peer: UdpPeerStatistics) => readonly Sample[]): Metric["samples"] {
  return ({ statistics, subnets }) =>
    statistics.peers.flatMap((peer, i) =>
      read(peer).map(([labels, value]): Sample => [{ subnet: subnets[i] ?? "", ...labels }, value])
    );
}

const metrics: readonly Metric[] = [
  {
    name: "flannel_udp_packets_total",
    type: "counter",
    help: "Inner packets carried.",
    samples: ({ statistics: s }) => bothWays(s.sentPackets, s.receivedPackets),
  },
  {
    name: "flannel_udp_bytes_total",
    type: "counter",
    help: "Bytes of inner packets carried.",
    samples: ({ statistics: s }) => bothWays(s.sentBytes, s.receivedBytes),
  },
  {
    name: "flannel_udp_messages_total",
    type: "counter",
    help: "System calls' worth of datagrams: one may carry several packets.",
    samples: ({ statistics: s }) => bothWays(s.sentMessages, s.receivedMessages),
  },
  {
    name: "flannel_udp_drops_total",
    type: "counter",
    help: "Packets dropped, by reason.",
    samples: ({ statistics: s }) => Object.entries(s.drops).map(([reason, count]) => [{ reason }, count]),
  },
  {
    name: "flannel_udp_icmp_errors_total",
    type: "counter",
    help: "ICMP errors sent about inner packets.",
    samples: ({ statistics: s }) => [[{}, s.icmpSent]],
  },
  {
    name: "flannel_udp_feature",
    type: "gauge",
    help: "1 for each offload of the kernel's that is in use.",
    samples: ({ statistics: s }) => s.features.map((feature) => [{ feature }, 1]),
  },
  {
    name: "flannel_udp_sender",
    type: "gauge",
    help: "1 for the way in which datagrams leave.",
    samples: ({ statistics: s }) => [[{ sender: s.sender }, 1]],
  },
  {
    name: "flannel_udp_peer_packets_total",
    type: "counter",
    help: "Inner packets carried, by the peer's subnet.",
    samples: perPeer((peer) => bothWays(peer.sentPackets, peer.receivedPackets)),
  },
  {
    name: "flannel_udp_peer_bytes_total",
    type: "counter",
    help: "Bytes of inner packets carried, by the peer's subnet.",
    samples: perPeer((peer) => bothWays(peer.sentBytes, peer.receivedBytes)),
  },
];

/** How the host stands. */
export interface HostReport {
  readonly ready: boolean;
  /** Its lease was another host's, who may still object. */
  readonly onTrial: boolean;
  /** Living hosts that publish the same address. */
  readonly rivals: number;
  /** Objects that stood otherwise than the kernel's events had told, as found by reading everything back. */
  readonly missed: number;
}

/** The answer to `/metrics`. @param host null before there is a lease */
export function metricsAnswer(host: HostReport | null, reports: readonly Report[]): HttpAnswer {
  return { status: 200, body: (host === null ? "" : hostText(host)) + metricsText(reports) };
}

export function hostText({ ready, onTrial, rivals, missed }: HostReport): string {
  return gauge("flannel_ready", "1 where the host is ready.", Number(ready)) +
    gauge(
      "flannel_lease_on_trial",
      "1 while another host may object to our having the subnet.",
      Number(onTrial),
    ) +
    gauge("flannel_address_conflicts", "Other hosts that publish our address.", rivals) +
    single(
      "flannel_events_missed_total",
      "counter",
      "Objects that stood otherwise than the kernel had told, found by reading everything back.",
      missed,
    );
}

function gauge(name: string, help: string, value: number): string {
  return single(name, "gauge", help, value);
}

function single(name: string, type: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
}

export function metricsText(reports: readonly Report[]): string {
  return metrics.map((metric) => {
    const lines = reports.flatMap((report) =>
      metric.samples(report).map(([labels, value]) =>
        line(metric.name, { device: report.device, ...labels }, value)
      )
    );
    const head = `# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n`;
    return lines.length === 0 ? "" : head + lines.join("");
  }).join("");
}

function line(name: string, labels: Labels, value: number): string {
  const text = Object.entries(labels).map(([label, of]) => `${label}="${escaped(of)}"`).join(",");
  return `${name}{${text}} ${value}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
