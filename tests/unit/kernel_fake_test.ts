/** The kernel in memory: that it keeps the real one's rules, and that faults come in where a test wants them. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeKernel } from "../support/kernel/fake.ts";
import type { Owner } from "../../src/model/owner.ts";
import type { KernelEvent } from "../../src/kernel/kernel.ts";
import { parseIp } from "../../src/model/ip.ts";
import {
  address,
  chain,
  fdbEntry,
  jump,
  type LinkFields,
  neighbour,
  nexthop,
  type Obj,
  route,
  sysctl,
  viaNexthop,
  vxlanLink,
} from "../../src/model/objects.ts";
import type { Operation } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const ip = (text: string) => parseIp(text)!;
const MAC = "02:00:00:00:00:01";
const owner: Owner = {
  instance: "default",
  devices: ["flannel.1"],
  networks: [parsePrefix("10.5.0.0/16")!, parsePrefix("fd00:5::/48")!],
  subnets: [],
  layout: "chains",
  vnis: new Map([["flannel.1", 1]]),
};
const both = { network: true, firewall: true };

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
const setting = sysctl("net/ipv6/conf/flannel.1/accept_ra", "0", "flannel.1");
const v4 = address("flannel.1", ip("10.5.72.0"), 32);
const v6 = address("flannel.1", ip("fd00:5::"), 128);
const near = neighbour("flannel.1", ip("10.5.1.0"), MAC);
const fdb = fdbEntry("flannel.1", MAC, ip("192.168.77.2"));
const destination = parsePrefix("10.5.1.0/24")!;
const way = route({ destination, gateway: destination.ip, device: "flannel.1", onlink: true });
const nat = chain(4, "nat", "FLANNEL-POSTRTG", ["-j RETURN"]);
const toNat = jump(4, "nat", "POSTROUTING", "FLANNEL-POSTRTG", "-j FLANNEL-POSTRTG");
const all = [link, setting, v4, v6, near, fdb, way, nat, toNat];

const create = (object: Obj): Operation => ({ verb: "create", object });
const modify = (object: Obj): Operation => ({ verb: "modify", object });
const remove = (object: Obj): Operation => ({ verb: "delete", object });

async function fake(...objects: Obj[]): Promise<FakeKernel> {
  const kernel = new FakeKernel({
    interfaces: [{ name: "eth0", index: 2, type: "", alias: "", mtu: 1500, up: true, addresses: [] }],
    route: () => null,
    defaultRoutes: () => [{ device: "eth0", gateway: null }],
  });
  assertEquals(await errors(kernel, objects.map(create)), objects.map(() => null));
  return kernel;
}

async function errors(kernel: FakeKernel, operations: readonly Operation[]): Promise<(string | null)[]> {
  return (await kernel.apply(operations)).map(({ error }) => error);
}

/** Keys of what is left, without the underlay. */
function left(kernel: FakeKernel): string[] {
  return kernel.objects().filter((o) => o.key !== "eth0").map(({ kind, key }) => `${kind} ${key}`);
}

/** An administrator changes a device. */
function alter(kernel: FakeKernel, name: string, fields: Partial<LinkFields>): void {
  const device = kernel.get("link", name);
  assert(device?.kind === "link");
  kernel.put({ ...device, fields: { ...device.fields, ...fields } });
}

const names = (...objects: Obj[]) => objects.map(({ kind, key }) => `${kind} ${key}`);

Deno.test("what was made reads back as ours, as wanted, with every field", async () => {
  using kernel = await fake(...all);
  const observed = await kernel.read(owner, both);
  assertEquals(observed.map(({ standing }) => standing), Array(all.length).fill("ours"));
  for (const [i, wanted] of all.entries()) {
    assertEquals({ ...observed[i]?.fields, ...wanted.fields }, observed[i]?.fields);
  }
  assertEquals((await kernel.read(owner, { network: false, firewall: true })).map(({ kind }) => kind), [
    "chain",
    "jump",
  ]);
});

Deno.test("what is there is not made again, what is absent is deleted with success", async () => {
  using kernel = await fake(...all);
  const again = await errors(kernel, all.map(create));
  assertEquals(again.map((error) => error?.endsWith(": File exists")), Array(all.length).fill(true));
  assertEquals(await errors(kernel, [...all].reverse().map(remove)), Array(all.length).fill(null));
  assertEquals(left(kernel), []);
  assertEquals(await errors(kernel, all.map(remove)), Array(all.length).fill(null));
});

Deno.test("nothing stands without its device, no route on a device that is down, no jump to nowhere", async () => {
  using kernel = await fake();
  const expected = [null, "no device", "no device", "no device", "no device", "chain"];
  const orphans = await errors(
    kernel,
    [nat, v4, near, fdb, way, { ...toNat, key: `${toNat.key}X` }].map(create),
  );
  assertEquals(orphans.map((e, i) => e === null ? null : e.includes(expected[i]!) && expected[i]), expected);
  const down = { ...link, fields: { ...link.fields, up: false } };
  assertEquals(await errors(kernel, [down, near, way].map(create)), [
    null,
    null,
    "add route 10.5.1.0/24 via 10.5.1.0 dev flannel.1 onlink proto 85: Network is down",
  ]);
  assertEquals(await errors(kernel, [create(toNat), remove(nat), remove(toNat), remove(nat)]), [
    null,
    `delete chain ${kernel.rules.get("chain")!.print(nat)}: Device or resource busy`,
    null,
    null,
  ]);
});

Deno.test("a device takes what stands on it along, and goes with its lower device", async () => {
  for (const goes of [remove(link), { verb: "recreate", object: link } as const]) {
    using kernel = await fake(...all);
    await kernel.apply([goes]);
    assertEquals(left(kernel), names(...(goes.verb === "recreate" ? [nat, toNat, link] : [nat, toNat])));
  }
  using kernel = await fake(...all);
  kernel.remove("link", "eth0");
  assertEquals(left(kernel), names(nat, toNat));
  const [error] = await errors(kernel, [create(link)]);
  assertEquals(error?.endsWith('there is no device "eth0" to stand on; check --iface'), true);
});

Deno.test("a device that goes down or gets another MAC loses what the real one loses", async () => {
  using kernel = await fake(link, setting, v4, v6, near, fdb, way);
  alter(kernel, link.key, { mac: "02:00:00:00:00:77" });
  assertEquals(left(kernel).sort(), names(link, setting, v4, v6, fdb, way).sort());
  await kernel.apply([create(near)]);
  alter(kernel, link.key, { up: false });
  assertEquals(left(kernel).sort(), names(link, setting, v4, fdb).sort());
  alter(kernel, link.key, { mtu: 1400, up: true });
  assertEquals(kernel.get("link", "flannel.1")?.fields, {
    ...kernel.get("link", "flannel.1")?.fields,
    ...link.fields,
    mac: "02:00:00:00:00:77",
    mtu: 1400,
  });
});

Deno.test("routes by way of a nexthop object need it and go with it, and it with its device", async () => {
  using kernel = await fake(link);
  const hop = nexthop(0x40000000, { gateway: "10.5.1.0", device: "flannel.1", onlink: true });
  const through = viaNexthop(way, 0x40000000);
  assertEquals(await errors(kernel, [create(through), create(hop), create(through)]), [
    "add route 10.5.1.0/24 nhid 1073741824 dev flannel.1 proto 85: Nexthop id does not exist",
    null,
    null,
  ]);
  await kernel.apply([create({ ...way, key: "10.5.2.0/24" }), remove(hop)]);
  assertEquals(left(kernel), ["link flannel.1", "route 10.5.2.0/24"]);
  await kernel.apply([create(hop), create(through)]);
  alter(kernel, link.key, { up: false });
  assertEquals(left(kernel), ["link flannel.1"]);
});

Deno.test("replacing makes what is absent, but for a link", async () => {
  using kernel = await fake();
  assertEquals((await errors(kernel, [modify(link)]))[0]?.endsWith("No such device"), true);
  await kernel.apply([create(link)]);
  assertEquals(await errors(kernel, [near, fdb, way].map(modify)), [null, null, null]);
});

Deno.test("an administrator's objects are judged like on the real kernel", async () => {
  using kernel = await fake(link);
  kernel.put({ ...way, fields: { ...way.fields, protocol: 4 } });
  kernel.put({ ...near, fields: { ...near.fields, protocol: 0 } });
  kernel.put(nat, "foreign");
  const standings = (await kernel.read(owner, both)).map(({ kind, standing }) => `${standing} ${kind}`);
  assertEquals(standings, ["ours link", "foreign route", "adoptable neighbour", "foreign chain"]);
  assertEquals(
    await kernel.read({ ...owner, devices: ["flannel.2"], networks: [] }, { network: true, firewall: false }),
    [
      { ...kernel.get("link", "flannel.1")!, standing: "ours" },
    ],
  );
});

Deno.test("the n-th operation fails, a read fails, the process dies between two operations", async () => {
  using kernel = await fake(link);
  kernel.refuse = (_, nth) => nth === 2 ? "Cannot allocate memory" : null;
  assertEquals((await errors(kernel, [create(near), create(fdb), create(way)])).map((e) => e !== null), [
    false,
    true,
    false,
  ]);
  assertEquals([kernel.tried, left(kernel).length], [4, 3]);
  kernel.unreadable = () => "dump interrupted";
  await assertRejects(() => kernel.read(owner, both), Error, "dump interrupted");
  kernel.refuse = (operation) => {
    if (operation.object === way) throw new Error("killed");
    return null;
  };
  await assertRejects(() => kernel.apply([remove(near), remove(way)]), Error, "killed");
  assertEquals(left(kernel), names(link, way));
});

Deno.test("reading and applying can be held up", async () => {
  using kernel = await fake(link);
  const held: string[] = [];
  let go = () => {};
  kernel.pause = (before) => (held.push(before), new Promise((resolve) => go = resolve));
  const reading = kernel.read(owner, both);
  kernel.remove("link", "flannel.1");
  go();
  assertEquals([await reading, held], [[], ["read"]]);
});

Deno.test("events: an administrator's changes and FDB changes, gathered, to every listener, until the end", async () => {
  using kernel = await fake();
  const stop = new AbortController();
  const seen: string[][] = [];
  const listen = async (events: AsyncIterable<KernelEvent>) => {
    for await (const { kinds } of events) {
      seen.push([...kinds].sort());
      if (kinds.has("lost")) stop.abort();
    }
  };
  const listeners = [listen(kernel.events(stop.signal)), listen(kernel.events(stop.signal))];
  await kernel.apply([create(link), create(near), create(fdb)]);
  kernel.remove("link", "flannel.1");
  kernel.emit(new Set(["route"]));
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(seen, [["fdb"], ["fdb"], ["link", "route"], ["link", "route"]]);
  kernel.emit(new Set(["lost"]));
  await Promise.all(listeners);
});
