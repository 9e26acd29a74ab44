/**
 * The driver of userspace tunnels on a library that only notes what it is asked: what is opened, changed, kept and closed, and
 * when a kept device is carried again.
 */
import { assertEquals, assertMatch, fail } from "@std/assert";
import type { UdpPeer, UdpTunnel, UdpTunnelOptions } from "../../ffi/udp_tunnel.ts";
import type { LinkRecord } from "../../ffi/records.ts";
import type { KeptDescriptor } from "../../src/kernel/tunnel/kept_descriptors.ts";
import { LinkTable } from "../../src/kernel/link_table.ts";
import { tunnelDriver } from "../../src/kernel/tunnel/tunnels.ts";
import { Failure } from "../../src/model/errors.ts";
import { parseIp } from "../../src/model/ip.ts";
import { type ObjectOf, tunnelPeer, udpTunnel } from "../../src/model/objects.ts";
import type { Verb } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const wanted = (more: Partial<Parameters<typeof udpTunnel>[0]> = {}) =>
  udpTunnel({
    name: "flannel0",
    port: 8285,
    underlay: [parseIp("192.168.64.11")!],
    icmpSources: [],
    queues: 1,
    sender: "socket",
    sources: 16,
    acceptMoved: false,
    ...more,
  });
const withLease = { icmpSources: [parseIp("10.1.15.0")!] };
const peer = (subnet: string, at: string) => tunnelPeer("flannel0", parsePrefix(subnet)!, parseIp(at)!, 8285);
const owner = {
  instance: "default",
  devices: ["flannel0"],
  networks: [],
  subnets: [],
  vnis: new Map(),
  layout: "chains",
} as const;

/** A driver with everything around it; `calls` is what became of tunnels and descriptors, in order. */
class Lab {
  readonly calls: string[] = [];
  readonly said: string[] = [];
  readonly waiting = new Map<string, readonly KeptDescriptor[]>();
  refuses: string | null = null;
  index: number | null = 7;
  end: (failure: Failure | null) => void = () => {};
  readonly driver = tunnelDriver({
    open: (options) => this.#open(options),
    kept: {
      waiting: this.waiting,
      take: (name) => {
        const taken = this.waiting.get(name) ?? [];
        this.waiting.delete(name);
        return taken;
      },
      stores: true,
      keep: (name, fds) => void this.calls.push(`keep ${name} ${fds}`),
      forget: (name) => void this.calls.push(`forget ${name}`),
      close: (fd) => void this.calls.push(`close ${fd}`),
    },
    say: (text) => void this.said.push(text),
  });

  async apply(verb: Verb, ...objects: ObjectOf<"tunnel" | "peer">[]): Promise<(string | null)[]> {
    const operations = objects.map((object) => ({ verb, object }));
    return (await this.driver.apply(operations, () => this.#links())).map(({ error }) => error);
  }

  async read(): Promise<string[]> {
    return (await this.driver.read(owner, () => this.#links())).map((o) =>
      `${o.standing} ${o.kind} ${o.key}`
    );
  }

  taken(): string[] {
    return this.calls.splice(0);
  }

  #links(): Promise<LinkTable> {
    const record = { name: "flannel0", index: this.index } as LinkRecord;
    return Promise.resolve(new LinkTable(this.index === null ? [] : [record]));
  }

  #open(options: UdpTunnelOptions): UdpTunnel {
    if (this.refuses !== null) throw new Failure(this.refuses);
    const { port, queues, descriptors } = options;
    this.calls.push(`open ${port} ${queues} ${descriptors?.map((d) => `${d.tun}/${d.socketV4}`) ?? "anew"}`);
    const ended = new Promise<Failure | null>((resolve) => this.end = resolve);
    const held = descriptors ?? [{ tun: 11, socketV4: 12, socketV6: null }];
    const note = (text: string) => void this.calls.push(text);
    return {
      name: options.name,
      ended,
      settings: options as UdpTunnel["settings"],
      descriptors: () => held.map((d) => ({ ...d, socketV4: d.socketV4 ?? 13 })),
      setPeers: (peers: readonly UdpPeer[]) =>
        note(`peers ${peers.map(({ subnet, address }) => `${subnet}@${address}`)}`),
      setIcmpSources: (addresses: readonly string[]) => note(`sources ${addresses}`),
      statistics: () => fail("nobody asked for counters"),
      means: () => ({ features: ["tso"], sender: "socket", senderRefused: null }),
      release: () => (note("release"), [...held]),
      [Symbol.dispose]: () => note("dispose"),
    };
  }
}

const tun: KeptDescriptor = { kind: "tun", name: "flannel0", multiQueue: false, offload: true, fd: 3 };
const socket: KeptDescriptor = { kind: "udpSocket", family: 4, address: "192.168.64.11", port: 8285, fd: 4 };
const NAME = "denim-udp-flannel0";

Deno.test("tunnels: opened, carried at once, kept, read back with their peers", async () => {
  const lab = new Lab();
  assertEquals(await lab.apply("create", wanted()), [null]);
  assertEquals(lab.taken(), ["open 8285 1 anew", "peers ", `keep ${NAME} 11,12`]);
  assertEquals(await lab.apply("create", peer("10.1.16.0/24", "192.168.64.12")), [null]);
  assertEquals(lab.taken(), ["peers 10.1.16.0/24@192.168.64.12"]);
  assertEquals(await lab.read(), ["ours tunnel flannel0", "ours peer flannel0 10.1.16.0/24"]);
  assertEquals(await lab.apply("delete", peer("10.1.16.0/24", "192.168.64.12"), wanted()), [null, null]);
  assertEquals(lab.taken(), ["dispose", `forget ${NAME}`]);
  assertEquals(await lab.read(), []);
});

Deno.test("tunnels: a kept device is carried with the first of its peers, not before", async () => {
  const lab = new Lab();
  lab.waiting.set(NAME, [tun, socket]);
  assertEquals(await lab.read(), ["ours tunnel flannel0"]);
  assertEquals(await lab.apply("modify", wanted()), [null]);
  await lab.read();
  assertEquals(lab.taken(), [], "nobody carries it while its peers are unknown");
  await lab.apply("modify", wanted(withLease));
  await lab.apply("create", peer("10.1.16.0/24", "192.168.64.12"));
  assertEquals(lab.taken(), ["open 8285 1 3/4", "peers 10.1.16.0/24@192.168.64.12", `keep ${NAME} 3,4`]);
});

Deno.test("tunnels: a kept device without peers is carried once its own addresses are known", async () => {
  const lab = new Lab();
  lab.waiting.set(NAME, [tun, socket]);
  await lab.apply("modify", wanted());
  await lab.apply("modify", wanted(withLease));
  assertEquals(lab.taken(), []);
  await lab.read();
  assertEquals(lab.taken(), ["open 8285 1 3/4", "peers ", `keep ${NAME} 3,4`]);
});

Deno.test("tunnels: what was kept and does not fit is closed, and made anew", async () => {
  const misfits: Record<string, readonly KeptDescriptor[]> = {
    "another port": [tun, { ...socket, port: 9999 }],
    "another address": [tun, { ...socket, address: "192.168.64.99" }],
    "several queues": [{ ...tun, multiQueue: true }, socket],
    "a plain device": [{ ...tun, offload: false }, socket],
    "another device": [{ ...tun, name: "flannel1" }, socket],
    "no socket": [tun],
  };
  for (const [what, kept] of Object.entries(misfits)) {
    const lab = new Lab();
    lab.waiting.set(NAME, kept);
    await lab.apply("modify", wanted());
    const closed = kept.map(({ fd }) => `close ${fd}`);
    assertEquals(lab.taken(), [
      ...closed,
      `forget ${NAME}`,
      "open 8285 1 anew",
      "peers ",
      `keep ${NAME} 11,12`,
    ], what);
    assertMatch(lab.said[0]!, /does not fit/);
  }
});

Deno.test("tunnels: what was kept and is not wanted is closed", async () => {
  const lab = new Lab();
  lab.waiting.set(NAME, [tun, socket]);
  await lab.apply("delete", wanted());
  assertEquals(lab.taken(), ["close 3", "close 4", `forget ${NAME}`]);
});

Deno.test("tunnels: a change keeps as much as it can", async () => {
  const lab = new Lab();
  await lab.apply("create", wanted());
  lab.taken();
  await lab.apply("modify", wanted(withLease));
  assertEquals(lab.taken(), ["sources 10.1.15.0"]);
  await lab.apply("modify", wanted({ ...withLease, sender: "pool" }));
  assertEquals(lab.taken(), [
    "release",
    `forget ${NAME}`,
    "open 8285 1 11/12",
    "peers ",
    `keep ${NAME} 11,12`,
  ]);
  await lab.apply("modify", wanted({ ...withLease, sender: "pool", port: 9000 }));
  const moved = [
    "release",
    `forget ${NAME}`,
    "close 12",
    "open 9000 1 11/null",
    "peers ",
    `keep ${NAME} 11,13`,
  ];
  assertEquals(lab.taken(), moved);
  await lab.apply("modify", wanted({ ...withLease, sender: "pool", port: 9000, queues: 2 }));
  assertEquals(lab.taken(), [
    "dispose",
    `forget ${NAME}`,
    "open 9000 2 anew",
    "peers ",
    `keep ${NAME} 11,12`,
  ]);
});

Deno.test("tunnels: a refused change leaves no descriptor behind, and the tunnel to be made anew", async () => {
  const lab = new Lab();
  await lab.apply("create", wanted());
  lab.taken();
  lab.refuses = "open the UDP tunnel: the address is in use";
  const [error] = await lab.apply("modify", wanted({ port: 9000 }));
  assertMatch(
    error!,
    /^change tunnel flannel0 udp port 9000 on 192.168.64.11: open the UDP tunnel: the address/,
  );
  assertEquals(lab.taken(), ["release", `forget ${NAME}`, "close 12", "close 11"]);
  assertEquals(await lab.read(), []);
  const [orphan] = await lab.apply("create", peer("10.1.16.0/24", "192.168.64.12"));
  assertMatch(orphan!, /the tunnel does not run/);
});

Deno.test("tunnels: a device that was deleted, or made by another, means that the tunnel is gone", async () => {
  for (const index of [null, 8]) {
    const lab = new Lab();
    await lab.apply("create", wanted());
    await lab.read();
    lab.taken();
    lab.index = index;
    assertEquals([await lab.read(), lab.taken()], [[], ["dispose", `forget ${NAME}`]]);
  }
});

Deno.test("tunnels: one that ends by itself is closed, so that the device's end brings the next round", async () => {
  const lab = new Lab();
  await lab.apply("create", wanted());
  lab.taken();
  lab.end(new Failure("carry packets: no such device"));
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(lab.taken(), ["dispose", `forget ${NAME}`]);
  assertEquals(lab.said, ["carry packets: no such device; it is made anew"]);
});

Deno.test("tunnels: what they make use of is said once, and again when it changes", async () => {
  const lab = new Lab();
  await lab.apply("create", wanted());
  await lab.read();
  await lab.read();
  assertEquals(lab.said, ["flannel0 carries packets with tso, sender socket"]);
});
