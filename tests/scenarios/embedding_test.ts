/**
 * The documented example, run as a program of its own: it joins the overlay of a daemon on another host, lists it, and leaves
 * nothing behind. Without the C library the error names the three places where it was looked for.
 *
 *     host 1: flanneld ── 192.168.64.0/24 ── host 2: docs/examples/join.ts
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { daemonCommand, launchReady, subnetEnv } from "../support/daemon.ts";
import { sqliteArgs } from "../support/overlay.ts";
import type { Place } from "../support/netns.ts";
import { scenario } from "../support/topology.ts";

/** Of the tree that the daemon under test is run from, where it is run from one. */
const main = daemonCommand().find((word) => word.endsWith("/main.ts"));
const tree = main === undefined ? import.meta.resolve("../../") : `file://${main}`;
const example = new URL("./docs/examples/join.ts", tree).pathname;

scenario("the documented example joins, sees its peer and leaves nothing", { hosts: 2 }, async (net) => {
  const [first, second] = [net.host(1), net.host(2)];
  await launchReady(first, await sqliteArgs(net));
  const before = await standing(second);
  await second.run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib"]);
  const database = `${net.directory}/leases.db`;
  const program = second.start("example", [Deno.execPath(), "run", "-A", example, database, "eth0"]);
  assertEquals(await program.ended(60_000), 0, program.lines.join("\n"));
  assertMatch(program.lines.join("\n"), /^our subnet is 10\.1\.\d+\.0\/24$/m);
  const peer = (await subnetEnv(first)).FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0/24");
  assertStringIncludes(program.lines.join("\n"), `peer ${peer} at ${first.ip}`);
  assertEquals(await standing(second), before);
});

/** Links, routes and firewall of a host, as text. */
async function standing(host: Place): Promise<string[]> {
  return [
    await host.run(["ip", "-br", "link"]),
    await host.run(["ip", "route"]),
    (await host.run(["iptables-save"])).replaceAll(/^(#.*|\*.*|:[A-Z]+ .*|COMMIT)$/gm, "").trim(),
  ];
}
