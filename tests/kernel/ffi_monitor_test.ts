/** Kernel events: what others change is told, what we change is not (as far as the kernel says), nothing leaks. */
import { assert, assertEquals } from "@std/assert";
import type { MonitorKind, Netlink, NetlinkMonitor } from "../../ffi/records.ts";
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
import { output, poll, run } from "../support/process.ts";

/** Collects what a monitor tells. */
class Listener implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #seen = new Set<MonitorKind>();
  readonly monitor: NetlinkMonitor;
  turns = 0;

  constructor(netlink: Netlink) {
    this.monitor = netlink.monitor(this.#stop.signal);
    this.#done = this.#listen(this.monitor);
  }

  async #listen(events: AsyncIterable<ReadonlySet<MonitorKind>>): Promise<void> {
    for await (const kinds of events) {
      this.turns++;
      for (const kind of kinds) this.#seen.add(kind);
    }
  }

  /** Resolves when `kind` was told; with all that was told since the last call. */
  async until(kind: MonitorKind): Promise<MonitorKind[]> {
    await poll(`an event of kind ${kind}`, 5000, () => this.#seen.has(kind));
    const seen = [...this.#seen];
    this.#seen = new Set();
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

/**
 * What was told since the last call, once everything that has happened so far is certain to have been told: the kernel
 * queues events in order, so a change of a kind that comes last marks the end.
 */
async function toldBefore(
  listener: Listener,
  mark: () => Promise<unknown>,
  kind: MonitorKind,
): Promise<MonitorKind[]> {
  await mark();
  return (await listener.until(kind)).filter((told) => told !== kind);
}

/** IPv6 takes seconds to settle on new links and tells of every step: without it events are exactly ours. */
async function withoutIpv6(): Promise<void> {
  await sh(`
    for device in dnm0 dnm1 dnmx; do
      [ ! -e /proc/sys/net/ipv6/conf/$device ] || echo 1 > /proc/sys/net/ipv6/conf/$device/disable_ipv6
    done
  `);
}

const outside: Record<string, [kind: MonitorKind, script: string]> = {
  "a link that goes down": ["link", "ip link set dnmx down"],
  "an address": ["address", "ip address add 10.88.9.9/32 dev dnmx"],
  "a route": ["route", "ip route add 10.99.0.0/16 via 10.77.0.2"],
  "an IPv6 route": ["route", "ip -6 route add fd99::/64 via fd77::2"],
  "a deleted route": ["route", "ip route del 10.98.0.0/16"],
  "a nexthop object": ["nexthop", "ip nexthop add id 5 via 10.77.0.2 dev dnm0; ip nexthop del id 5"],
  "a neighbour": ["neighbour", "ip neigh replace 10.88.0.9 lladdr 02:00:00:00:00:09 dev dnmx nud permanent"],
  "a forwarding entry": ["fdb", "bridge fdb add 02:00:00:00:00:09 dev dnmx dst 10.77.0.9 self permanent"],
  "an nftables table": ["nftables", "nft add table ip dnm; nft delete table ip dnm"],
};

for (const [what, [kind, script]] of Object.entries(outside)) {
  benchTest(`told: ${what} that another process changes`, async (bench) => {
    await makeVxlan(bench);
    await sh("ip route add 10.98.0.0/16 via 10.77.0.2");
    await using listener = new Listener(bench.netlink);
    await sh(script);
    assert((await listener.until(kind)).includes(kind));
  });
}

benchTest(
  "not told: our own routes, nexthop objects, IPv4 addresses, new and replaced neighbours",
  async (bench) => {
    const { netlink } = bench;
    const index = await makeVxlan(bench);
    await withoutIpv6();
    await using listener = new Listener(netlink);
    const mark = (i: number) => () => sh(`nft add table ip dnm${i}; nft delete table ip dnm${i}`);
    await toldBefore(listener, mark(0), "nftables");
    const record = route(index, "10.99.1.0/24");
    const entry = neighbour(index, "10.99.1.0");
    const hop = { id: 5, gateway: "10.99.2.0", index, onlink: true, protocol: 85, special: null };
    const address = { index, address: "10.88.3.0", length: 32, scope: 0, flags: 0 };
    for (const verb of ["create", "replace", "delete"] as const) {
      assertEquals(await netlink.applyRoutes([{ verb, record }]), [0]);
      assertEquals(await netlink.applyNexthops([{ verb, record: hop }]), [0]);
    }
    for (const verb of ["create", "replace"] as const) {
      assertEquals(await netlink.applyNeighbours([{ verb, record: entry }]), [0]);
      assertEquals(await netlink.applyAddresses([{ verb, record: address }]), [0]);
    }
    // The local table gets a route for each address.
    const others = (await toldBefore(listener, mark(1), "nftables")).filter((kind) =>
      kind !== "route" && kind !== "elsewhere"
    );
    assertEquals(others, []);
  },
);

benchTest("not told: a change to what is there already, because nothing is sent", async (bench) => {
  const { netlink } = bench;
  await makeVxlan(bench);
  await withoutIpv6();
  await using listener = new Listener(netlink);
  const change = { verb: "change" as const, record: vxlanLink(bench.lower) };
  assertEquals(await netlink.applyLinks([change]), [0]);
  const told = await toldBefore(
    listener,
    () => sh("nft add table ip dnm; nft delete table ip dnm"),
    "nftables",
  );
  assertEquals(told.includes("link"), false);
});

benchTest("told although ours, because the kernel does not say whose they are", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  await withoutIpv6();
  await using listener = new Listener(netlink);
  await netlink.applyNeighbours([{ verb: "create", record: fdb(index, "02:00:00:00:00:02", "10.77.0.2") }]);
  await listener.until("fdb");
  const record = neighbour(index, "10.99.1.0");
  await netlink.applyNeighbours([{ verb: "create", record }, { verb: "delete", record }]);
  await listener.until("neighbour");
});

benchTest("neighbour and FDB events count on watched devices only", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  await withoutIpv6();
  await using listener = new Listener(netlink);
  listener.monitor.watch([index], []);
  await netlink.neighbours([bench.lower]);
  await sh("ip neigh replace 10.77.0.60 lladdr 02:00:00:00:00:60 dev dnm0");
  const elsewhere = await toldBefore(listener, () => sh("ip route add 10.97.0.0/16 via 10.77.0.2"), "route");
  assertEquals(elsewhere.includes("neighbour"), false);
  await sh("ip neigh replace 10.88.0.60 lladdr 02:00:00:00:00:60 dev dnmx");
  await listener.until("neighbour");
  listener.monitor.watch([bench.lower], []);
  await sh("ip neigh replace 10.77.0.61 lladdr 02:00:00:00:00:61 dev dnm0");
  await listener.until("neighbour");
});

benchTest("a storm of events is gathered into few turns, and the last is never missed", async (bench) => {
  const index = await makeVxlan(bench);
  await using listener = new Listener(bench.netlink);
  const lines = Array.from(
    { length: 4000 },
    (_, i) => `route replace 10.99.${i & 255}.0/24 dev dnmx metric ${i}`,
  );
  await run(["ip", "-batch", "-"], { input: lines.join("\n") });
  await listener.until("route");
  assert(listener.turns < 2000, `${listener.turns} turns for 4000 events`);
  await sh(`ip route add 10.96.0.0/16 dev dnmx`);
  await listener.until("route");
  assertEquals(await indexOf(bench.netlink, "dnmx"), index);
});

/** Descriptors and threads of this process that a monitor could have left. */
function held(): { descriptors: number; threads: number } {
  const threads = [...Deno.readDirSync("/proc/self/task")].filter(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/self/task/${name}/comm`).trim() === "denim-monitor";
    } catch {
      return false;
    }
  });
  return { descriptors: [...Deno.readDirSync("/proc/self/fd")].length, threads: threads.length };
}

async function startAndStop({ netlink }: Bench): Promise<void> {
  await using _listener = new Listener(netlink);
  // A thread that has been joined is listed for a moment longer.
  await poll("one thread, this monitor's", 5000, () => held().threads === 1);
}

benchTest("started and stopped thirty times nothing is left, and stopping is quick", async (bench) => {
  await startAndStop(bench);
  await poll("the first pipe to be closed", 5000, () => held().threads === 0);
  const before = held();
  const start = performance.now();
  for (let i = 0; i < 30; i++) await startAndStop(bench);
  assert(performance.now() - start < 3000, `${performance.now() - start} ms`);
  await poll("all descriptors to be closed", 5000, () => held().descriptors <= before.descriptors);
  await poll("the last thread to be gone", 5000, () => held().threads === 0);
});

benchTest("a monitor whose signal was aborted before ends at once", async ({ netlink }) => {
  for await (const _ of netlink.monitor(AbortSignal.abort())) throw new Error("an event after the end");
});

const exits: Record<string, [code: string, status: number]> = {
  "Deno.exit": ["Deno.exit(7)", 7],
  "an uncaught error": ["throw new Error('the end')", 1],
  "an unhandled rejection": ["Promise.reject(new Error('the end')); await new Promise(() => {})", 1],
  "SIGTERM": ["Deno.kill(Deno.pid, 'SIGTERM'); await new Promise(() => {})", 143],
};

for (const [what, [code, status]] of Object.entries(exits)) {
  benchTest(`the process ends cleanly with the thread alive: ${what}`, async () => {
    const ffi = new URL("../../ffi/", import.meta.url);
    const source = `
      import { loadLibrary } from "${new URL("library.ts", ffi)}";
      import { openNetlink } from "${new URL("netlink.ts", ffi)}";
      const netlink = openNetlink(loadLibrary());
      const events = netlink.monitor(new AbortController().signal)[Symbol.asyncIterator]();
      await new Deno.Command("ip", { args: ["link", "add", "dnme", "type", "bridge"] }).output();
      await events.next();
      await new Deno.Command("ip", { args: ["link", "del", "dnme"] }).output();
      ${code};
    `;
    const ended = await output([Deno.execPath(), "run", "-A", "--ext=ts", "-"], {
      input: source,
      deadline: 20_000,
    });
    assertEquals(ended.code, status, ended.stderr);
  });
}
