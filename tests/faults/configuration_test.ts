/** A network configuration that is broken, gone or mistyped: what a host says, and whether it is ready. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Cluster, config } from "../support/cluster.ts";

const good = JSON.stringify(config);

Deno.test("broken JSON over a good configuration: not ready, with the reason, until there is a good one again", async () => {
  await using cluster = new Cluster();
  const [a] = [await cluster.started(11), await cluster.started(12)];
  await cluster.advance(1_000);
  const before = a.kernel.objects();
  for (const broken of ['{"Network":', "[1]", '{"Network":"10.1.0.0/29"}', "\u0000"]) {
    cluster.store.setConfig(broken);
    await cluster.advance(8_000);
    const { ready, reasons, notes } = a.overlay!.readiness();
    assertEquals([ready, reasons.length, notes], [false, 1, []], broken);
    assertMatch(reasons[0]!, /^network configuration: read .*; keeping the one we have$/);
    assertEquals(a.said(/^error: network configuration:/).length, 1);
    assertEquals(a.kernel.objects(), before);
    cluster.store.setConfig(good);
    await cluster.advance(8_000);
    assertEquals(a.overlay!.readiness(), { ready: true, reasons: [], notes: [] });
    assertEquals(a.said(/there is a good one again, after \d+ s/).length, 1);
    a.lines.length = 0;
  }
});

Deno.test("a configuration that is gone, or a store out of reach, is only told; what was wrong stays so meanwhile", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  cluster.store.setConfig(null);
  await cluster.advance(8_000);
  const { ready, notes } = a.overlay!.readiness();
  assertEquals([ready, notes.length], [true, 1]);
  assertMatch(notes[0]!, /config not found .*keeping the one we have/);
  cluster.store.setConfig("{");
  await cluster.advance(8_000);
  cluster.store.startOutage("nobody answers");
  await cluster.advance(8_000);
  assertMatch(a.overlay!.readiness().reasons.join(), /is not JSON/);
  cluster.store.setConfig(good);
  cluster.store.endOutage();
  await cluster.advance(20_000);
  assertEquals(a.overlay!.readiness().ready, true);
});

Deno.test("a start says at every moment what it waits for, and why", async () => {
  await using cluster = new Cluster();
  cluster.store.setConfig('{"Network":');
  const a = cluster.host(11);
  await a.start();
  await cluster.advance(1_000);
  const [waiting, why] = a.readiness().reasons;
  assertEquals(waiting, "starting: waiting for the network configuration");
  assertMatch(why!, /^Couldn't fetch network config: read .* is not JSON/);
  cluster.store.setConfig(null);
  await cluster.advance(1_000);
  assertMatch(a.readiness().reasons[1]!, /config not found/);
  cluster.store.inject = () => "fail";
  cluster.store.setConfig(good);
  await cluster.advance(1_000);
  const lease = a.readiness().reasons;
  assertEquals(lease[0], "starting: taking a lease");
  assertMatch(lease[1]!, /^The store does not answer: injected failure/);
  cluster.store.inject = () => null;
  await cluster.advance(10_000);
  assertEquals(a.readiness(), { ready: true, reasons: [], notes: [] });
});

Deno.test("members that nobody reads are said once for each configuration, with what was probably meant", async () => {
  const typo = (SubnetLenn: number) => ({
    ...config,
    SubnetLenn,
    Backend: { Type: "vxlan", DirectRoutin: true },
  });
  await using cluster = new Cluster(1, typo(25));
  const a = await cluster.started(11);
  const says =
    /^warn: network configuration: member "SubnetLenn": .*did you mean SubnetLen\?; member "Backend.DirectRoutin": .*did you mean Backend.DirectRouting\?/;
  assertEquals(a.said(says).length, 1);
  cluster.store.startOutage();
  await cluster.advance(10_000);
  cluster.store.endOutage();
  await cluster.advance(10_000);
  assertEquals(a.said(says).length, 1, "once");
  cluster.store.setConfig(good);
  await cluster.advance(8_000);
  cluster.store.setConfig(JSON.stringify(typo(26)));
  await cluster.advance(8_000);
  assertEquals(a.said(says).length, 2, "another configuration");
  assert(a.readiness().ready);
});
