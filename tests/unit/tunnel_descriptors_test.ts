/**
 * Who closes a tunnel's descriptors, whatever fails: every one is closed once, by whoever owns it then, and none is left. The
 * library and the manager here keep a ledger and can fail at any call.
 */
import { assert, assertEquals } from "@std/assert";
import type { UdpDescriptors, UdpTunnel, UdpTunnelOptions } from "../../ffi/udp_tunnel.ts";
import type { LinkRecord } from "../../ffi/records.ts";
import type { KeptDescriptor } from "../../src/kernel/tunnel/kept_descriptors.ts";
import { LinkTable } from "../../src/kernel/link_table.ts";
import { tunnelDriver } from "../../src/kernel/tunnel/tunnels.ts";
import { Failure } from "../../src/model/errors.ts";
import { parseIp } from "../../src/model/ip.ts";
import { type ObjectOf, tunnelPeer, udpTunnel } from "../../src/model/objects.ts";
import type { Observed, OperationOn } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

type Tunnelled = ObjectOf<"tunnel"> | ObjectOf<"peer">;
type TunnelOperation = OperationOn<"tunnel" | "peer">;

const NAME = "denim-udp-flannel0";
const owner = {
  instance: "default",
  devices: ["flannel0"],
  networks: [],
  subnets: [],
  vnis: new Map(),
  layout: "chains",
} as const;

function wanted(more: Partial<Parameters<typeof udpTunnel>[0]> = {}): ObjectOf<"tunnel"> {
  const usual = {
    name: "flannel0",
    port: 8285,
    queues: 1,
    sender: "socket",
    sources: 16,
    acceptMoved: false,
  };
  const addresses = { underlay: [parseIp("192.168.64.11")!], icmpSources: [parseIp("10.1.15.0")!] };
  return udpTunnel({ ...usual, ...addresses, ...more });
}

function peer(n: number): ObjectOf<"peer"> {
  return tunnelPeer("flannel0", parsePrefix(`10.1.${n}.0/24`)!, parseIp(`192.168.64.${n}`)!, 8285);
}

type Call = "open" | "setPeers" | "setIcmpSources" | "keep" | "forget" | "close" | "means";

/** The process's descriptors, and the manager; `fails` says which calls do. */
class Ledger {
  readonly open = new Set<number>();
  readonly wrong: string[] = [];
  readonly said: string[] = [];
  readonly calls = new Map<Call, number>();
  #next = 20;

  constructor(readonly fails: (call: Call, nth: number) => boolean) {}

  call(call: Call): void {
    const nth = this.calls.get(call) ?? 0;
    this.calls.set(call, nth + 1);
    if (this.fails(call, nth)) throw new Failure(`${call}: not now`);
  }

  fresh(): number {
    const fd = this.#next++;
    this.open.add(fd);
    return fd;
  }

  close(fd: number): void {
    if (!this.open.delete(fd)) this.wrong.push(`${fd} is closed by somebody who does not own it`);
  }
}

function driverOn(ledger: Ledger, kept: readonly KeptDescriptor[]) {
  const waiting = new Map(kept.length > 0 ? [[NAME, kept]] : []);
  for (const { fd } of kept) ledger.open.add(fd);
  return tunnelDriver({
    say: (text) => void ledger.said.push(text),
    open: (options) => openOn(ledger, options),
    kept: {
      waiting,
      stores: true,
      take(name) {
        const taken = waiting.get(name) ?? [];
        waiting.delete(name);
        return taken;
      },
      keep: (_, fds) => {
        ledger.call("keep");
        for (const fd of fds) if (!ledger.open.has(fd)) ledger.wrong.push(`${fd} is kept and closed`);
      },
      forget: () => ledger.call("forget"),
      close: (fd) => {
        ledger.close(fd);
        ledger.call("close");
      },
    },
  });
}

/** As the C library: what is handed in is the tunnel's from success on, until `release`. */
function openOn(ledger: Ledger, options: UdpTunnelOptions): UdpTunnel {
  ledger.call("open");
  const given = options.descriptors ?? Array.from({ length: options.queues ?? 1 }, () => null);
  const held: UdpDescriptors[] = given.map((d) => ({
    tun: d?.tun ?? ledger.fresh(),
    socketV4: d?.socketV4 ?? ledger.fresh(),
    socketV6: null,
  }));
  return {
    name: options.name,
    ended: new Promise(() => {}),
    settings: options as UdpTunnel["settings"],
    descriptors: () => held,
    setPeers: () => ledger.call("setPeers"),
    setIcmpSources: () => ledger.call("setIcmpSources"),
    statistics: () => null as never,
    means: () => {
      ledger.call("means");
      return { features: [], sender: "socket", senderRefused: null };
    },
    release: () => held,
    [Symbol.dispose]: () =>
      held.forEach(({ tun, socketV4 }) => [tun, socketV4!].forEach((fd) => ledger.close(fd))),
  };
}

const keptTun: KeptDescriptor = { kind: "tun", name: "flannel0", multiQueue: false, offload: true, fd: 3 };
const keptSocket: KeptDescriptor = {
  kind: "udpSocket",
  family: 4,
  address: "192.168.64.11",
  port: 8285,
  fd: 4,
};

/** What is wanted, one after the other; each step is planned from what is read back, as the loop does, twice. */
const steps: readonly (readonly Tunnelled[])[] = [
  [wanted({ icmpSources: [] })],
  [wanted()],
  [wanted(), peer(12)],
  [wanted({ icmpSources: [parseIp("10.1.16.0")!] }), peer(12), peer(13)],
  [wanted({ sender: "pool" }), peer(12)],
  [wanted({ port: 9000 }), peer(12)],
  [wanted({ queues: 2 }), peer(12)],
  [],
  [wanted(), peer(12)],
];

async function live(ledger: Ledger, kept: readonly KeptDescriptor[]): Promise<Observed[]> {
  const driver = driverOn(ledger, kept);
  const record = { name: "flannel0", index: 7 } as LinkRecord;
  const links = () => Promise.resolve(new LinkTable([record]));
  let seen: Observed[] = [];
  for (const objects of steps) {
    for (let round = 0; round < 2; round++) {
      seen = await driver.read(owner, links);
      await driver.apply(operationsFor(objects, seen), links);
    }
  }
  seen = await driver.read(owner, links);
  driver[Symbol.dispose]();
  return seen;
}

function operationsFor(objects: readonly Tunnelled[], observed: readonly Observed[]): TunnelOperation[] {
  const seen = observed.filter((o) => o.kind === "tunnel" || o.kind === "peer");
  assertEquals(seen.length, observed.length);
  const before = (object: Tunnelled) => seen.find((o) => o.kind === object.kind && o.key === object.key);
  const makes = objects.map((object): TunnelOperation => {
    const stands = before(object);
    return stands ? { verb: "modify", object, before: stands } : { verb: "create", object };
  });
  const gone = seen.filter((o) => !objects.some((object) => object.kind === o.kind && object.key === o.key));
  return [
    ...makes,
    ...gone.reverse().map((o): TunnelOperation => ({ verb: "delete", object: o, before: o })),
  ];
}

const origins = { "made here": [], "kept by the manager": [keptTun, keptSocket], "kept in part": [keptTun] };

for (const [what, kept] of Object.entries(origins)) {
  Deno.test(`descriptors ${what} are closed once each, and what is wanted stands`, async () => {
    const ledger = new Ledger(() => false);
    const seen = await live(ledger, kept);
    assertEquals(ledger.wrong, []);
    assertEquals([...ledger.open], []);
    assertEquals(seen.map(({ kind }) => kind), ["tunnel", "peer"]);
  });

  for (const call of ["open", "setPeers", "setIcmpSources", "keep", "forget", "close", "means"] as const) {
    Deno.test(`descriptors ${what} are closed once each, whichever ${call} fails, and if all do`, async () => {
      const counter = new Ledger(() => false);
      await live(counter, kept);
      const times = counter.calls.get(call) ?? 0;
      assert(times > 0 || call === "setIcmpSources", `${call} is called`);
      for (let which = 0; which <= times; which++) {
        const ledger = new Ledger((name, nth) => name === call && (nth === which || which === times));
        const seen = await live(ledger, kept);
        assertEquals(ledger.wrong, [], `number ${which}`);
        assertEquals([...ledger.open], [], `number ${which} leaves some open`);
        // A look that fails at the very end is mended by the next round.
        const hinders = call === "means" ? which >= times - 1 : which === times && /open|setPeers/.test(call);
        if (!hinders) assertEquals(seen.map(({ kind }) => kind), ["tunnel", "peer"], `number ${which}`);
      }
    });
  }
}

Deno.test("a manager that does not answer is told of once, keeps nothing from running, and is told again", async () => {
  let answers = false;
  const ledger = new Ledger((call) => call === "keep" && !answers);
  const driver = driverOn(ledger, [keptTun, keptSocket]);
  const links = () => Promise.resolve(new LinkTable([{ name: "flannel0", index: 7 } as LinkRecord]));
  const [outcome] = await driver.apply([{ verb: "create", object: wanted() }], links);
  assertEquals(outcome!.error, null);
  for (let round = 0; round < 3; round++) await driver.read(owner, links);
  assertEquals(ledger.said.filter((text) => text.startsWith("keep: not now")).length, 1);
  assertEquals(driver.reports().map(({ kept }) => kept), [false]);
  answers = true;
  await driver.read(owner, links);
  assertEquals(driver.reports().map(({ kept }) => kept), [true]);
  assert(ledger.said.some((text) => /answers again/.test(text)));
  driver[Symbol.dispose]();
  assertEquals([ledger.wrong, [...ledger.open]], [[], []]);
});

Deno.test("peers that the tunnel refused do not stand, and those before them do", async () => {
  let refuses = false;
  const ledger = new Ledger((call) => call === "setPeers" && refuses);
  const driver = driverOn(ledger, []);
  const links = () => Promise.resolve(new LinkTable([{ name: "flannel0", index: 7 } as LinkRecord]));
  const create = (object: Tunnelled): TunnelOperation => ({ verb: "create", object });
  await driver.apply([create(wanted()), create(peer(12))], links);
  refuses = true;
  const outcomes = await driver.apply([create(peer(13)), create(peer(14))], links);
  assert(outcomes.every(({ error }) => error?.includes("not now")));
  assertEquals((await driver.read(owner, links)).map(({ key }) => key), [
    "flannel0",
    "flannel0 10.1.12.0/24",
  ]);
  driver[Symbol.dispose]();
});
