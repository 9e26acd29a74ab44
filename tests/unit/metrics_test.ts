/** The figures of userspace tunnels, as a scraper reads them. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { UdpStatistics } from "../../ffi/udp_tunnel.ts";
import { hostText, metricsText } from "../../src/observe/metrics.ts";

const statistics = {
  sentPackets: 7,
  sentBytes: 700,
  sentMessages: 3,
  receivedPackets: 5,
  receivedBytes: 500,
  receivedMessages: 2,
  deviceReads: 4,
  deviceWrites: 1,
  icmpSent: 1,
  drops: { stranger: 9, ttl: 0 },
  features: ["tso", "gro"],
  sender: "pool",
  senderRefused: null,
  peers: [{
    sentPackets: 7,
    sentBytes: 700,
    receivedPackets: 5,
    receivedBytes: 500,
    alone: false,
    moved: null,
  }],
} as unknown as UdpStatistics;

Deno.test("metrics: every series has its help and type once, and labels that are escaped", () => {
  const text = metricsText([{ device: 'a"b\\', statistics, subnets: ["10.1.16.0/24"] }]);
  const lines = text.split("\n");
  assertEquals(lines.filter((line) => line.startsWith("# TYPE flannel_udp_packets_total ")).length, 1);
  assertStringIncludes(text, 'flannel_udp_packets_total{device="a\\"b\\\\",direction="sent"} 7\n');
  assertStringIncludes(text, ',reason="stranger"} 9\n');
  assertStringIncludes(text, ',feature="gro"} 1\n');
  assertStringIncludes(text, ',sender="pool"} 1\n');
  assertStringIncludes(text, ',subnet="10.1.16.0/24",direction="received"} 500\n');
  const samples = lines.filter((line) => line !== "" && !line.startsWith("#"));
  assertEquals(
    samples.filter((line) => !/^[a-z_]+\{[a-z]+="(\\.|[^"\\])*"(,[a-z]+="[^"]*")*\} \d+$/.test(line)),
    [],
  );
});

Deno.test("metrics: without a tunnel there is nothing to say", () => {
  assertEquals(metricsText([]), "");
});

Deno.test("metrics: a host says whether it is ready, on trial, who has its address too, and what events have not told", () => {
  const lines = hostText({ ready: false, onTrial: true, rivals: 2, missed: 3 }).trimEnd().split("\n");
  assertEquals(lines.filter((line) => !line.startsWith("#")), [
    "flannel_ready 0",
    "flannel_lease_on_trial 1",
    "flannel_address_conflicts 2",
    "flannel_events_missed_total 3",
  ]);
});
