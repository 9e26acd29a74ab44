/**
 * `--read-only`: the first run on a live node prints what a start would do, and does nothing: not to the kernel, not to the
 * store, not to a file.
 *
 *     h1: flanneld ── 192.168.64.0/24 ── h2: flanneld --read-only
 */
import { DatabaseSync } from "node:sqlite";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { linkOf, sqliteArgs } from "../support/overlay.ts";
import type { Place } from "../support/netns.ts";
import { scenario } from "../support/topology.ts";

scenario("read-only shows the plan of a start and changes nothing", { hosts: 2 }, async (net) => {
  const [h1, h2] = [net.host(1), net.host(2)];
  const args = [...await sqliteArgs(net), "-ip-masq"];
  await launchReady(h1, args);
  const before = [await everything(h2), leases(`${net.directory}/leases.db`)];

  const dry = launch(h2, [...args, "--read-only"]);
  assertEquals(await dry.ended(30_000), 0);
  const text = dry.lines.join("\n");
  const peer = (await subnetEnv(h1)).FLANNEL_SUBNET!.replace(".1/24", ".0");
  assertMatch(text, /^backend vxlan, subnet 10\.1\.\d+\.0\/24 \(for example: any free one\)$/m);
  assertMatch(text, /^ {2}create +flannel\.1 type vxlan id 1 local 192\.168\.64\.12/m);
  assertStringIncludes(text, `create   ${peer}/24 via ${peer} dev flannel.1 onlink`);
  assertStringIncludes(text, `lladdr ${(await linkOf(h1)).address}`);
  assertMatch(text, /^input to iptables-restore:$/m);
  assertEquals([await everything(h2), leases(`${net.directory}/leases.db`)], before);

  const live = launch(h1, [...args, "--read-only"]);
  assertEquals(await live.ended(30_000), 0, "beside the daemon that runs there");
  assertMatch(live.lines.join("\n"), /^nothing to do: everything stands as it should$/m);
});

/** Links, addresses, routes, neighbours, rules and files of a host, as text. */
function everything(host: Place): Promise<string> {
  return host.run([
    "sh",
    "-c",
    "ip -br address; ip route; ip neigh show nud permanent; iptables-save; find /run",
  ]);
}

/** Every row of the store. */
function leases(path: string): unknown {
  using database = new DatabaseSync(path, { readOnly: true });
  return database.prepare("SELECT * FROM leases").all();
}
