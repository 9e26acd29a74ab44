/** The drivers against the real kernel: making, changing, removing, events, the underlay. The host is drawn in `kernel_host.ts`. */
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { diff } from "../../src/plan/diff.ts";
import { FakeKernel } from "../support/kernel/fake.ts";
import { procSys } from "../../src/kernel/sysctls.ts";
import {
  fdbEntry,
  type LinkFields,
  neighbour,
  type Obj,
  type ObjectOf,
  route,
  valueOf,
  vxlanLink,
} from "../../src/model/objects.ts";
import type { Observed } from "../../src/model/plan.ts";
import { inside } from "../support/inside.ts";
import {
  base,
  base6,
  driverTest,
  everything,
  ip,
  owner,
  peer,
  peer6,
  peerMac,
  prefix,
  spec,
  throughTunnel,
} from "../support/kernel_host.ts";

driverTest("every kind is made, reads back as wanted, and goes again", async (host) => {
  assertEquals((await host.settle(everything)).length, everything.length);
  const observed = await host.read();
  assertEquals(observed.filter((o) => o.standing !== "ours" && o.kind !== "route"), []);
  for (const wanted of everything) {
    const found = observed.find((o) => o.kind === wanted.kind && o.key === wanted.key);
    assertEquals<object>(
      { ...found?.fields, ...wanted.fields },
      { ...found?.fields },
      `${wanted.kind} ${wanted.key}`,
    );
  }
  const removed = await host.settle(base);
  assertEquals(removed.filter((line) => line.startsWith("delete link")), ["delete link flannel-v6.1"]);
  assertEquals(removed.filter((line) => line.startsWith("delete route")).length, 2);
});

driverTest("what is made looks to iproute2 as upstream's does, but for the marks", async (host) => {
  await host.settle([...base, ...base6, ...peer(1), ...peer6(1)]);
  const { place, kernel } = host;
  assertStringIncludes(
    await place.run(["ip", "route"]),
    "10.5.1.0/24 via 10.5.1.0 dev flannel.1 proto 85 onlink",
  );
  assertStringIncludes(
    await place.run(["ip", "-6", "route"]),
    "fd00:5:0:1::/64 via fd00:5:0:1:: dev flannel-v6.1",
  );
  assertMatch(
    await place.run(["ip", "neigh"]),
    /10\.5\.1\.0 dev flannel\.1 lladdr 02:00:00:00:01:01 PERMANENT proto 85/,
  );
  assertMatch(
    await place.run(["bridge", "fdb", "show", "dev", "flannel.1"]),
    /02:00:00:00:01:01 dst 192\.168\.77\.101 self permanent/,
  );
  const details = await place.run(["ip", "-d", "link", "show", "flannel.1"]);
  assertMatch(details, /vxlan id 1 local 192\.168\.77\.1 dev eth0 .*dstport 8472 nolearning/);
  assertStringIncludes(details, "alias denim:default");
  assertEquals(
    kernel.rules.get("route")!.print(peer(1)[2]!),
    "10.5.1.0/24 via 10.5.1.0 dev flannel.1 onlink proto 85",
  );
});

driverTest("a VXLAN device is changed in place as far as the kernel lets it", async (host) => {
  await host.place.run(["ip", "addr", "add", "192.168.77.9/24", "dev", "eth0"]);
  await host.settle([...base, ...peer(1)]);
  const index = await host.index("flannel.1");
  const link = (fields: Partial<LinkFields>): Obj[] => {
    const wanted = vxlanLink(spec);
    return [{ ...wanted, fields: { ...wanted.fields, ...fields } }, ...base.slice(1), ...peer(1)];
  };
  for (
    const fields of [
      { local: "192.168.77.9" },
      { ttl: 9 },
      { learning: true },
      { ageing: 77 },
      { mtu: 1400 },
      { lower: "peer0" },
      { ttl: 3, mtu: 1390, local: "192.168.77.9", learning: true },
    ]
  ) {
    assertEquals((await host.settle(link(fields)))[0], "modify link flannel.1", JSON.stringify(fields));
  }
  assertEquals(await host.index("flannel.1"), index);
});

driverTest(
  "port, VNI, GBP and miss notification make the device anew, with all that stands on it",
  async (host) => {
    const wanted = vxlanLink(spec);
    for (
      const fields of [{ port: 4789 }, { vni: 7 }, { gbp: true }, { l2miss: true }]
    ) {
      await host.settle([...base, ...peer(1)]);
      const index = await host.index("flannel.1");
      const done = await host.settle([
        { ...wanted, fields: { ...wanted.fields, ...fields } },
        ...base.slice(1),
        ...peer(1),
      ]);
      assertEquals(done[0], "recreate link flannel.1", JSON.stringify(fields));
      assertNotEquals(await host.index("flannel.1"), index);
      assert(done.includes("create route 10.5.1.0/24"));
    }
  },
);

driverTest("a tunnel over the other address family is another device", async (host) => {
  await host.settle(base);
  const overV6 = vxlanLink({ ...spec, local: ip("fd77::1"), mtu: 1400 });
  assertEquals((await host.settle([overV6, ...base.slice(1)]))[0], "recreate link flannel.1");
});

driverTest("a changed peer is replaced in place", async (host) => {
  await host.settle([...base, ...peer(1)]);
  const moved = [
    neighbour("flannel.1", ip("10.5.1.0"), peerMac(9)),
    fdbEntry("flannel.1", peerMac(9), ip("192.168.77.200")),
    route({
      destination: prefix("10.5.1.0/24"),
      gateway: ip("192.168.77.200"),
      device: "eth0",
      onlink: false,
    }),
  ];
  assertEquals(await host.settle([...base, ...moved]), [
    "modify neighbour flannel.1 10.5.1.0",
    `create fdb flannel.1 ${peerMac(9)}`,
    "modify route 10.5.1.0/24",
    `delete fdb flannel.1 ${peerMac(1)}`,
  ]);
  const newPlace = fdbEntry("flannel.1", peerMac(9), ip("192.168.77.201"));
  assertEquals(await host.settle([...base, moved[0]!, newPlace, moved[2]!]), [
    `modify fdb flannel.1 ${peerMac(9)}`,
  ]);
});

driverTest(
  "of several routes to one subnet the plain key is the one that the kernel collides with",
  async (host) => {
    await host.settle([...base, ...peer(1)]);
    await host.place.sh(`
    ip route add 10.5.1.0/24 via 192.168.77.99 metric 50 proto 85
    ip route append 10.5.1.0/24 via 192.168.77.98 proto 85
    ip route add 10.5.2.0/24 nexthop via 192.168.77.2 nexthop via 192.168.77.3
    ip nexthop add id 7 via 192.168.77.4 dev eth0
    ip route add 10.5.3.0/24 nhid 7 proto 85
    ip route add blackhole 10.5.4.0/24 proto 85
    ip route add unreachable 10.5.5.0/24`);
    const routes = (await host.read()).filter((o) => o.kind === "route");
    const way = ({ gateway, nexthop }: ObjectOf<"route">["fields"]) =>
      nexthop === null ? gateway : `nexthop ${nexthop}`;
    assertEquals(routes.map(({ key, standing, fields }) => `${standing} ${key}: ${way(fields)}`).sort(), [
      "foreign 10.5.2.0/24: 2 paths",
      "foreign 10.5.5.0/24: null",
      "ours 10.5.1.0/24 metric 50: 192.168.77.99",
      "ours 10.5.1.0/24 via 192.168.77.98 dev eth0: 192.168.77.98",
      "ours 10.5.1.0/24: 10.5.1.0",
      "ours 10.5.3.0/24: nexthop 7",
      "ours 10.5.4.0/24: null",
    ]);
    assertEquals((await host.settle([...base, ...peer(1)])).length, 4);
    assertEquals(
      await host.place.run(["ip", "route", "show", "10.5.1.0/24"]),
      "10.5.1.0/24 via 10.5.1.0 dev flannel.1 proto 85 onlink \n",
    );
  },
);

driverTest("a failure stops nothing else; deleting what is gone succeeds", async (host) => {
  await host.settle([...base, ...peer(1), ...peer(2)]);
  const observed = await host.read();
  await host.place.sh(`
    ip route del 10.5.1.0/24
    ip neigh del 10.5.1.0 dev flannel.1
    bridge fdb del ${peerMac(1)} dev flannel.1
    ip addr del 10.5.72.0/32 dev flannel.1`);
  const surplus = observed.filter((o) => o.kind !== "sysctl" && !/10\.5\.2\.|01:02/.test(o.key));
  const order = ["route", "fdb", "neighbour", "address", "link"];
  surplus.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const orphan = throughTunnel("10.5.8.0/24");
  assert(orphan.kind === "route");
  const lost: ObjectOf<"route"> = {
    ...orphan,
    on: "flannel.7",
    fields: { ...orphan.fields, device: "flannel.7" },
  };
  const outcomes = await host.kernel.apply([
    { verb: "create", object: lost },
    { verb: "create", object: throughTunnel("10.5.9.0/24") },
    ...surplus.map((object) => ({ verb: "delete" as const, object, before: object })),
  ]);
  assertEquals(surplus.length, 5);
  assertEquals(outcomes.map(({ error }) => error), [
    'add route 10.5.8.0/24 via 10.5.8.0 dev flannel.7 onlink proto 85: there is no device "flannel.7"',
    ...Array(6).fill(null),
  ]);
  const again = await host.kernel.apply(
    observed.map((object) => ({ verb: "delete", object, before: object })),
  );
  assertEquals(again.flatMap(({ error }) => error ?? []), []);
});

driverTest("a device that went down and up has lost what the fake kernel says it loses", async (host) => {
  const desired = [...base, ...base6, ...peer(1), ...peer6(1)];
  await host.settle(desired);
  await host.place.sh("ip link set flannel.1 down; ip link set flannel-v6.1 down");
  assertEquals((await host.settle(desired)).sort(), [
    "create address flannel-v6.1 fd00:5:0:72::",
    "create neighbour flannel-v6.1 fd00:5:0:1::",
    "create neighbour flannel.1 10.5.1.0",
    "create route 10.5.1.0/24",
    "create route fd00:5:0:1::/64",
    "modify link flannel-v6.1",
    "modify link flannel.1",
  ]);
  await host.place.run(["ip", "link", "set", "flannel.1", "address", "02:00:00:00:00:77"]);
  assertEquals(await host.settle(desired), ["modify link flannel.1", "create neighbour flannel.1 10.5.1.0"]);
});

driverTest("what others change wakes us", async (host) => {
  await host.settle(everything);
  const stop = new AbortController();
  const events = inside(host.place.pid, () => host.kernel.events(stop.signal));
  const deadline = setTimeout(() => stop.abort(), 20_000);
  await host.place.sh(`
    ip route flush proto 85
    ip neigh del 10.5.1.0 dev flannel.1
    bridge fdb del ${peerMac(1)} dev flannel.1
    ip addr add 10.5.9.9/32 dev flannel.1
    ip link set flannel.1 mtu 1300`);
  const missing = new Set<string>(["route", "neighbour", "fdb", "address", "link"]);
  for await (const { kinds } of events) {
    assert(!kinds.has("lost"));
    for (const kind of kinds) missing.delete(kind);
    if (missing.size === 0) stop.abort();
  }
  clearTimeout(deadline);
  assertEquals([...missing], []);
});

driverTest("the underlay: interfaces, routes to hosts, the default route", async (host) => {
  await host.settle(base);
  await host.place.sh(`
    ip addr add 192.168.77.2/24 dev eth0
    ip route add default via 192.168.77.254 metric 20
    ip route add default via 192.168.77.253 dev eth0 metric 10
    ip route add blackhole 203.0.113.0/24`);
  const eth0 = (await host.kernel.interfaces()).find(({ name }) => name === "eth0")!;
  assertEquals([eth0.mtu, eth0.up, eth0.index], [1500, true, await host.index("eth0")]);
  const shown = eth0.addresses.map((a) =>
    `${a.length} ${a.scope} ${a.permanent} ${a.temporary} ${a.deprecated}`
  );
  assertEquals(shown, [
    "24 global true false false",
    "24 global true false false",
    "64 global true false false",
    "64 link true false false",
  ]);
  const [onLink, away, nowhere, six] = await host.kernel.routes(
    ["192.168.77.5", "198.51.100.1", "203.0.113.1", "fd99::1"].map(ip),
  );
  assertEquals(onLink, { device: "eth0", gateway: null, source: ip("192.168.77.1") });
  assertEquals(away, { device: "eth0", gateway: ip("192.168.77.253"), source: ip("192.168.77.1") });
  assertEquals([nowhere, six], [null, null]);
  const gateways = ["192.168.77.253", "192.168.77.254"].map(ip);
  assertEquals(await host.kernel.defaultRoutes(4), gateways.map((gateway) => ({ device: "eth0", gateway })));
  assertEquals(await host.kernel.defaultRoutes(6), []);
});

Deno.test("/proc/sys: values without line ends, absent settings, no file made", async () => {
  assertEquals(await procSys.read("kernel/ostype"), "Linux");
  assertEquals(await procSys.read("net/ipv6/conf/flannel.0/accept_ra"), null);
  const error = await procSys.write("net/ipv6/conf/flannel.0/accept_ra", "0").catch((thrown) => thrown);
  assert(error instanceof Deno.errors.NotFound);
});

const byHand = route({
  destination: prefix("10.5.1.0/24"),
  gateway: ip("192.168.77.9"),
  device: "eth0",
  onlink: false,
});

/** An administrator changes a device. */
function alter(kernel: FakeKernel, name: string, fields: Partial<LinkFields>): void {
  const device = kernel.get("link", name);
  assert(device?.kind === "link");
  kernel.put({ ...device, fields: { ...device.fields, ...fields } });
}

/** What an administrator does, with `ip` and to the fake kernel. */
const accidents: readonly (readonly [string, (fake: FakeKernel) => void])[] = [
  [
    "ip route del 10.5.1.0/24; ip neigh del 10.5.2.0 dev flannel.1",
    (fake) => {
      fake.remove("route", "10.5.1.0/24");
      fake.remove("neighbour", "flannel.1 10.5.2.0");
    },
  ],
  [
    "ip link set flannel.1 down",
    (fake) => alter(fake, "flannel.1", { up: false }),
  ],
  [
    "ip link set flannel-v6.1 address 02:00:00:00:00:77",
    (fake) => alter(fake, "flannel-v6.1", { mac: "02:00:00:00:00:77" }),
  ],
  ["ip link del flannel.1", (fake) => fake.remove("link", "flannel.1")],
  [
    "ip route replace 10.5.1.0/24 via 192.168.77.9 proto static",
    (fake) =>
      fake.put({
        ...byHand,
        fields: { ...byHand.fields, protocol: 4 },
      }),
  ],
  ["ip link del eth0", (fake) => fake.remove("link", "eth0")],
];

driverTest("the fake kernel and the real one tell the same after every accident", async (host) => {
  using fake = new FakeKernel({
    interfaces: [{ name: "eth0", index: 2, type: "", alias: "", mtu: 1500, up: true, addresses: [] }],
    route: () => null,
    defaultRoutes: () => [],
  });
  /** Keys, standings, and what we wish to say about each; not what the kernel adds by itself. */
  const seen = (observed: Observed[]) =>
    observed.filter(({ kind, fields }) => kind !== "sysctl" && valueOf(fields, "protocol") !== 2)
      .map(({ kind, key, standing }) => `${standing} ${kind} ${key}`).sort();
  const network = { network: true, firewall: false };
  for (const [command, act] of accidents) {
    for (const kernel of [host.kernel, fake]) {
      const plan = diff(everything, await kernel.read(owner, network), {
        rules: kernel.rules,
        mayDelete: () => true,
      });
      await kernel.apply(plan.operations);
    }
    assertEquals(seen(await fake.read(owner, network)), seen(await host.read()), `before: ${command}`);
    await host.place.sh(command);
    act(fake);
    assertEquals(seen(await fake.read(owner, network)), seen(await host.read()), `after: ${command}`);
  }
});
