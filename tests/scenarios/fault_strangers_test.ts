/**
 * Others in our place on a host: a device of our name, number or port, a port of ours, the daemon under its former name.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { CONFIG, linkOf, sqliteArgs } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { type Host, scenariosTogether, type Topology } from "../support/topology.ts";

/** What the start of a daemon says that can't be. */
async function refusal(host: Host, args: readonly string[]): Promise<string> {
  const daemon = launch(host, args);
  assertEquals(await daemon.ended(), 1, daemon.text);
  const last = daemon.lines.at(-1)!;
  say(last.slice(0, 300));
  return last;
}

const strangers: readonly [what: string, make: string, says: RegExp][] = [
  [
    "a device of our name",
    "ip link add flannel.1 type bridge",
    /link "flannel\.1": one that is not ours is in the way \(device of type "bridge", of flannel,.*\); choose another VNI/,
  ],
  [
    "a VXLAN device of our name with another number",
    "ip link add flannel.1 type vxlan id 77 dstport 8472 dev eth0 && ip link set flannel.1 alias mine",
    /in the way \(VXLAN device, VNI 77, of flannel, as its name says\); choose another VNI/,
  ],
  [
    "a VXLAN device with our number",
    "ip link add cilium_vxlan type vxlan id 1 dstport 8472 dev eth0",
    /VNI 1 at port 8472 is taken: the VXLAN device "cilium_vxlan", of Cilium, as its name says, has it; choose another VNI or Port/,
  ],
  [
    "a VXLAN device that has our port for itself",
    "ip link add other type vxlan id 9 gbp dstport 8472 dev eth0 && ip link set other alias theirs up",
    /port 8472 is taken: the VXLAN device "other", with the alias "theirs", has it; choose another Port/,
  ],
];

async function inOurPlace(net: Topology): Promise<void> {
  const host = net.host(1);
  const args = await sqliteArgs(net);
  for (const [what, make, says] of strangers) {
    await host.sh(make);
    const before = await host.run(["ip", "-d", "link"]);
    assertMatch(await refusal(host, args), says, what);
    assertEquals(await host.run(["ip", "-d", "link"]), before, `${what} stays as it is`);
    await host.sh("for d in flannel.1 cilium_vxlan other; do ip link del $d 2>/dev/null || true; done");
  }
}

/** A program has the port of the backend. */
async function portTaken(net: Topology): Promise<void> {
  const host = net.host(1);
  for (const [type, port] of [["vxlan", 8472], ["udp", 8285]] as const) {
    const args = await sqliteArgs(net, { ...CONFIG, Backend: { Type: type } });
    const rival = host.start("rival", ["socat", "-u", `UDP4-RECVFROM:${port}`, "OPEN:/dev/null"]);
    await poll(
      "the rival listens",
      5_000,
      async () => (await host.run(["ss", "-Hlun", `sport = :${port}`])).trim() !== "",
    );
    assertMatch(await refusal(host, args), /"socat" \(pid \d+\) has it/);
    rival.signal("SIGTERM");
    await rival.ended();
  }
}

/** The same daemon with another subnet file has another name, and goes on in its own place. */
async function anotherFile(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const args = [...await sqliteArgs(net), "-ip-masq"];
  const first = await launchReady(h1, args);
  await launchReady(h2, args);
  const traffic = await SteadyTraffic.start(net, h1, h2);
  const [subnet, link] = [(await subnetEnv(h1)).FLANNEL_SUBNET, await linkOf(h1, "flannel.1")];
  await first.stop();

  const file = "/run/other/net.env";
  const second = await launchReady(h1, [...args, `-subnet-file=${file}`]);
  assertMatch(
    second.text,
    /"flannel\.1" is of the daemon "default", which does not run: taking over .*-instance=default/,
  );
  await second.line(/taken over from "default"/);
  assertEquals((await subnetEnv(h1, file)).FLANNEL_SUBNET, subnet);
  const now = await linkOf(h1, "flannel.1");
  assertEquals([now.ifindex, now.address], [link.ifindex, link.address]);
  assertMatch(await h1.run(["ip", "link", "show", "flannel.1"]), /alias denim:net$/m);
  const rules = await h1.sh("iptables-save");
  assertEquals(/^:FLANNEL-(POSTRTG|FWD) |-j FLANNEL-(POSTRTG|FWD)$/m.test(rules), false, rules);
  assertMatch(rules, /-j FLANNEL-POSTRTG-net$/m);

  const said = await refusal(h1, args);
  assertMatch(said, /in the way \(.*of the daemon "net" of this make\); choose another VNI .*-instance=net/);
  assert(second.running);
  await traffic.stopWhole("another subnet file");
}

scenariosTogether("fault: strangers in our place, and the daemon's own former name", [
  [{ hosts: 1 }, inOurPlace],
  [{ hosts: 1 }, portTaken],
  [{ hosts: 2 }, anotherFile],
]);
