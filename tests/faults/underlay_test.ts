/** Which address is ours: what was chosen is kept while it stands, and given up late and for good reasons only. */
import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import type { InterfaceAddress } from "../../src/kernel/kernel.ts";
import { parseIp } from "../../src/model/ip.ts";
import { Cluster, type TestHost } from "../support/cluster.ts";

/** What the tunnel of a host starts from. */
function source(host: TestHost): string | null | undefined {
  const link = host.kernel.get("link", "flannel.1");
  return link?.kind === "link" ? link.fields.local : undefined;
}

const moves = (host: TestHost) => host.lines.filter((line) => line.includes("the underlay has changed"));

/** An address on eth0, permanent and global unless told. */
function address(text: string, traits: Partial<InterfaceAddress> = {}): InterfaceAddress {
  const plain = {
    scope: "global",
    deprecated: false,
    tentative: false,
    temporary: false,
    permanent: true,
  } as const;
  return { address: parseIp(text)!, length: 24, ...plain, ...traits };
}

/** The addresses of eth0 from now on. */
function addresses(host: TestHost, all: readonly InterfaceAddress[]): void {
  const [eth0, ...others] = host.kernel.underlay.interfaces;
  host.kernel.underlay.interfaces = [{ ...eth0!, addresses: all }, ...others];
  host.kernel.emit(new Set(["address"]));
}

/** Another interface with an address, as the default route's. */
function secondNic(host: TestHost): void {
  const [eth0] = host.kernel.underlay.interfaces;
  const eth1 = { ...eth0!, name: "eth1", index: 3, addresses: [address("10.9.0.11")] };
  host.kernel.put({ kind: "link", key: "eth1", fields: { type: "", alias: "", mtu: 1500, up: true } });
  host.kernel.underlay.interfaces = [eth0!, eth1];
  host.kernel.underlay.defaultRoutes = () => [{ device: "eth1", gateway: null }];
  host.kernel.emit(new Set(["link", "address", "route"]));
}

const own = address("192.168.64.11", { permanent: false });
const virtual = address("192.168.64.100", { length: 32 });

Deno.test("underlay: a virtual address beside ours changes nothing, wherever it is listed", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  for (const all of [[own, virtual], [virtual, own], [own]]) {
    addresses(a, all);
    await cluster.advance(60_000);
    assertEquals(source(a), "192.168.64.11");
  }
  assertEquals(moves(a), []);
});

Deno.test("underlay: another default route moves nothing while our address stands", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  secondNic(a);
  await cluster.advance(120_000);
  assertEquals([source(a), moves(a)], ["192.168.64.11", []]);
});

Deno.test("underlay: an address that is back in a second was never gone", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  addresses(a, []);
  await cluster.advance(1_000);
  addresses(a, [own]);
  await cluster.advance(60_000);
  assertEquals([source(a), moves(a)], ["192.168.64.11", []]);
  assert(
    a.lines.some((line) => line.includes("keeping eth0 as it was")),
    a.lines.join("\n"),
  );
  assert(a.lines.some((line) => line.includes("the underlay is back: eth0 with 192.168.64.11")));
});

Deno.test("underlay: while only a virtual address is left ours is waited for, half a minute", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  addresses(a, [virtual]);
  await cluster.advance(25_000);
  assertEquals(source(a), "192.168.64.11");
  await cluster.advance(10_000);
  assertEquals([source(a), moves(a).length], ["192.168.64.100", 1]);
});

Deno.test("underlay: a device that is gone is waited for, then what the flags choose is taken, and kept", async () => {
  await using cluster = new Cluster();
  const a = cluster.host(11);
  a.flags.iface = [];
  await a.start();
  await cluster.advance(2_000);
  const [eth0] = a.kernel.underlay.interfaces;
  secondNic(a);
  a.kernel.underlay.interfaces = a.kernel.underlay.interfaces.filter(({ name }) => name !== "eth0");
  a.kernel.emit(new Set(["link"]));
  await cluster.advance(25_000);
  assertEquals(source(a), "192.168.64.11");
  await cluster.advance(10_000);
  assertEquals(source(a), "10.9.0.11");
  a.kernel.underlay.interfaces = [...a.kernel.underlay.interfaces, eth0!];
  a.kernel.underlay.defaultRoutes = () => [{ device: "eth0", gateway: null }];
  a.kernel.emit(new Set(["link", "route"]));
  await cluster.advance(120_000);
  assertEquals([source(a), moves(a).length], ["10.9.0.11", 1]);
});

Deno.test("underlay: where nothing else can be chosen everything stays, however long", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  addresses(a, []);
  await cluster.advance(600_000);
  assertEquals([source(a), moves(a)], ["192.168.64.11", []]);
  addresses(a, [own]);
  await cluster.advance(2_000);
  assert(a.overlay!.readiness().ready);
});

Deno.test("underlay: an address under duplicate detection, or deprecated, is not used", async () => {
  for (const trait of [{ tentative: true }, { deprecated: true }]) {
    await using cluster = new Cluster();
    const a = await cluster.started(11);
    addresses(a, [{ ...own, ...trait }, address("192.168.64.12")]);
    await cluster.advance(5_000);
    assertEquals(source(a), "192.168.64.12");
  }
});

Deno.test("underlay: an interface that is down is said once, and so is its return", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const [eth0] = a.kernel.underlay.interfaces;
  a.kernel.underlay.interfaces = [{ ...eth0!, up: false }];
  a.kernel.emit(new Set(["link"]));
  await cluster.advance(180_000);
  assertEquals(
    a.lines.filter((line) => line.includes("follow the underlay: eth0 is down; keeping eth0")).length,
    1,
  );
  a.kernel.underlay.interfaces = [eth0!];
  a.kernel.emit(new Set(["link"]));
  await cluster.advance(1_000);
  assertMatch(a.lines.at(-1)!, /the underlay is back/);
  assertFalse(a.lines.some((line) => line.includes("has changed")));
});
