/**
 * The drivers against the real kernel, where others have been at work: upstream, an administrator, a second daemon. The host is
 * drawn in `kernel_host.ts`.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Owner } from "../../src/model/owner.ts";
import { route } from "../../src/model/objects.ts";
import {
  base,
  base6,
  driverTest,
  ip,
  owner,
  peer,
  peerMac,
  prefix,
  throughTunnel,
} from "../support/kernel_host.ts";

driverTest("what upstream left is adopted in place and gets our marks", async (host) => {
  await host.place.sh(`
    ip link add flannel.1 address 02:00:00:00:00:01 mtu 1450 type vxlan id 1 dev eth0 local 192.168.77.1 dstport 8472 nolearning
    ip addr add 10.5.72.0/32 dev flannel.1
    ip link set flannel.1 up
    ip neigh replace 10.5.1.0 dev flannel.1 lladdr ${peerMac(1)} nud permanent
    bridge fdb replace ${peerMac(1)} dev flannel.1 dst 192.168.77.101 self permanent
    ip route replace 10.5.1.0/24 via 10.5.1.0 dev flannel.1 onlink
    ip route add 10.5.3.0/24 via 192.168.77.103`);
  const standings = (await host.read()).map(({ kind, key, standing }) => `${standing} ${kind} ${key}`);
  assertEquals(standings.sort(), [
    "adoptable fdb flannel.1 02:00:00:00:01:01",
    "adoptable link flannel.1",
    "adoptable neighbour flannel.1 10.5.1.0",
    "adoptable route 10.5.1.0/24",
    "lookalike route 10.5.3.0/24",
    "ours address flannel.1 10.5.72.0",
    "ours sysctl net/ipv6/conf/flannel.1/accept_ra",
  ]);
  const index = await host.index("flannel.1");
  const direct = route({
    destination: prefix("10.5.3.0/24"),
    gateway: ip("192.168.77.103"),
    device: "eth0",
    onlink: false,
  });
  assertEquals(await host.settle([...base, ...peer(1), direct]), [
    "modify link flannel.1",
    "modify sysctl net/ipv6/conf/flannel.1/accept_ra",
    "modify neighbour flannel.1 10.5.1.0",
    "modify route 10.5.1.0/24",
    "modify route 10.5.3.0/24",
  ]);
  assertEquals(await host.index("flannel.1"), index);
  assertEquals((await host.read()).filter((o) => o.standing !== "ours"), []);
});

driverTest("an administrator's route in the way stays", async (host) => {
  await host.settle(base);
  await host.place.sh(`
    ip route add 10.5.1.0/24 via 192.168.77.99 proto static
    ip -6 route add fd00:5:0:1::/64 via fd77::99 proto static`);
  assertEquals((await host.find("route", "10.5.1.0/24"))?.standing, "foreign");
  assertEquals((await host.find("route", "fd00:5:0:1::/64"))?.standing, "foreign");
  const wanted = throughTunnel("10.5.1.0/24");
  const { operations, blocked } = await host.plan([...base, wanted]);
  assertEquals([operations, blocked.map(({ object }) => object)], [[], [wanted]]);
  assertStringIncludes(
    await host.error({ verb: "create", object: wanted }) ?? "",
    "add route 10.5.1.0/24 via 10.5.1.0 dev flannel.1 onlink proto 85: something is there already (EEXIST)",
  );
  assertStringIncludes(
    await host.place.run(["ip", "route"]),
    "10.5.1.0/24 via 192.168.77.99 dev eth0 proto static",
  );
});

driverTest(
  "an administrator's neighbours and FDB entries on our device stay, learned ones give way",
  async (host) => {
    await host.settle(base);
    await host.place.sh(`
    ip neigh add 10.5.1.0 dev flannel.1 lladdr 02:00:00:00:09:09 nud permanent proto 99
    ip neigh add 10.5.2.0 dev flannel.1 lladdr 02:00:00:00:09:09 nud stale
    bridge fdb add ${peerMac(2)} dev flannel.1 dst 192.168.77.66 self dynamic
    bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 192.168.77.66 self permanent`);
    assertEquals((await host.find("neighbour", "flannel.1 10.5.1.0"))?.standing, "foreign");
    assertEquals(await host.find("neighbour", "flannel.1 10.5.2.0"), undefined);
    assertEquals((await host.find("fdb", "flannel.1 00:00:00:00:00:00"))?.standing, "foreign");
    assertMatch(
      await host.error({ verb: "create", object: peer(1)[0]! }) ?? "",
      /^add neighbour 10\.5\.1\.0 .*EEXIST/,
    );
    await host.settle([...base, ...peer(2)]);
    const fdb = await host.place.run(["bridge", "fdb", "show", "dev", "flannel.1"]);
    assertStringIncludes(fdb, "00:00:00:00:00:00 dst 192.168.77.66");
  },
);

driverTest("the entries of a bridge that our device is a port of are another table", async (host) => {
  await host.settle([...base, ...peer(1)]);
  await host.place.sh("ip link add br0 type bridge; ip link set flannel.1 master br0");
  assertStringIncludes(await host.place.run(["bridge", "fdb", "show", "dev", "flannel.1"]), "master br0");
  const entries = (await host.read()).filter(({ kind }) => kind === "fdb");
  assertEquals(entries.map(({ key, standing }) => `${standing} ${key}`), [`ours flannel.1 ${peerMac(1)}`]);
});

driverTest("addresses of others on our device are not seen; a wrong length is put right", async (host) => {
  await host.settle(base);
  await host.place.sh(`
    ip addr add 172.16.9.9/32 dev flannel.1
    ip addr add 10.5.60.0/32 dev flannel.1
    ip addr add 10.5.72.0/16 dev flannel.1`);
  assertEquals((await host.settle(base)).sort(), [
    "delete address flannel.1 10.5.60.0",
    "delete address flannel.1 10.5.72.0/16",
  ]);
  assertStringIncludes(await host.place.run(["ip", "addr", "show", "flannel.1"]), "172.16.9.9/32");
  await host.place.sh("ip addr del 10.5.72.0/32 dev flannel.1; ip addr add 10.5.72.0/16 dev flannel.1");
  assertEquals(await host.settle(base), ["recreate address flannel.1 10.5.72.0"]);
  await host.place.sh(`
    ip addr del 10.5.72.0/32 dev flannel.1
    ip addr add 10.5.72.0/16 dev flannel.1
    ip addr add 10.5.72.0/32 dev flannel.1`);
  assertEquals(await host.settle(base), ["delete address flannel.1 10.5.72.0/16"]);
  await host.settle([...base, ...base6]);
  await host.place.sh(
    "ip addr del fd00:5:0:72::/128 dev flannel-v6.1; ip addr add fd00:5:0:72::/64 dev flannel-v6.1 nodad",
  );
  assertEquals(await host.settle([...base, ...base6]), ["recreate address flannel-v6.1 fd00:5:0:72::"]);
});

driverTest("a second daemon's objects are not ours", async (host) => {
  await host.settle([...base, ...peer(1)]);
  const second: Owner = {
    instance: "second",
    devices: ["flannel.1"],
    networks: [prefix("10.6.0.0/16")],
    subnets: [],
    layout: "chains",
    vnis: new Map([["flannel.1", 1]]),
  };
  const seen = await host.read(second);
  assertEquals(seen.map(({ kind, key, standing }) => `${standing} ${kind} ${key}`), [
    "foreign link flannel.1",
  ]);
  const elsewhere: Owner = { ...second, devices: ["flannel.2"], vnis: new Map([["flannel.2", 2]]) };
  assertEquals((await host.read(elsewhere)).map(({ kind }) => kind), ["sysctl"]);
});

driverTest("a device of ours under a name that is no longer wanted is found by its alias", async (host) => {
  await host.settle([...base, ...peer(1)]);
  const renamed: Owner = { ...owner, devices: ["flannel.9"], vnis: new Map([["flannel.9", 9]]) };
  const seen = await host.read(renamed);
  assertEquals(seen.map(({ kind, key }) => `${kind} ${key}`), [
    "link flannel.1",
    "sysctl net/ipv6/conf/flannel.1/accept_ra",
    "route 10.5.1.0/24",
  ]);
});

driverTest("a device of another type under our name is foreign and stays", async (host) => {
  await host.place.run(["ip", "link", "add", "flannel.1", "type", "bridge"]);
  const { operations, blocked } = await host.plan([...base, ...peer(1)]);
  assertEquals(operations, []);
  assertEquals(blocked.length, base.length + 3);
});
