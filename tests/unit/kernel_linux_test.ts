/** The composition of drivers, over a netlink that only keeps a record: batches, order, results, failures. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Change, LinkRecord, NeighbourRecord, Netlink, RouteRecord } from "../../ffi/records.ts";
import type { Driver } from "../../src/kernel/driver.ts";
import type { Owner } from "../../src/model/owner.ts";
import { openKernel } from "../../src/kernel/linux.ts";
import { succeeded } from "../../src/kernel/outcomes.ts";
import type { SysctlAccess } from "../../src/kernel/sysctls.ts";
import { parseIp } from "../../src/model/ip.ts";
import {
  address,
  fdbEntry,
  type FirewallKind,
  neighbour,
  type Obj,
  route,
  sysctl,
  vxlanLink,
} from "../../src/model/objects.ts";
import type { KindRules, Operation } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const ip = (text: string) => parseIp(text)!;
const MAC = "02:00:00:00:00:01";
const link = vxlanLink({
  name: "flannel.1",
  alias: "denim:default",
  vni: 1,
  lower: "eth0",
  local: ip("192.168.77.1"),
  port: 8472,
  learning: false,
  gbp: false,
  mtu: 1450,
  mac: MAC,
});
const routeTo = (text: string, device = "flannel.1") =>
  route({ destination: parsePrefix(text)!, gateway: parsePrefix(text)!.ip, device, onlink: true });
const peer: Obj[] = [
  neighbour("flannel.1", ip("10.5.1.0"), MAC),
  fdbEntry("flannel.1", MAC, ip("192.168.77.2")),
  routeTo("10.5.1.0/24"),
];
const chain: Obj = { kind: "chain", key: "iptables nat FLANNEL-POSTRTG", fields: { rules: [] } };
const jump: Obj = { kind: "jump", key: "iptables nat POSTROUTING FLANNEL-POSTRTG", fields: { rule: "-j X" } };

const create = (object: Obj): Operation => ({ verb: "create", object });
const remove = (object: Obj): Operation => ({
  verb: "delete",
  object,
  before: { ...object, standing: "ours" },
});

/** Answers what it is told to; every call is one line in `calls`. */
class Recorder {
  readonly calls: string[] = [];
  names = ["eth0"];
  result: (what: string, change: Change<unknown>) => number = () => 0;
  standing: NeighbourRecord[] = [];

  readonly netlink: Netlink = {
    links: () => {
      this.calls.push("links");
      return Promise.resolve(this.names.map((name, i) => linkRecord(name, i + 1)));
    },
    addresses: () => Promise.resolve([]),
    routes: () => Promise.resolve([]),
    nexthops: () => Promise.resolve([]),
    nexthopsSupported: true,
    neighbours: (indexes) => {
      this.calls.push(`neighbours ${indexes}`);
      return Promise.resolve(this.standing);
    },
    applyLinks: (changes) => {
      for (const { verb, record } of changes) if (verb === "create") this.names.push(record.name);
      return this.#apply("links", changes);
    },
    applyAddresses: (changes) => this.#apply("addresses", changes),
    applyRoutes: (changes) => this.#apply("routes", changes),
    applyNexthops: (changes) => this.#apply("nexthops", changes),
    applyNeighbours: (changes) => this.#apply("neighbours", changes),
    lookUp: () => Promise.resolve([]),
    monitor: () => ({
      async *[Symbol.asyncIterator]() {
        await Promise.resolve();
        yield new Set(["nftables", "route", "lost"] as const);
      },
      take: () => ({ changes: [], lost: false }),
      watch: (indexes, networks) => void this.calls.push(`watch ${indexes} ${networks}`),
    }),
    [Symbol.dispose]: () => void this.calls.push("closed"),
  };

  #apply<R>(what: string, changes: readonly Change<R>[]): Promise<number[]> {
    this.calls.push(`${what}: ${changes.map(({ verb }) => verb).join(" ")}`);
    return Promise.resolve(changes.map((change) => this.result(what, change)));
  }
}

function linkRecord(name: string, index: number): LinkRecord {
  return { index, name, type: "", alias: "", mac: null, mtu: 1500, up: true, vxlan: null };
}

function settings(values: Record<string, string>): SysctlAccess {
  return {
    read: (name) => Promise.resolve(values[name] ?? null),
    write: (name, value) => {
      if (!(name in values)) return Promise.reject(new Deno.errors.NotFound("No such file (os error 2)"));
      values[name] = value;
      return Promise.resolve();
    },
  };
}

function firewall(calls: string[]): Driver<FirewallKind> {
  const rules = (kind: FirewallKind): KindRules<FirewallKind> => ({
    kind,
    marks: [],
    needsRecreate: () => false,
    print: ({ key }) => key,
  });
  return {
    rules: [rules("chain"), rules("jump")],
    scope: "firewall",
    read: () => Promise.resolve([{ ...chain, standing: "ours" }]),
    apply: (operations) => {
      calls.push(`firewall: ${operations.map(({ verb, object }) => `${verb} ${object.kind}`).join(", ")}`);
      return Promise.resolve(operations.map(succeeded));
    },
  };
}

const scopes = { all: { network: true, firewall: true }, firewall: { network: false, firewall: true } };
const owner: Owner = {
  instance: "default",
  devices: ["flannel.1"],
  networks: [parsePrefix("10.5.0.0/16")!],
  subnets: [],
  layout: "chains",
  vnis: new Map([["flannel.1", 1]]),
};

Deno.test("neighbouring operations of a driver are one batch; devices are looked up anew after a link was made", async () => {
  const recorder = new Recorder();
  const { netlink, calls } = recorder;
  using kernel = openKernel({ netlink, firewall: [firewall(calls)], sysctls: settings({}) });
  const operations = [
    create(link),
    create(address("flannel.1", ip("10.5.72.0"), 32)),
    ...peer.map(create),
    create(routeTo("10.5.2.0/24")),
    create(chain),
    create(jump),
    remove(jump),
    remove(routeTo("10.5.3.0/24")),
  ];
  const outcomes = await kernel.apply(operations);
  assertEquals(outcomes, operations.map((operation) => ({ operation, error: null })));
  assertEquals(calls, [
    "links",
    "links: create",
    "links",
    "addresses: create",
    "neighbours: create create",
    "routes: create create",
    "firewall: create chain, create jump, delete jump",
    "routes: delete",
  ]);
});

Deno.test("one failure is one outcome; the rest is applied and results keep their order", async () => {
  const recorder = new Recorder();
  recorder.names.push("flannel.1");
  recorder.result = (_, { record }) => (record as RouteRecord).destination === "10.5.2.0/24" ? -101 : 0;
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [] });
  const outcomes = await kernel.apply([
    create(routeTo("10.5.1.0/24")),
    create(routeTo("10.5.9.0/24", "flannel.9")),
    create(routeTo("10.5.2.0/24")),
    create(chain),
    create(routeTo("10.5.3.0/24")),
  ]);
  const [first, missing, unreachable, undriven, last] = outcomes.map(({ error }) => error);
  assertEquals([first, last], [null, null]);
  assertEquals(
    missing,
    'add route 10.5.9.0/24 via 10.5.9.0 dev flannel.9 onlink proto 85: there is no device "flannel.9"',
  );
  assertStringIncludes(
    unreachable ?? "",
    "add route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink proto 85: ",
  );
  assertStringIncludes(undriven ?? "", 'chain "iptables nat FLANNEL-POSTRTG"');
});

Deno.test("a socket that fails takes its batch, not the plan", async () => {
  const recorder = new Recorder();
  recorder.names.push("flannel.1");
  recorder.netlink.applyNeighbours = () => Promise.reject(new Error("the socket is closed"));
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [] });
  const outcomes = await kernel.apply(peer.map(create));
  assertEquals(outcomes.map(({ error }) => error), [
    `add neighbour 10.5.1.0 dev flannel.1 lladdr ${MAC} nud permanent proto 85: the socket is closed`,
    `add fdb ${MAC} dev flannel.1 dst 192.168.77.2 self permanent: the socket is closed`,
    null,
  ]);
});

Deno.test("deleting what is absent succeeds, whatever the kernel calls it", async () => {
  const recorder = new Recorder();
  recorder.names.push("flannel.1");
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [] });
  for (
    const [errno, expected] of [[2, true], [3, true], [6, true], [19, true], [99, true], [1, false], [
      17,
      false,
    ]] as const
  ) {
    recorder.result = () => -errno;
    const [outcome] = await kernel.apply([remove(peer[2]!)]);
    assertEquals(outcome?.error === null, expected, `errno ${errno}`);
  }
  recorder.result = () => -3;
  const [made] = await kernel.apply([create(peer[2]!)]);
  assertStringIncludes(made?.error ?? "", "add route");
  recorder.result = () => -1;
  const [refused] = await kernel.apply([create(peer[2]!)]);
  assertStringIncludes(refused?.error ?? "", "CAP_NET_ADMIN");
});

Deno.test("only an entry that the kernel may forget gives way to a new one", async () => {
  for (const [state, retried] of [[0x04, true], [0x80, false]] as const) {
    const recorder = new Recorder();
    recorder.names.push("flannel.1");
    recorder.standing = [
      { table: "v4", index: 2, address: "10.5.1.0", mac: MAC, state, flags: 0, protocol: 0 },
    ];
    recorder.result = (_, { verb }) => verb === "create" ? -17 : 0;
    using kernel = openKernel({ netlink: recorder.netlink, firewall: [] });
    const [outcome] = await kernel.apply([create(peer[0]!)]);
    assertEquals(outcome?.error === null, retried);
    assertEquals(recorder.calls.includes("neighbours: replace"), retried);
    assertEquals(recorder.calls.filter((call) => call === "neighbours 2").length, 1);
  }
});

Deno.test("every dump of neighbours names all our devices", async () => {
  const recorder = new Recorder();
  recorder.names.push("flannel.1", "flannel-v6.1");
  recorder.result = () => -17;
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [], sysctls: settings({}) });
  await kernel.read({ ...owner, devices: ["flannel.1", "flannel-v6.1"] }, scopes.all);
  await kernel.apply([create(peer[0]!)]);
  assertEquals(recorder.calls.filter((c) => c.startsWith("neighbours ")), [
    "neighbours 2,3",
    "neighbours 2,3",
  ]);
});

Deno.test("monitors are told what counts before each read of the network, until they end", async () => {
  const recorder = new Recorder();
  recorder.names.push("flannel.1");
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [], sysctls: settings({}) });
  const end = new AbortController();
  kernel.events(end.signal);
  await kernel.read(owner, { network: false, firewall: true });
  await kernel.read(owner, scopes.all);
  assertEquals(recorder.calls, ["links", "watch 2 10.5.0.0/16", "neighbours 2"]);
  recorder.calls.length = 0;
  recorder.names.pop();
  await kernel.read(owner, scopes.all);
  assertEquals(recorder.calls, ["links", "watch  10.5.0.0/16", "neighbours "]);
  end.abort();
  await kernel.read(owner, scopes.all);
  assertEquals(recorder.calls.filter((call) => call.startsWith("watch")).length, 1);
});

Deno.test("of several default routes that of the lowest metric counts", async () => {
  const { netlink } = new Recorder();
  const record = (metric: number, index: number): RouteRecord => ({
    destination: "0.0.0.0/0",
    gateway: "192.168.77.254",
    index,
    source: null,
    table: 254,
    protocol: 3,
    scope: 0,
    type: 1,
    onlink: false,
    metric,
    tos: 0,
    paths: 0,
    nexthop: 0,
  });
  netlink.routes = () => Promise.resolve([record(20, 7), record(10, 1)]);
  using kernel = openKernel({ netlink, firewall: [] });
  assertEquals((await kernel.defaultRoutes(4)).map(({ device }) => device), ["eth0"]);
  assertEquals(await kernel.defaultRoutes(6), []);
});

Deno.test("a changed link sends what differs and leaves the rest alone", async () => {
  const recorder = new Recorder();
  const records: LinkRecord[] = [];
  recorder.result = (_, { record }) => (records.push(record as LinkRecord), 0);
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [] });
  const before = {
    ...link,
    fields: { ...link.fields, alias: "", mtu: 1400 },
    standing: "adoptable" as const,
  };
  await kernel.apply([{ verb: "modify", object: link, before }]);
  const { mac, mtu, alias, up, vxlan } = records[0]!;
  assertEquals([mac, mtu, alias, up, vxlan], [null, 1450, "denim:default", true, null]);
  const local = { ...before, fields: { ...link.fields, local: "192.168.77.9" } };
  await kernel.apply([{ verb: "modify", object: link, before: local }]);
  const changed = records[1]?.vxlan;
  assertEquals([changed?.local, changed?.lower, changed?.vni, changed?.port], ["192.168.77.1", 1, 1, 8472]);
  assertEquals(records[1]?.mtu, 0);
});

Deno.test("a link whose lower device is missing, or that nobody knows to make, is an outcome of its own", async () => {
  const recorder = new Recorder();
  recorder.names = [];
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [] });
  const bridge: Obj = {
    kind: "link",
    key: "br0",
    fields: { type: "bridge", alias: "", mtu: 1500, up: true },
  };
  const outcomes = await kernel.apply([create(link), create(bridge)]);
  assertStringIncludes(outcomes[0]?.error ?? "", 'there is no device "eth0" to stand on');
  assertEquals(
    outcomes[1]?.error,
    `add link br0 type bridge mtu 1500 up: a device of type "bridge" can't be made here`,
  );
});

Deno.test("settings: written, read back, missing, on a kernel without IPv6", async () => {
  const acceptRa = "net/ipv6/conf/flannel.1/accept_ra";
  const { netlink } = new Recorder();
  const values: Record<string, string> = { "net/ipv6/conf/all/accept_ra": "1", "net/ipv4/ip_forward": "0" };
  using kernel = openKernel({ netlink, firewall: [], sysctls: settings(values) });
  const read = async () =>
    (await kernel.read(owner, { network: true, firewall: false })).map((o) => [o.key, o.fields]);
  assertEquals(await read(), []);
  const outcomes = await kernel.apply([
    create(sysctl(acceptRa, "0", "flannel.1")),
    create(sysctl("net/ipv4/ip_forward", "1")),
  ]);
  const gone = 'there is no device "flannel.1"';
  assertEquals(outcomes.map(({ error }) => error), [`add sysctl ${acceptRa} = 0: ${gone}`, null]);
  values[acceptRa] = "1";
  assertEquals(await read(), [[acceptRa, { value: "1" }], ["net/ipv4/ip_forward", { value: "1" }]]);
  await kernel.apply([remove(sysctl("net/ipv4/ip_forward", "1"))]);
  assertEquals([await read(), values["net/ipv4/ip_forward"]], [[[acceptRa, { value: "1" }]], "1"]);
  using without = openKernel({ netlink, firewall: [], sysctls: settings({}) });
  const [setting] = await without.read(owner, scopes.all);
  assertEquals([setting?.key, setting?.fields, setting?.on], [acceptRa, { value: "0" }, "flannel.1"]);
});

Deno.test("a setting that a device does not have is missing itself, not the device", async () => {
  const recorder = new Recorder();
  recorder.names.push("flannel.1");
  using kernel = openKernel({ netlink: recorder.netlink, firewall: [], sysctls: settings({}) });
  const setting = sysctl("net/ipv6/conf/flannel.1/accept_ra", "0", "flannel.1");
  const [outcome] = await kernel.apply([create(setting)]);
  assertEquals(outcome?.error, `add sysctl ${setting.key} = 0: no such file`);
});

Deno.test("a scope asks its own drivers only; a driver that can't answer fails the whole read", async () => {
  const recorder = new Recorder();
  const { netlink, calls } = recorder;
  using kernel = openKernel({ netlink, firewall: [firewall(calls)], sysctls: settings({}) });
  assertEquals((await kernel.read(owner, scopes.firewall)).map(({ kind }) => kind), ["chain"]);
  assertEquals(calls, []);
  assertEquals([...kernel.rules.keys()], [
    "link",
    "sysctl",
    "address",
    "neighbour",
    "fdb",
    "nexthop",
    "route",
    "chain",
    "jump",
  ]);
  netlink.routes = () => Promise.reject(new Error("dump interrupted"));
  assertEquals(
    await kernel.read(owner, scopes.all).catch((thrown: Error) => thrown.message),
    "dump interrupted",
  );
});

Deno.test("events carry the names of kinds", async () => {
  const { netlink } = new Recorder();
  using kernel = openKernel({ netlink, firewall: [] });
  const seen: string[][] = [];
  for await (const { kinds } of kernel.events(new AbortController().signal)) seen.push([...kinds]);
  assertEquals(seen, [["chain", "route", "lost"]]);
});
