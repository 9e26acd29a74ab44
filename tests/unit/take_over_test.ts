/** Whose place is taken: only that of a daemon of this make that has a device where ours is to stand, and does not run. */
import { assertEquals, assertMatch } from "@std/assert";
import { backends } from "../../src/backend/registry.ts";
import { describeBlocked } from "../../src/plan/describe.ts";
import { takeOver } from "../../src/control/take_over.ts";
import { FakeKernel } from "../support/kernel/fake.ts";
import { linkStanding } from "../../src/kernel/ownership.ts";
import { type Obj, type ObjectOf, route } from "../../src/model/objects.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { host } from "../support/hosts.ts";

const self = host({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } });
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function device(key: string, alias: string): ObjectOf<"link"> {
  return { kind: "link", key, fields: { type: "vxlan", vni: 1, alias, mtu: 1450, up: true } };
}

/** Who is taken over where these devices are and these daemons run. */
async function taken(devices: readonly Obj[], running: readonly string[]): Promise<readonly string[]> {
  const kernel = new FakeKernel({ interfaces: [], route: () => null, defaultRoutes: () => [] });
  for (const link of devices) kernel.put(link);
  const free = { [Symbol.dispose]: () => {} };
  const reserve = (name: string) => running.includes(name) ? null : free;
  const { instances } = await takeOver(self, backends.get("vxlan")!, { kernel, log: silent, reserve });
  return instances;
}

Deno.test("take over: a stopped daemon's device in our place, and nobody else's", async () => {
  assertEquals(await taken([device("flannel.1", "denim:blue")], []), ["blue"]);
  assertEquals(await taken([device("flannel.1", "denim:blue")], ["blue"]), [], "it runs");
  assertEquals(await taken([device("flannel.2", "denim:blue")], []), [], "its place is not ours");
  assertEquals(await taken([device("flannel.1", "somebody's")], []), [], "it is none of ours");
  assertEquals(await taken([device("flannel.1", "denim:default")], []), [], "it is our own");
});

Deno.test("take over: what the former one left is ours, what others have is not", () => {
  const vnis = new Map([["flannel.1", 1]]);
  const owner = {
    instance: "net",
    devices: ["flannel.1"],
    networks: [],
    subnets: [],
    layout: "chains",
    vnis,
  } as const;
  const former = { ...owner, formerInstances: ["blue"] };
  assertEquals(linkStanding(device("flannel.1", "denim:blue"), owner), "foreign");
  assertEquals(linkStanding(device("flannel.1", "denim:blue"), former), "ours");
  assertEquals(linkStanding(device("flannel-v6.9", "denim:blue"), former), "ours", "it goes");
  assertEquals(linkStanding(device("flannel.1", "denim:red"), former), "foreign");
});

Deno.test("what is in the way is named, with whose it is and a way out that breaks nobody", () => {
  const blocked = (by: Obj) => describeBlocked({ object: by, by: { ...by, standing: "foreign" } });
  assertMatch(
    blocked(device("flannel.1", "denim:blue")),
    /of the daemon "blue".*another VNI.*-instance=blue/,
  );
  assertMatch(blocked(device("flannel.1", "")), /VNI 1, of flannel, as its name says\); choose another VNI/);
  const destination = parsePrefix("10.1.16.0/24")!;
  const plain = route({ destination, gateway: null, device: "cbr0", onlink: false });
  const routeOf = (protocol: number): Obj => ({ ...plain, fields: { ...plain.fields, protocol } });
  assertMatch(blocked(routeOf(2)), /\(dev cbr0 proto kernel\); "cbr0" has an address there: take that away/);
  assertMatch(blocked(routeOf(4)), /\(dev cbr0 proto static\); remove it/);
});
