/**
 * Nexthop objects on the real kernel: what the library makes is what iproute2 shows, and the kernel's own rules that the drivers
 * and the loop rely on: what goes with what, what is replaced in place, what upstream's daemon leaves behind.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { NexthopRecord } from "../../ffi/records.ts";
import { nexthop, type Obj, type ObjectOf, viaNexthop } from "../../src/model/objects.ts";
import { nexthopIds } from "../../src/model/nexthop_id.ts";
import { benchTest, json, makeVxlan, route as routeRecord, sh } from "../support/ffi.ts";
import { base, driverTest, type Host, peer, throughTunnel } from "../support/kernel_host.ts";
import { poll, Process } from "../support/process.ts";

const [EEXIST, ENOENT, EINVAL] = [-17, -2, -22];
const ID = 0x40000001;

benchTest(
  "nexthops: created, read back, replaced and deleted, in both families, as iproute2 sees them",
  async (bench) => {
    const { netlink } = bench;
    const index = await makeVxlan(bench);
    const hop = (id: number, gateway: string): NexthopRecord => ({
      id,
      gateway,
      index,
      onlink: true,
      protocol: 85,
      special: null,
    });
    const wanted = [hop(ID, "10.88.1.0"), hop(0x7fffffff, "10.88.2.0"), hop(ID + 1, "fd88:1::")];
    const create = wanted.map((record) => ({ verb: "create" as const, record }));
    assertEquals(await netlink.applyNexthops(create), [0, 0, 0]);
    assertEquals(await netlink.applyNexthops(create), [EEXIST, EEXIST, EEXIST]);
    const byId = (a: NexthopRecord, b: NexthopRecord) => a.id - b.id;
    assertEquals((await netlink.nexthops()).sort(byId), wanted.toSorted(byId));
    assert(netlink.nexthopsSupported);
    const theirs = await json("ip", "-j", "nexthop");
    assertEquals(theirs.map(({ id, gateway, dev, protocol, flags }) => [id, gateway, dev, protocol, flags]), [
      [ID, "10.88.1.0", "dnmx", "85", ["onlink"]],
      [ID + 1, "fd88:1::", "dnmx", "85", ["onlink"]],
      [0x7fffffff, "10.88.2.0", "dnmx", "85", ["onlink"]],
    ]);
    const moved = { verb: "replace" as const, record: hop(ID, "10.88.3.0") };
    const gone = wanted.slice(1).map((record) => ({ verb: "delete" as const, record }));
    assertEquals(await netlink.applyNexthops([moved, ...gone, ...gone]), [0, 0, 0, ENOENT, ENOENT]);
    assertEquals(await netlink.nexthops(), [moved.record]);
  },
);

benchTest("nexthops: what is not one gateway on one device says so, and can't be made", async (bench) => {
  const { netlink, lower } = bench;
  await sh(`
    ip nexthop add id 1 via 10.77.0.2 dev dnm0
    ip nexthop add id 2 blackhole
    ip nexthop add id 3 group 1
    ip nexthop add id 4 via 10.77.0.9 fdb`);
  const plain = { gateway: "10.77.0.2", index: lower, onlink: false, protocol: 3, special: null };
  const found = await netlink.nexthops();
  assertEquals(found.find(({ id }) => id === 1), { id: 1, ...plain, protocol: found[0]!.protocol });
  assertEquals(found.map(({ id, special }) => [id, special]), [
    [1, null],
    [2, "blackhole"],
    [3, "group"],
    [4, "fdb"],
  ]);
  const made = found.slice(1).map((record) => ({
    verb: "create" as const,
    record: { ...record, id: record.id + 10 },
  }));
  assertEquals(await netlink.applyNexthops(made), [EINVAL, EINVAL, EINVAL]);
  const gone = found.toReversed().map((record) => ({ verb: "delete" as const, record }));
  assertEquals(await netlink.applyNexthops(gone), [0, 0, 0, 0]);
});

benchTest("nexthops: a route by way of one is made, replaced and deleted by its id alone", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const record = { id: ID, gateway: "10.99.1.0", index, onlink: true, protocol: 85, special: null };
  const plain = routeRecord(index, "10.99.1.0/24");
  const through = { ...plain, nexthop: ID };
  assertEquals(await netlink.applyRoutes([{ verb: "create", record: through }]), [EINVAL], "no such nexthop");
  assertEquals(await netlink.applyNexthops([{ verb: "create", record }]), [0]);
  const own = async () => (await netlink.routes(254)).filter(({ protocol }) => protocol === 85);
  assertEquals(await netlink.applyRoutes([{ verb: "create", record: through }]), [0]);
  assertEquals(await own(), [through]);
  assertEquals(await netlink.applyRoutes([{ verb: "create", record: plain }]), [EEXIST]);
  assertEquals(await netlink.applyRoutes([{ verb: "replace", record: plain }]), [0]);
  assertEquals(await own(), [plain]);
  assertEquals(await netlink.applyRoutes([{ verb: "replace", record: through }]), [0]);
  assertEquals(await own(), [through]);
  assertEquals(await netlink.applyRoutes([{ verb: "delete", record: through }]), [0]);
  assertEquals(await own(), []);
});

const idOf = ({ fields }: ObjectOf<"route">) =>
  nexthopIds("default", "flannel.1", String(fields.gateway))[0]!;
/** What a peer needs, its route by way of a nexthop object. */
function peerThrough(n: number): Obj[] {
  const [near, fdb, way] = peer(n);
  assert(way?.kind === "route");
  const id = idOf(way);
  const hop = nexthop(id, { gateway: String(way.fields.gateway), device: "flannel.1", onlink: true });
  return [near!, fdb!, hop, viaNexthop(way, id)];
}
function idOfPeer(n: number): number {
  const way = throughTunnel(`10.5.${n}.0/24`);
  assert(way.kind === "route");
  return idOf(way);
}
const routesIn = async ({ place }: Host) =>
  (await place.run(["ip", "-4", "route", "show", "root", "10.5.0.0/16"])).trimEnd();
const nexthopsIn = async ({ place }: Host) => (await place.run(["ip", "nexthop"])).trimEnd();

driverTest(
  "a route by way of a nexthop object: made, read back, shown, and gone again, its object after it",
  async (host) => {
    const made = await host.settle([...base, ...peerThrough(1)]);
    assertEquals(made.slice(-2), [`create nexthop ${idOfPeer(1)}`, "create route 10.5.1.0/24"]);
    assertMatch(
      await nexthopsIn(host),
      new RegExp(`^id ${idOfPeer(1)} via 10.5.1.0 dev flannel.1 .*proto 85 onlink`),
    );
    assertStringIncludes(
      await routesIn(host),
      `10.5.1.0/24 nhid ${idOfPeer(1)} via 10.5.1.0 dev flannel.1 proto 85 onlink`,
    );
    const print = (kind: "nexthop" | "route", object: Obj) => host.kernel.rules.get(kind)!.print(object);
    const [, , hop, way] = peerThrough(1);
    assertEquals(print("nexthop", hop!), `id ${idOfPeer(1)} via 10.5.1.0 dev flannel.1 onlink proto 85`);
    assertEquals(print("route", way!), `10.5.1.0/24 nhid ${idOfPeer(1)} dev flannel.1 proto 85`);
    assertStringIncludes(
      await host.place.run(["ip", "route", "get", "10.5.1.9"]),
      "10.5.1.9 via 10.5.1.0 dev flannel.1",
    );
    const gone = await host.settle(base);
    assertEquals(gone.slice(0, 2), ["delete route 10.5.1.0/24", `delete nexthop ${idOfPeer(1)}`]);
    assertEquals([await nexthopsIn(host), await routesIn(host)], ["", ""]);
  },
);

driverTest("there and back again a route is replaced in place: no moment without one", async (host) => {
  await host.settle([...base, ...peer(1)]);
  await using watch = new Process("watch", [
    "nsenter",
    `--net=/proc/${host.place.pid}/ns/net`,
    "ip",
    "-o",
    "monitor",
    "route",
  ]);
  await poll("the monitor listens", 10_000, async () => {
    // A route that is there already is not announced again.
    await host.place.sh("ip route add blackhole 203.0.113.1; ip route del blackhole 203.0.113.1");
    return watch.lines.some((line) => line.includes("203.0.113.1"));
  });
  for (let i = 0; i < 5; i++) {
    assertEquals(await host.settle([...base, ...peerThrough(1)]), [
      `create nexthop ${idOfPeer(1)}`,
      "modify route 10.5.1.0/24",
    ]);
    assertEquals(await host.settle([...base, ...peer(1)]), [
      "modify route 10.5.1.0/24",
      `delete nexthop ${idOfPeer(1)}`,
    ]);
  }
  await host.place.run(["ip", "route", "add", "blackhole", "203.0.113.2"]);
  await watch.line(/203\.0\.113\.2/);
  const told = watch.lines.filter((line) => line.includes("10.5.1.0/24"));
  assertEquals([told.length, told.filter((line) => line.startsWith("Deleted"))], [10, []]);
});

driverTest(
  "upstream's replace takes the place of the route and leaves the object, which is pruned",
  async (host) => {
    await host.settle([...base, ...peerThrough(1), ...peerThrough(2)]);
    await host.place.run([
      "ip",
      "route",
      "replace",
      "10.5.1.0/24",
      "via",
      "10.5.1.0",
      "dev",
      "flannel.1",
      "onlink",
    ]);
    assertStringIncludes(await routesIn(host), "10.5.1.0/24 via 10.5.1.0 dev flannel.1 onlink");
    assertEquals((await routesIn(host)).split("\n").length, 2);
    assertEquals((await host.find("route", "10.5.1.0/24"))?.standing, "adoptable");
    assertEquals(await host.settle([...base, ...peerThrough(1), ...peerThrough(2)]), [
      "modify route 10.5.1.0/24",
    ]);
    await host.place.run([
      "ip",
      "route",
      "replace",
      "10.5.1.0/24",
      "via",
      "10.5.1.0",
      "dev",
      "flannel.1",
      "onlink",
    ]);
    const done = await host.settle([...base, ...peer(1), ...peerThrough(2)]);
    assertEquals(done, ["modify route 10.5.1.0/24", `delete nexthop ${idOfPeer(1)}`]);
  },
);

driverTest(
  "with a nexthop object its routes go, with a device that goes down both: put back in one round",
  async (host) => {
    const wanted = [...base, ...peerThrough(1), ...peerThrough(2)];
    const routes = ["create route 10.5.1.0/24", "create route 10.5.2.0/24"];
    const hops = [`create nexthop ${idOfPeer(1)}`, `create nexthop ${idOfPeer(2)}`];
    await host.settle(wanted);
    await host.place.run(["ip", "nexthop", "del", "id", String(idOfPeer(1))]);
    assertEquals((await routesIn(host)).includes("10.5.1.0/24"), false);
    assertEquals(await host.settle(wanted), [hops[0], routes[0]]);
    await host.place.run(["ip", "link", "set", "flannel.1", "down"]);
    await host.place.run(["ip", "link", "set", "flannel.1", "up"]);
    assertEquals([await nexthopsIn(host), await routesIn(host)], ["", ""]);
    assertEquals((await host.settle(wanted)).filter((line) => !line.includes("neighbour")), [
      ...hops,
      ...routes,
    ]);
    // What the kernel repeats of the object, iproute2 gives back to it when it flushes, and is refused.
    await host.place.sh(`
    ! ip route flush root 10.5.0.0/16
    sysctl -qw net.ipv4.nexthop_compat_mode=0
    ip route flush root 10.5.0.0/16
    sysctl -qw net.ipv4.nexthop_compat_mode=1`);
    assertEquals((await nexthopsIn(host)).split("\n").length, 2);
    assertEquals(await host.settle(wanted), routes);
    await host.place.run(["ip", "link", "set", "eth0", "down"]);
    await host.place.run(["ip", "link", "set", "eth0", "up"]);
    assertEquals(await host.settle(wanted), []);
  },
);

driverTest(
  "where the kernel does not repeat what the object says, the route is as wanted all the same",
  async (host) => {
    const wanted = [...base, ...peerThrough(1)];
    await host.settle(wanted);
    await host.place.run(["sysctl", "-qw", "net.ipv4.nexthop_compat_mode=0"]);
    assertEquals(await routesIn(host), `10.5.1.0/24 nhid ${idOfPeer(1)} proto 85`);
    assertEquals(await host.settle(wanted), []);
    assertEquals((await host.find("route", "10.5.1.0/24"))?.on, "flannel.1");
    assertEquals(await host.settle([...base, ...peer(1)]), [
      "modify route 10.5.1.0/24",
      `delete nexthop ${idOfPeer(1)}`,
    ]);
  },
);

driverTest(
  "a changed object is mended in place; another's object of our range is foreign and stays",
  async (host) => {
    const wanted = [...base, ...peerThrough(1)];
    await host.settle(wanted);
    await host.place.sh(`
    ip nexthop replace id ${idOfPeer(1)} via 10.5.9.0 dev flannel.1 onlink proto 85
    ip nexthop add id ${ID} via 192.168.77.9 dev eth0
    ip nexthop add id ${ID + 1} via 10.5.3.0 fdb proto 85
    ip nexthop add id 7 via 192.168.77.9 dev eth0`);
    assertEquals((await host.find("nexthop", String(ID)))?.standing, "foreign");
    const special = await host.find("nexthop", String(ID + 1));
    assert(special?.kind === "nexthop");
    assertEquals([special.standing, special.fields.type], ["foreign", "fdb"]);
    assertEquals(await host.find("nexthop", "7"), undefined);
    assertEquals(await host.settle(wanted), [`modify nexthop ${idOfPeer(1)}`]);
    assertStringIncludes(await host.place.run(["ip", "route", "get", "10.5.1.9"]), "via 10.5.1.0");
    await host.settle(base);
    assertEquals(
      (await nexthopsIn(host)).split("\n").map((line) => line.split(" ")[1]),
      ["7", ID, ID + 1].map(String),
    );
  },
);

driverTest(
  "packets take the way of an onlink object over a VXLAN device to the peer's VTEP",
  async (host) => {
    await host.settle([...base, ...peerThrough(1)]);
    const sent = async () => {
      const [link] = await host.place.json<{ stats64: { tx: { packets: number; errors: number } } }[]>(
        ...["ip", "-j", "-s", "link", "show", "dev", "flannel.1"],
      );
      return link!.stats64.tx;
    };
    await host.place.run([
      "ip",
      "neigh",
      "replace",
      "192.168.77.101",
      "lladdr",
      "02:00:00:00:00:99",
      "dev",
      "eth0",
    ]);
    const before = await sent();
    await host.place.output(["ping", "-c", "3", "-i", "0.05", "-W", "0.2", "10.5.1.7"]);
    const after = await sent();
    assertEquals([after.packets - before.packets >= 3, after.errors - before.errors], [true, 0]);
  },
);
