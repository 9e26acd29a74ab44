/** Addresses, routes, neighbours and FDB entries through the library, compared with what iproute2 says of them. */
import { assert, assertEquals } from "@std/assert";
import type { Change, NeighbourRecord, RouteRecord } from "../../ffi/records.ts";
import { type Bench, benchTest, fdb, json, makeVxlan, neighbour, route, sh } from "../support/ffi.ts";

const ENOENT = -2;
const ESRCH = -3;
const EEXIST = -17;
const EINVAL = -22;
const ENETUNREACH = -101;

function create<R>(...records: R[]): Change<R>[] {
  return records.map((record) => ({ verb: "create", record }));
}

async function routesOf({ netlink }: Bench, index: number): Promise<RouteRecord[]> {
  const all = await netlink.routes(254);
  return all.filter((route) => route.index === index && route.protocol !== 2);
}

benchTest("addresses: both families, flags, scope; the same as iproute2 sees", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const IFA_F_NODAD = 0x02;
  const IFA_F_NOPREFIXROUTE = 0x200;
  const wanted = [
    { index, address: "10.88.1.1", length: 24, scope: 0, flags: IFA_F_NOPREFIXROUTE },
    { index, address: "10.88.2.1", length: 32, scope: 253, flags: 0 },
    { index, address: "fd88::1", length: 64, scope: 0, flags: IFA_F_NODAD },
  ];
  assertEquals(await netlink.applyAddresses(create(...wanted)), [0, 0, 0]);
  assertEquals(await netlink.applyAddresses(create(...wanted)), [EEXIST, EEXIST, EEXIST]);
  const [link] = await json("ip", "-j", "address", "show", "dev", "dnmx");
  const scopes: Record<string, number> = { global: 0, link: 253, host: 254 };
  const theirs = link.addr_info.map((a: { local: string; prefixlen: number; scope: string }) =>
    `${a.local}/${a.prefixlen} ${scopes[a.scope]}`
  );
  const ours = (await netlink.addresses()).filter((address) => address.index === index);
  assertEquals(ours.map((a) => `${a.address}/${a.length} ${a.scope}`).sort(), theirs.sort());
  for (const { address, flags } of wanted) {
    assertEquals((ours.find((a) => a.address === address)?.flags ?? 0) & flags, flags, address);
  }
});

benchTest(
  "addresses: replace is repeatable, delete tells what is gone, a read record can be applied again",
  async (bench) => {
    const { netlink } = bench;
    const index = await makeVxlan(bench);
    const record = { index, address: "10.88.1.1", length: 24, scope: 0, flags: 0 };
    const replace = [{ verb: "replace" as const, record }, { verb: "replace" as const, record }];
    assertEquals(await netlink.applyAddresses(replace), [0, 0]);
    const read = (await netlink.addresses()).find((a) => a.address === "10.88.1.1");
    assert(read);
    const again = ["delete", "create", "delete", "delete"].map((verb) => ({
      verb: verb as "create",
      record: read,
    }));
    const EADDRNOTAVAIL = -99;
    assertEquals(await netlink.applyAddresses(again), [0, 0, 0, EADDRNOTAVAIL]);
  },
);

benchTest("routes: what was asked for is what is there, in both families", async (bench) => {
  const { netlink, lower } = bench;
  const index = await makeVxlan(bench);
  const wanted = [
    route(index, "10.99.1.0/24"),
    route(index, "10.99.2.0/24", { source: "10.88.0.0", metric: 7, protocol: 3 }),
    route(index, "10.99.3.0/24", { gateway: null, onlink: false, scope: 253, tos: 8 }),
    route(lower, "10.99.4.0/24", { gateway: "10.77.0.2", onlink: false }),
    route(lower, "10.99.5.0/24", { gateway: "fd77::2", onlink: false }),
    route(index, "fd99:1::/64", { metric: 5 }),
    route(lower, "fd99:2::/64", { gateway: "fd77::2", onlink: false, metric: 1024 }),
  ];
  assertEquals(await netlink.applyRoutes(create(...wanted)), wanted.map(() => 0));
  const there = [...await routesOf(bench, index), ...await routesOf(bench, lower)];
  const byDestination = (a: RouteRecord, b: RouteRecord) => a.destination < b.destination ? -1 : 1;
  assertEquals(there.sort(byDestination), wanted.sort(byDestination));
});

benchTest("routes: the same as iproute2 sees", async (bench) => {
  const { netlink, lower } = bench;
  await sh(`
    ip route add 10.99.0.0/16 proto 85 nexthop via 10.77.0.2 dev dnm0 nexthop via 10.77.0.3 dev dnm0 weight 3
    ip route add blackhole 10.98.0.0/16 metric 9
    ip route add default via 10.77.0.254 dev dnm0 src 10.77.0.1
    ip route add 10.97.0.0/16 via 10.77.0.4 dev dnm0 table 999
    ip nexthop add id 41 via 10.77.0.5 dev dnm0
    ip route add 10.96.0.0/16 nhid 41
    ip -6 route add fd99::/48 proto 85 nexthop via fd77::2 dev dnm0 nexthop via fd77::3 dev dnm0
  `);
  const main = await netlink.routes(254);
  const find = (destination: string) => main.find((route) => route.destination === destination);
  assertEquals(find("10.99.0.0/16")?.paths, 2);
  assertEquals([find("10.98.0.0/16")?.type, find("10.98.0.0/16")?.metric], [6, 9]);
  assertEquals([find("0.0.0.0/0")?.gateway, find("0.0.0.0/0")?.source], ["10.77.0.254", "10.77.0.1"]);
  assertEquals([find("10.96.0.0/16")?.nexthop, find("10.96.0.0/16")?.gateway], [41, "10.77.0.5"]);
  assertEquals(find("fd99::/48")?.paths, 2);
  const theirs = [...await json("ip", "-j", "-4", "route"), ...await json("ip", "-j", "-6", "route")];
  assertEquals(main.length, theirs.length);
  const other = await netlink.routes(999);
  assertEquals(other.map((route) => [route.destination, route.table, route.index]), [[
    "10.97.0.0/16",
    999,
    lower,
  ]]);
  assertEquals(await netlink.routes(31337), []);
  await sh("ip route flush table 999; ip nexthop flush; ip route del blackhole 10.98.0.0/16");
});

benchTest("routes: create keeps what is there, replace takes its place, delete is exact", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const ours = route(index, "10.99.1.0/24");
  const theirs = { ...ours, protocol: 4 };
  assertEquals(await netlink.applyRoutes(create(theirs, ours)), [0, EEXIST]);
  assertEquals(await routesOf(bench, index), [theirs]);
  assertEquals(await netlink.applyRoutes([{ verb: "delete", record: ours }]), [ESRCH]);
  assertEquals(await netlink.applyRoutes([{ verb: "replace", record: ours }]), [0]);
  assertEquals(await routesOf(bench, index), [ours]);
  const gone = [ours, ours].map((record) => ({ verb: "delete" as const, record }));
  assertEquals(await netlink.applyRoutes(gone), [0, ESRCH]);
  const any = { ...theirs, protocol: 0 };
  assertEquals(await netlink.applyRoutes([...create(theirs), { verb: "delete", record: any }]), [0, 0]);
});

benchTest("routes: a blackhole can be made, a multipath route only deleted", async (bench) => {
  const { netlink } = bench;
  const blackhole = route(0, "10.99.0.0/16", { gateway: null, onlink: false, type: 6 });
  assertEquals(await netlink.applyRoutes(create(blackhole)), [0]);
  await sh("ip route add 10.98.0.0/16 nexthop via 10.77.0.2 dev dnm0 nexthop via 10.77.0.3 dev dnm0");
  const multipath = (await netlink.routes(254)).find((route) => route.paths === 2);
  assert(multipath);
  assertEquals(
    await netlink.applyRoutes([
      { verb: "create", record: multipath },
      { verb: "delete", record: multipath },
      { verb: "delete", record: blackhole },
    ]),
    [EINVAL, 0, 0],
  );
  assertEquals((await netlink.routes(254)).some((r) => r.paths > 0 || r.type === 6), false);
});

benchTest("every record of a batch gets its own result, whatever became of the others", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const changes: Change<RouteRecord>[] = [];
  const expected: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const good = route(index, `10.${100 + (i >> 8)}.${i & 255}.0/24`);
    const [record, result] = [
      [good, 0],
      [{ ...good, destination: "10.1.2.3/33" }, EINVAL],
      [{ ...good, onlink: false, gateway: "203.0.113.9" }, ENETUNREACH],
      [{ ...good, destination: `10.100.${(i - 3) & 0xfc}.0/24` }, i < 256 ? EEXIST : EEXIST],
    ][i % 4] as [RouteRecord, number];
    changes.push({ verb: "create", record });
    expected.push(result);
  }
  assertEquals(await netlink.applyRoutes(changes), expected);
  assertEquals((await routesOf(bench, index)).length, 500);
});

benchTest(
  "neighbours and FDB entries: what was asked for is what is there, and as iproute2 sees it",
  async (bench) => {
    const { netlink } = bench;
    const index = await makeVxlan(bench);
    const wanted = [
      neighbour(index, "10.99.1.0"),
      neighbour(index, "10.99.2.0", { mac: "02:00:00:00:00:03", protocol: 0 }),
      neighbour(index, "fd99:1::"),
      fdb(index, "02:00:00:00:00:02", "10.77.0.2"),
      fdb(index, "02:00:00:00:00:03", "10.77.0.3"),
    ];
    assertEquals(await netlink.applyNeighbours(create(...wanted)), wanted.map(() => 0));
    const there = (await netlink.neighbours([index])).filter((n) => n.state & 0x80);
    const key = (n: NeighbourRecord) => `${n.table} ${n.address}`;
    assertEquals(
      there.sort((a, b) => key(a) < key(b) ? -1 : 1),
      wanted.sort((a, b) => key(a) < key(b) ? -1 : 1),
    );
    const arp = await json("ip", "-j", "neigh", "show", "dev", "dnmx", "nud", "permanent");
    assertEquals(arp.map((n) => `${n.dst} ${n.lladdr}`).sort(), [
      "10.99.1.0 02:00:00:00:00:02",
      "10.99.2.0 02:00:00:00:00:03",
      "fd99:1:: 02:00:00:00:00:02",
    ]);
    const bridge = await json("bridge", "-j", "fdb", "show", "dev", "dnmx");
    assertEquals(bridge.map((n) => `${n.mac} ${n.dst} ${n.state} ${n.flags}`).sort(), [
      "02:00:00:00:00:02 10.77.0.2 permanent self",
      "02:00:00:00:00:03 10.77.0.3 permanent self",
    ]);
  },
);

benchTest("neighbours: of the devices asked for and of no other", async (bench) => {
  const { netlink, lower } = bench;
  const index = await makeVxlan(bench);
  await netlink.applyNeighbours(create(
    neighbour(index, "10.99.1.0"),
    fdb(index, "02:00:00:00:00:02", "10.77.0.2"),
    neighbour(lower, "10.77.0.99"),
  ));
  const count = async (...indexes: number[]) =>
    (await netlink.neighbours(indexes)).filter((n) => n.state === 0x80 && n.protocol === 85).map((n) =>
      n.index
    );
  assertEquals(await count(index), [index]);
  assertEquals(await count(lower), [lower]);
  assertEquals(await count(lower, index), [lower, index]);
  assertEquals(await netlink.neighbours([]), []);
  assertEquals(await netlink.neighbours([999_999]), []);
});

benchTest("neighbours: create, replace and delete, each with its answer", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const first = neighbour(index, "10.99.1.0");
  const second = { ...first, mac: "02:00:00:00:00:03" };
  const entry = fdb(index, "02:00:00:00:00:02", "10.77.0.2");
  assertEquals(await netlink.applyNeighbours(create(first, second, entry, entry)), [0, EEXIST, 0, EEXIST]);
  const moved = { ...entry, address: "10.77.0.4" };
  const replace = [second, moved].map((record) => ({ verb: "replace" as const, record }));
  assertEquals(await netlink.applyNeighbours(replace), [0, 0]);
  assertEquals((await netlink.neighbours([index])).filter((n) => n.state & 0x80), [second, moved]);
  const gone = [second, second, moved, moved].map((record) => ({ verb: "delete" as const, record }));
  assertEquals(await netlink.applyNeighbours(gone), [0, ENOENT, 0, ENOENT]);
});

benchTest("entries that others made are read with their state, permanent or not", async (bench) => {
  const { netlink, lower } = bench;
  await sh("ip neigh add 10.77.0.50 lladdr 02:00:00:00:00:50 dev dnm0 nud stale");
  const stale = (await netlink.neighbours([lower])).find((n) => n.address === "10.77.0.50");
  assertEquals([stale?.state, stale?.mac, stale?.protocol], [0x04, "02:00:00:00:00:50", 0]);
});

benchTest("look-ups: the kernel's answer for each address, or its errno", async (bench) => {
  const { netlink, lower } = bench;
  const index = await makeVxlan(bench);
  await netlink.applyRoutes(create(route(index, "10.99.1.0/24")));
  const [direct, remote, v6, none, nonsense, own] = await netlink.lookUp([
    "10.77.0.9",
    "10.99.1.7",
    "fd77::9",
    "203.0.113.1",
    "no address",
    "10.77.0.1",
  ]);
  const answer = (r: RouteRecord | number | undefined) => r as RouteRecord;
  assertEquals([answer(direct).index, answer(direct).gateway, answer(direct).source], [
    lower,
    null,
    "10.77.0.1",
  ]);
  assertEquals([answer(remote).index, answer(remote).gateway, answer(remote).source], [
    index,
    "10.99.1.0",
    "10.88.0.0",
  ]);
  assertEquals([answer(v6).index, answer(v6).source, answer(v6).gateway], [lower, "fd77::1", null]);
  assertEquals([none, nonsense], [ENETUNREACH, EINVAL]);
  const RTN_LOCAL = 2;
  assertEquals([answer(own).type, answer(own).index], [RTN_LOCAL, 1]);
  const many = await netlink.lookUp(Array.from({ length: 3000 }, (_, i) => `10.99.1.${i & 255}`));
  assertEquals(many.every((r) => typeof r !== "number" && r.index === index), true);
});

benchTest("calls at once queue up behind each other", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const records = Array.from({ length: 800 }, (_, i) => route(index, `10.${100 + (i >> 8)}.${i & 255}.0/24`));
  const [made, seen, gone, left] = await Promise.all([
    netlink.applyRoutes(create(...records)),
    netlink.routes(254),
    netlink.applyRoutes(records.map((record) => ({ verb: "delete", record }))),
    netlink.routes(254),
  ]);
  assertEquals([made, gone], [records.map(() => 0), records.map(() => 0)]);
  assertEquals([seen, left].map((all) => all.filter((r) => r.protocol === 85).length), [800, 0]);
});
