/** What becomes of the monitor's changes: objects with their standing, or the word that only a whole reading will do. */
import { assertEquals } from "@std/assert";
import type {
  LinkRecord,
  NeighbourRecord,
  NetlinkChange,
  NetlinkMonitor,
  RouteRecord,
} from "../../ffi/records.ts";
import { KernelNews } from "../../src/kernel/changes.ts";
import { LinkTable } from "../../src/kernel/link_table.ts";
import { succeeded } from "../../src/kernel/outcomes.ts";
import { parseIp } from "../../src/model/ip.ts";
import { tunnelPeer, udpTunnel } from "../../src/model/objects.ts";
import type { Owner } from "../../src/model/owner.ts";
import { neighbour, route as routeOn } from "../support/ffi.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const link = (index: number, name: string, alias = ""): LinkRecord => ({
  index,
  name,
  type: name === "eth0" ? "" : "vxlan",
  alias,
  mac: null,
  mtu: 1450,
  up: true,
  vxlan: null,
});
const [eth0, ours, veth] = [link(2, "eth0"), link(3, "flannel.1", "denim:default"), link(7, "veth7")];
const owner: Owner = {
  instance: "default",
  devices: ["flannel.1"],
  vnis: new Map([["flannel.1", 1]]),
  networks: [parsePrefix("10.5.0.0/16")!],
  subnets: [],
  layout: "chains",
};
const route = (destination: string, differs: Partial<RouteRecord> = {}) => routeOn(3, destination, differs);
const entry = (differs: Partial<NeighbourRecord> = {}) =>
  neighbour(3, "10.5.7.0", { mac: "02:00:00:00:00:07", ...differs });
const plain = { gone: false, replaces: false, own: false } as const;

/** What is told where these changes wait, the devices were as in `before` and are as in `now`. */
async function news(
  changes: readonly NetlinkChange[],
  { before = [eth0, ours], now = before, lost = false }: {
    before?: readonly LinkRecord[];
    now?: readonly LinkRecord[];
    lost?: boolean;
  } = {},
) {
  const all = new KernelNews(() => Promise.resolve(new LinkTable(now)));
  const monitor = { take: () => ({ changes, lost }) } as unknown as NetlinkMonitor;
  all.listen(monitor, new AbortController().signal);
  all.reading(new LinkTable(before));
  const { told, underlay } = await all.take(owner);
  return [
    told === null ? "all" : told.map(({ kind, key, now }) => `${kind} ${key} ${now?.standing ?? "-"}`),
    underlay,
  ];
}

Deno.test("changes: single objects, with whose they are", async () => {
  assertEquals(
    await news([
      { kind: "route", ...plain, record: route("10.5.7.0/24") },
      { kind: "route", ...plain, gone: true, record: route("10.5.8.0/24") },
      { kind: "neighbour", ...plain, record: entry() },
      // As the kernel tells of one that goes: it has failed first.
      { kind: "neighbour", ...plain, record: entry({ address: "10.5.8.0", state: 0x20, mac: null }) },
      { kind: "neighbour", ...plain, record: entry({ table: "fdb", address: "192.168.64.7", flags: 2 }) },
      { kind: "neighbour", ...plain, record: entry({ table: "fdb", address: null, flags: 0 }) },
      { kind: "route", ...plain, record: route("10.5.9.0/24", { table: 255 }) },
    ]),
    [[
      "route 10.5.7.0/24 ours",
      "route 10.5.8.0/24 -",
      "neighbour flannel.1 10.5.7.0 ours",
      "neighbour flannel.1 10.5.8.0 -",
      "fdb flannel.1 02:00:00:00:00:07 ours",
    ], false],
  );
});

Deno.test("changes: another's route concerns the underlay as well", async () => {
  const record = route("10.5.7.0/24", { protocol: 4, index: 2, onlink: false });
  assertEquals(await news([{ kind: "route", ...plain, record }]), [["route 10.5.7.0/24 foreign"], true]);
});

Deno.test("changes: what was lost, and a route that names nothing but its nexthop object, need a whole reading", async () => {
  assertEquals(await news([], { lost: true }), ["all", true]);
  const bare = route("10.5.7.0/24", { index: 0, gateway: null, nexthop: 5 });
  assertEquals(await news([{ kind: "route", ...plain, record: bare }]), ["all", false]);
});

Deno.test("changes: a device of ours that changes takes along what is not told; so it does where that is told later", async () => {
  const down = { kind: "link", gone: false, up: false, index: 3 } as const;
  assertEquals(await news([down]), ["all", true]);
  assertEquals(await news([{ kind: "address", index: 3 }]), ["all", true]);
  assertEquals(await news([{ ...down, gone: true }], { now: [eth0] }), ["all", true]);
  // The first to be told is another device: ours has gone by then.
  const other = { kind: "link", gone: false, up: true, index: 2 } as const;
  assertEquals(await news([other], { now: [eth0] }), ["all", true]);
  assertEquals(await news([other], { now: [eth0, { ...ours, index: 9 }] }), ["all", true]);
  assertEquals(await news([other], { before: [eth0], now: [eth0, ours] }), ["all", true]);
  assertEquals(await news([other]), [[], true]);
});

Deno.test("changes: of others' devices only those that go down take something along", async () => {
  const before = [eth0, ours, veth];
  const up = { kind: "link", gone: false, up: true, index: 7 } as const;
  assertEquals(await news([up, { kind: "address", index: 7 }], { before }), [[], true]);
  assertEquals(await news([{ ...up, up: false }], { before }), [["link veth7 -"], true]);
  assertEquals(await news([{ ...up, gone: true }], { before, now: [eth0, ours] }), [["link veth7 -"], true]);
});

Deno.test("changes: peers of tunnels are told as they were applied, a tunnel that changes needs a whole reading", async () => {
  const all = new KernelNews(() => Promise.resolve(new LinkTable([])));
  all.listen(
    { take: () => ({ changes: [], lost: false }) } as unknown as NetlinkMonitor,
    new AbortController().signal,
  );
  const peer = tunnelPeer("flannel0", parsePrefix("10.5.7.0/24")!, parseIp("192.168.64.7")!, 8285);
  all.applied([
    succeeded({ verb: "create", object: peer }),
    { operation: { verb: "delete", object: { ...peer, key: "other" } }, error: "busy" },
  ]);
  const { told } = await all.take(owner);
  assertEquals(told?.map(({ key, now }) => [key, now?.standing]), [[peer.key, "ours"]]);
  assertEquals((await all.take(owner)).told, []);
  const tunnel = udpTunnel({
    name: "flannel0",
    port: 8285,
    underlay: [],
    icmpSources: [],
    queues: 1,
    sender: "socket",
    sources: 1,
    acceptMoved: false,
  });
  all.applied([succeeded({ verb: "create", object: tunnel })]);
  assertEquals([(await all.take(owner)).told, (await all.take(owner)).told], [null, []]);
  all.elsewhere();
  assertEquals([(await all.take(owner)).underlay, (await all.take(owner)).underlay], [true, false]);
});

Deno.test("changes: nothing is known before anybody listens", async () => {
  const all = new KernelNews(() => Promise.resolve(new LinkTable([])));
  assertEquals(await all.take(owner), { told: null, underlay: true });
});
