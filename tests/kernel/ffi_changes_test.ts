/**
 * What a monitor hands over: every change as the record it is about, in order, our own too, and nothing of what happened before
 * the question is missing from the answer. And what the kernel does not tell, which those have to know who go by it.
 */
import { assert, assertEquals } from "@std/assert";
import type { Netlink, NetlinkChange, NetlinkMonitor } from "../../ffi/records.ts";
import {
  type Bench,
  benchTest,
  fdb,
  indexOf,
  makeVxlan,
  neighbour,
  route,
  sh,
  vxlanLink,
} from "../support/ffi.ts";
import { run } from "../support/process.ts";

/** A monitor until the end of its block. */
class Watch implements Disposable {
  readonly #stop = new AbortController();
  readonly monitor: NetlinkMonitor;

  constructor(netlink: Netlink) {
    this.monitor = netlink.monitor(this.#stop.signal);
  }

  /** The changes of one kind, in short; the rest is passed over. */
  take<K extends NetlinkChange["kind"]>(kind: K): string[] {
    const { changes, lost } = this.monitor.take();
    assert(!lost);
    return changes.filter((change) => change.kind === kind).map(print);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

function print(change: NetlinkChange): string {
  if (change.kind === "address") return `address of ${change.index}`;
  if (change.kind === "link") {
    return `link ${change.index} ${change.gone ? "gone" : change.up ? "up" : "down"}`;
  }
  const { gone, replaces, own } = change;
  const words = [gone ? "gone" : replaces ? "instead" : "there"];
  if (own) words.unshift("own");
  return `${words.join(" ")}: ${printRecord(change)}`;
}

function printRecord(change: Extract<NetlinkChange, { record: unknown }>): string {
  if (change.kind === "nexthop") return `${change.record.id} via ${change.record.gateway}`;
  if (change.kind === "neighbour") {
    const { table, address, mac, state } = change.record;
    return `${table} ${address} ${mac} ${state.toString(16)}`;
  }
  const { destination, gateway, nexthop } = change.record;
  return `${destination} via ${gateway}${nexthop === 0 ? "" : ` nhid ${nexthop}`}`;
}

/** A vxlan device without IPv6, which would tell of every step of its own; its index. */
async function quietVxlan(bench: Bench): Promise<number> {
  const index = await makeVxlan(bench);
  await sh("echo 1 > /proc/sys/net/ipv6/conf/dnmx/disable_ipv6");
  return index;
}

benchTest("routes of another process: made, replaced, deleted, in both families", async ({ netlink }) => {
  using watch = new Watch(netlink);
  await sh(`
    ip route add 10.99.0.0/16 via 10.77.0.2
    ip route replace 10.99.0.0/16 via 10.77.0.3
    ip route del 10.99.0.0/16
    ip -6 route add fd99::/64 via fd77::2
    ip -6 route replace fd99::/64 via fd77::3
    ip -6 route del fd99::/64`);
  assertEquals(watch.take("route"), [
    "there: 10.99.0.0/16 via 10.77.0.2",
    "instead: 10.99.0.0/16 via 10.77.0.3",
    "gone: 10.99.0.0/16 via 10.77.0.3",
    "there: fd99::/64 via fd77::2",
    "instead: fd99::/64 via fd77::3",
    "gone: fd99::/64 via fd77::3",
  ]);
  assertEquals(watch.take("route"), []);
});

benchTest("a change is the record that a read finds", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  using watch = new Watch(netlink);
  const made = {
    route: route(index, "10.99.1.0/24"),
    nexthop: { id: 5, gateway: "10.99.1.0", index, onlink: true, protocol: 85, special: null },
    neighbour: neighbour(index, "10.99.1.0"),
  };
  await netlink.applyRoutes([{ verb: "create", record: made.route }]);
  await netlink.applyNexthops([{ verb: "create", record: made.nexthop }]);
  await netlink.applyNeighbours([{ verb: "create", record: made.neighbour }]);
  const common = { gone: false, replaces: false, own: true };
  const { changes } = watch.monitor.take();
  assertEquals(changes.filter(({ kind }) => kind in made), [
    { kind: "route", ...common, record: made.route },
    { kind: "nexthop", ...common, record: made.nexthop },
    { kind: "neighbour", ...common, record: made.neighbour },
  ]);
});

benchTest("our own routes and nexthop objects are told as ours", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  using watch = new Watch(netlink);
  const record = route(index, "10.99.1.0/24");
  const moved = { ...record, gateway: "10.99.1.9" };
  await netlink.applyRoutes([{ verb: "create", record }, { verb: "replace", record: moved }]);
  // Nothing changes, nothing is told.
  await netlink.applyRoutes([{ verb: "replace", record: moved }, { verb: "create", record }]);
  await netlink.applyRoutes([{ verb: "delete", record: moved }]);
  assertEquals(watch.take("route"), [
    "own there: 10.99.1.0/24 via 10.99.1.0",
    "own instead: 10.99.1.0/24 via 10.99.1.9",
    "own gone: 10.99.1.0/24 via 10.99.1.9",
  ]);
  const hop = { id: 5, gateway: "10.99.1.0", index, onlink: true, protocol: 85, special: null };
  await netlink.applyNexthops([{ verb: "create", record: hop }]);
  await netlink.applyNexthops([{ verb: "replace", record: { ...hop, gateway: "10.99.1.9" } }]);
  await sh("ip nexthop del id 5");
  assertEquals(watch.take("nexthop"), [
    "own there: 5 via 10.99.1.0",
    "own instead: 5 via 10.99.1.9",
    "gone: 5 via 10.99.1.9",
  ]);
});

benchTest("neighbours: as ours unless deleted; one that goes is told as failed first", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  using watch = new Watch(netlink);
  const record = neighbour(index, "10.99.1.0");
  const moved = { ...record, mac: "02:00:00:00:00:03" };
  await netlink.applyNeighbours([{ verb: "create", record }, { verb: "replace", record: moved }]);
  await netlink.applyNeighbours([{ verb: "delete", record }]);
  await sh("ip neigh add 10.88.0.9 lladdr 02:00:00:00:00:09 dev dnmx nud permanent");
  assertEquals(watch.take("neighbour"), [
    "own there: v4 10.99.1.0 02:00:00:00:00:02 80",
    "own there: v4 10.99.1.0 02:00:00:00:00:03 80",
    "own there: v4 10.99.1.0 null 20",
    "gone: v4 10.99.1.0 null 20",
    "there: v4 10.88.0.9 02:00:00:00:00:09 80",
  ]);
});

benchTest("forwarding entries: never as ours, a replaced one with nothing that says so", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  using watch = new Watch(netlink);
  const record = fdb(index, "02:00:00:00:00:02", "10.77.0.2");
  const moved = { ...record, address: "10.77.0.3" };
  await netlink.applyNeighbours([{ verb: "create", record }, { verb: "replace", record: moved }]);
  await netlink.applyNeighbours([{ verb: "replace", record: moved }, { verb: "delete", record: moved }]);
  await sh("bridge fdb add 02:00:00:00:00:09 dev dnmx dst 10.77.0.9 self permanent");
  assertEquals(watch.take("neighbour"), [
    "there: fdb 10.77.0.2 02:00:00:00:00:02 80",
    "there: fdb 10.77.0.3 02:00:00:00:00:02 80",
    "gone: fdb 10.77.0.3 02:00:00:00:00:02 80",
    "there: fdb 10.77.0.9 02:00:00:00:00:09 c0",
  ]);
});

benchTest("links go down, up and away; addresses come and go", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  using watch = new Watch(netlink);
  await sh("ip link set dnmx down");
  assertEquals(watch.take("link").at(-1), `link ${index} down`);
  await sh("ip link set dnmx up");
  assertEquals(watch.take("link").at(-1), `link ${index} up`);
  await sh("ip address add 10.88.9.9/32 dev dnmx; ip address del 10.88.9.9/32 dev dnmx");
  assertEquals(watch.take("address"), [`address of ${index}`, `address of ${index}`]);
  await sh("ip link del dnmx");
  assertEquals(watch.take("link").at(-1), `link ${index} gone`);
  await netlink.applyLinks([{ verb: "create", record: vxlanLink(bench.lower) }]);
  const again = `link ${await indexOf(netlink, "dnmx")} up`;
  assert(watch.take("link").includes(again));
});

benchTest("a port that leaves its bridge is not gone", async (bench) => {
  await sh("ip link add dnmb type bridge; ip link set dnm1 master dnmb");
  using watch = new Watch(bench.netlink);
  const port = await indexOf(bench.netlink, "dnm1");
  await sh("ip link set dnm1 nomaster");
  const told = watch.take("link").filter((text) => text.startsWith(`link ${port} `));
  assertEquals(new Set(told), new Set([`link ${port} up`]));
});

benchTest("a nexthop object that is replaced tells of its routes too", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  const hop = { id: 5, gateway: "10.99.1.0", index, onlink: true, protocol: 85, special: null };
  await netlink.applyNexthops([{ verb: "create", record: hop }]);
  await netlink.applyRoutes([{ verb: "create", record: { ...route(index, "10.99.1.0/24"), nexthop: 5 } }]);
  using watch = new Watch(netlink);
  await netlink.applyNexthops([{ verb: "replace", record: { ...hop, gateway: "10.99.1.9" } }]);
  assertEquals(watch.take("route"), ["own instead: 10.99.1.0/24 via 10.99.1.9 nhid 5"]);
});

benchTest(
  "not told: what goes with a link or a nexthop object, but for IPv6 routes over a link",
  async (bench) => {
    const { netlink } = bench;
    const index = await makeVxlan(bench);
    const hop = { id: 5, gateway: "10.99.1.0", index, onlink: true, protocol: 85, special: null };
    const make = async () => {
      await netlink.applyNexthops([{ verb: "create", record: hop }]);
      await netlink.applyRoutes([
        { verb: "create", record: route(index, "10.99.1.0/24") },
        { verb: "create", record: { ...route(index, "10.99.2.0/24"), nexthop: 5 } },
      ]);
      await sh("ip -6 route add fd99::/64 dev dnmx");
    };
    using watch = new Watch(netlink);
    await make();
    watch.monitor.take();
    await sh("ip nexthop del id 5");
    assertEquals(watch.take("route"), []);
    await sh("ip route del 10.99.1.0/24; ip -6 route del fd99::/64");
    await make();
    watch.monitor.take();
    await sh("ip link set dnmx down");
    const { changes } = watch.monitor.take();
    const told = changes.map(print);
    assert(told.includes(`link ${index} down`));
    assert(told.includes("gone: fd99::/64 via null"));
    assertEquals(told.filter((text) => text.includes("10.99.")), []);
    assertEquals(await netlink.nexthops(), []);
  },
);

benchTest(
  "taken right after an apply, nothing is missing, and the order is that of the changes",
  async (bench) => {
    const { netlink } = bench;
    const index = await quietVxlan(bench);
    using watch = new Watch(netlink);
    for (let i = 0; i < 300; i++) {
      const record = route(index, `10.99.${i & 255}.0/24`);
      for (const verb of ["create", "delete"] as const) {
        assertEquals(await netlink.applyRoutes([{ verb, record }]), [0]);
        const what = verb === "create" ? "there" : "gone";
        assertEquals(watch.take("route"), [`own ${what}: ${record.destination} via ${record.gateway}`]);
      }
    }
    const records = Array.from(
      { length: 3000 },
      (_, i) => route(index, `10.${100 + (i >> 8)}.${i & 255}.0/24`),
    );
    const expected: string[] = [];
    for (const verb of ["create", "delete"] as const) {
      await netlink.applyRoutes(records.map((record) => ({ verb, record })));
      const what = verb === "create" ? "there" : "gone";
      expected.push(...records.map((record) => `own ${what}: ${record.destination} via ${record.gateway}`));
    }
    assertEquals(watch.take("route"), expected);
  },
);

benchTest(
  "what another process did before the question is in the answer, and its kinds are told all the same",
  async (bench) => {
    const end = new AbortController();
    const monitor = bench.netlink.monitor(end.signal);
    const events = monitor[Symbol.asyncIterator]();
    for (let i = 0; i < 20; i++) {
      await sh(`ip route add 10.99.${i}.0/24 via 10.77.0.2`);
      const told = monitor.take().changes.filter(({ kind }) => kind === "route").map(print);
      assertEquals(told, [`there: 10.99.${i}.0/24 via 10.77.0.2`]);
      for (let kinds = await events.next(); !kinds.value.has("route");) kinds = await events.next();
    }
    end.abort();
    assertEquals((await events.next()).done, true);
  },
);

benchTest("more changes than are kept: lost is told once, and it goes on from there", async (bench) => {
  const { netlink } = bench;
  const index = await quietVxlan(bench);
  using watch = new Watch(netlink);
  const lines = Array.from(
    { length: 9000 },
    (_, i) => `route add 10.${100 + (i >> 8)}.${i & 255}.0/24 dev dnmx`,
  );
  await run(["ip", "-batch", "-"], { input: lines.join("\n") });
  const { changes, lost } = watch.monitor.take();
  assert(lost);
  assert(changes.length < 9000 - 8000);
  assertEquals(print(changes.at(-1)!), "there: 10.135.39.0/24 via null");
  assertEquals(watch.monitor.take(), { changes: [], lost: false });
  await netlink.applyRoutes([{ verb: "create", record: route(index, "10.99.1.0/24") }]);
  assertEquals(watch.take("route"), ["own there: 10.99.1.0/24 via 10.99.1.0"]);
});

benchTest(
  "of routes those count that are denim's, over a watched device or into a watched network",
  async (bench) => {
    const index = await quietVxlan(bench);
    using watch = new Watch(bench.netlink);
    const script = (n: number) => `
    ip nexthop add id 5${n} via 10.77.0.9 dev dnm0
    ip route add 10.9${n}.1.0/24 via 10.77.0.2
    ip route add 10.9${n}.2.0/24 via 10.77.0.2 proto 85
    ip route add 10.9${n}.3.0/24 dev dnmx
    ip route add 10.9${n}.4.0/24 nhid 5${n}
    ip route add 10.5${n}.5.0/24 via 10.77.0.2
    ip -6 route add fd9${n}:5::/64 via fd77::2
    ip -6 route add fd9${n}:6::/64 via fd77::2
    ip route add 10.5${n}.7.0/24 via 10.77.0.2 proto 85 table 77
    ip route add 10.5${n}.0.0/15 via 10.77.0.2`;
    const destinations = () =>
      watch.monitor.take().changes.flatMap((change) =>
        change.kind === "route" ? [change.record.destination] : []
      );
    const all = (n: number) => [
      ...[`10.9${n}.1.0/24`, `10.9${n}.2.0/24`, `10.9${n}.3.0/24`, `10.9${n}.4.0/24`, `10.5${n}.5.0/24`],
      ...[`fd9${n}:5::/64`, `fd9${n}:6::/64`, `10.5${n}.0.0/15`],
    ];
    await sh(script(0));
    assertEquals(destinations(), all(0));
    watch.monitor.watch([index], ["10.52.0.0/16", "fd92:5::/48"]);
    await sh(script(2));
    assertEquals(destinations(), [
      "10.92.2.0/24",
      "10.92.3.0/24",
      "10.92.4.0/24",
      "10.52.5.0/24",
      "fd92:5::/64",
    ]);
    watch.monitor.watch([index], Array.from({ length: 17 }, (_, i) => `10.200.${i}.0/24`));
    await sh(script(4));
    assertEquals(destinations(), all(4));
    watch.monitor.watch([], ["this is no prefix", "10.56.0.0/99", "10.56.0.0/x"]);
    await sh(script(6));
    assertEquals(destinations(), ["10.96.2.0/24", "10.96.4.0/24"]);
  },
);

benchTest("of neighbours and forwarding entries those on watched devices count", async (bench) => {
  const index = await quietVxlan(bench);
  using watch = new Watch(bench.netlink);
  const script = (n: number) => `
    ip neigh add 10.77.0.${n} lladdr 02:00:00:00:00:60 dev dnm0 nud permanent
    ip neigh add 10.88.0.${n} lladdr 02:00:00:00:00:60 dev dnmx nud permanent
    bridge fdb add 02:00:00:00:00:${n} dev dnmx dst 10.77.0.9 self permanent`;
  const here = (n: number) => [
    `there: v4 10.88.0.${n} 02:00:00:00:00:60 80`,
    `there: fdb 10.77.0.9 02:00:00:00:00:${n} c0`,
  ];
  const there = (n: number) => `there: v4 10.77.0.${n} 02:00:00:00:00:60 80`;
  const told = () => watch.take("neighbour").filter((text) => text.includes("02:00:00:00:00:"));
  await sh(script(60));
  assertEquals(told(), [there(60), ...here(60)]);
  watch.monitor.watch([index], []);
  await sh(script(61));
  assertEquals(told(), here(61));
  watch.monitor.watch(Array.from({ length: 65 }, (_, i) => 1000 + i), []);
  await sh(script(62));
  assertEquals(told(), [there(62), ...here(62)]);
});

benchTest("after its end a monitor has nothing, and takes no orders", async ({ netlink }) => {
  const watch = new Watch(netlink);
  await sh("ip route add 10.99.0.0/16 via 10.77.0.2");
  watch[Symbol.dispose]();
  assertEquals(watch.monitor.take(), { changes: [], lost: false });
  watch.monitor.watch([1], ["10.0.0.0/8"]);
});
