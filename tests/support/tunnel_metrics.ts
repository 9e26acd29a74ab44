/** What a daemon with backend udp tells on /metrics. */
import { assertEquals } from "@std/assert";
import { health } from "./daemon.ts";
import type { Place } from "./netns.ts";

export async function metrics(host: Place): Promise<string> {
  const { status, body } = await health(host, "/metrics");
  assertEquals(status, 200);
  return body;
}

/** Packets dropped, by reason. */
export async function drops(host: Place): Promise<Record<string, number>> {
  const lines = (await metrics(host)).matchAll(
    /^flannel_udp_drops_total{device="flannel0",reason="(\w+)"} (\d+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, reason, count]) => [reason, Number(count)]));
}
