/** What a store may make us say: a flood is a few lines. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { StoreReports } from "../../src/control/store_reports.ts";
import type { RefusedPeer } from "../../src/plan/peers.ts";
import { createLog } from "../../src/observe/writers.ts";
import type { Unreadable } from "../../src/store/store.ts";
import { FakeClock } from "../support/clock.ts";
import { lease } from "../support/hosts.ts";

function reports() {
  const lines: string[] = [];
  const clock = new FakeClock();
  const log = createLog({ format: "text", verbosity: 0, write: (line) => lines.push(line), clock });
  return { reports: new StoreReports(log, clock), lines, clock };
}

const bad = (key: string): Unreadable => ({ key, subnets: null, reason: "the key names no subnet" });

Deno.test("100,000 records that cannot be read are eleven lines, none long", () => {
  const { reports: told, lines } = reports();
  const unreadable = Array.from({ length: 100_000 }, (_, i) => bad(`${i} ${"x".repeat(1000)}`));
  told.event({ type: "snapshot", leases: [], unreadable });
  const warnings = lines.filter((line) => line.includes("lease record"));
  assertEquals(warnings.length, 11);
  assertStringIncludes(warnings[0]!, 'read lease record "0 xxx');
  assertStringIncludes(warnings[10]!, "99990 more cannot be read");
  assertStringIncludes(warnings[10]!, '("10 xxx');
  assert(lines.every((line) => line.length < 300), lines[1]);
});

Deno.test("a flood of changes is ten lines in ten seconds, and the rest is counted", async () => {
  const { reports: told, lines, clock } = reports();
  for (let i = 0; i < 50; i++) told.event({ type: "unreadable", unreadable: bad(String(i)) });
  assertEquals(lines.length, 10);
  told.refusals([]);
  assertEquals(lines.length, 10);
  await clock.advance(10_000);
  told.refusals([]);
  assertStringIncludes(lines[10]!, "40 more cannot be read");
  told.event({ type: "unreadable", unreadable: bad("later") });
  assertStringIncludes(lines[11]!, '"later"');
  assertEquals(lines.length, 12);
});

Deno.test("an outage of the store is told once for each reason, and its length when it is over", async () => {
  const { reports: told, lines, clock } = reports();
  const snapshot = { type: "snapshot", leases: [], unreadable: [] } as const;
  told.event(snapshot);
  for (const error of ["no answer", "no answer", "refused"]) {
    told.event({ type: "outage", error });
    await clock.advance(64_000);
  }
  told.event({ type: "recovered" });
  told.event(snapshot);
  assertEquals(lines.map((line) => line.slice(25, -1)), [
    "info  read 0 leases from the store",
    "warn  the store is out of reach: no answer; the network stays as it is",
    "warn  the store is out of reach: refused; the network stays as it is",
    "info  the store answers again after 3 m 12 s",
    "info  read 0 leases from the store",
  ]);
});

Deno.test("a refused peer is told once while it lasts, and thousands in a few lines", async () => {
  const { reports: told, lines, clock } = reports();
  const peers: RefusedPeer[] = Array.from(
    { length: 5000 },
    (_, i) => ({
      lease: lease(`10.${i >> 8}.${i & 255}.0/24`, "192.0.2.1", "02:00:00:00:00:01"),
      reason: "it claims our address",
      byConfiguration: false,
    }),
  );
  told.refusals(peers);
  assertEquals(lines.length, 11);
  const names = "10.0.10.0/24, 10.0.11.0/24, 10.0.12.0/24, 10.0.13.0/24 …";
  assertStringIncludes(lines[10]!, `4990 more peers refused, see /readyz (${names})`);
  await clock.advance(10_000);
  told.refusals(peers);
  assertEquals(lines.length, 11);
  told.refusals(peers.slice(0, 3));
  assertEquals(lines.length, 22);
  assertStringIncludes(lines[11]!, "peer 10.0.3.0/24: no longer refused, after 10 s");
  assertStringIncludes(lines[21]!, "4987 more peers no longer refused");
});

Deno.test("refused peers that come and go at every round are two dozen lines in ten seconds", async () => {
  const { reports: told, lines, clock } = reports();
  const peers: RefusedPeer[] = [1, 2].map((n) => ({
    lease: lease(`10.1.${n}.0/24`, "192.0.2.1", "02:00:00:00:00:01"),
    reason: "it claims our address",
    byConfiguration: false,
  }));
  for (let round = 0; round < 1000; round++) {
    told.refusals([peers[round % 2]!]);
    await clock.advance(100);
  }
  const over = lines.filter((line) => line.includes("no longer refused"));
  for (const said of [over, lines.filter((line) => !over.includes(line))]) {
    assert(said.length <= 10 * 12, String(said.length));
    const counted = said.map((line) => Number(/(\d+) more/.exec(line)?.[1] ?? 1)).reduce((a, b) => a + b);
    assert(counted > 900, "nothing goes uncounted but what the last seconds brought");
  }
});
