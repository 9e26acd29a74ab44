/** A firewall that can't be set up: packets between containers come first, and the host is not ready until it can. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { OverlayOptions } from "../../src/control/ports.ts";
import { describeSubnets } from "../../src/model/lease.ts";
import { isFirewall } from "../../src/model/objects.ts";
import { Cluster } from "../support/cluster.ts";

Deno.test("without iptables everything but the firewall stands; when it comes, all that it can do is used", async () => {
  await using cluster = new Cluster();
  await cluster.started(12);
  const come = Promise.withResolvers<Pick<OverlayOptions, "forwardRules" | "randomFully">>();
  const lacking = { ipMasq: true, forwardRules: false, randomFully: false, later: () => come.promise };
  const a = cluster.host(11, lacking);
  a.kernel.refuse = ({ object }) => isFirewall(object.kind) ? 'run "iptables-restore": not found' : null;
  await a.start();
  await cluster.advance(2_000);
  assertEquals(a.keys("route").length, 1);
  assertMatch(await a.subnetFile.read() ?? "none", /^FLANNEL_NETWORK=.*FLANNEL_IPMASQ=true/s);
  const { ready, reasons } = a.readiness();
  assertEquals([ready, reasons.length], [false, 1], reasons.join("\n"));
  assertMatch(reasons[0]!, /"iptables-restore": not found/);
  a.kernel.refuse = () => null;
  come.resolve({ forwardRules: true, randomFully: true });
  await cluster.advance(100);
  assertEquals(a.readiness(), { ready: true, reasons: [], notes: [] });
  assertEquals(a.keys("chain"), ["iptables filter FLANNEL-FWD", "iptables nat FLANNEL-POSTRTG"]);
  assertMatch(JSON.stringify(a.kernel.get("chain", "iptables nat FLANNEL-POSTRTG")), /--random-fully/);
});

Deno.test("what stands and can't be read any more keeps a host from being ready, with the reason", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const read = a.kernel.read.bind(a.kernel);
  for (const part of ["firewall", "network"] as const) {
    a.kernel.read = (owner, scope) =>
      scope[part] ? Promise.reject(new Error("permission denied")) : read(owner, scope);
    await cluster.advance(90_000);
    assertEquals(a.readiness().reasons, [`read back the ${part}: permission denied`]);
    a.kernel.read = read;
    await cluster.advance(90_000);
    assert(a.readiness().ready);
  }
});

Deno.test("a firewall that takes its time keeps no peer waiting", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const read = a.kernel.read.bind(a.kernel);
  const slow = Promise.withResolvers<void>();
  a.kernel.read = async (owner, scope) => {
    if (scope.firewall) await slow.promise;
    return await read(owner, scope);
  };
  a.kernel.emit(new Set(["chain"]));
  await cluster.advance(2_000);
  const b = await cluster.started(12);
  assertEquals(a.keys("route"), [describeSubnets(b.overlay!.lease.subnets)]);
  slow.resolve();
});
