/**
 * Every single failure point of a full set-up in turn: each operation on the kernel, each reading of it, each call of the
 * store fails once, and then five times. Whatever it was, the host ends up with exactly what it has without any failure, is
 * ready, and has said what it tried again.
 *
 *     four peers' records ── store ── one host: devices, addresses, neighbours, FDB, routes, chains and jumps of both families
 *
 * A daemon whose start fails ends and says why, for a supervisor to start it again; so it is done here.
 */
import { assert, assertEquals } from "@std/assert";
import { noSubnetFile } from "../../src/control/subnet_files.ts";
import type { Operation } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { Cluster, type TestHost } from "../support/cluster.ts";
import { type EtcdFault, EtcdModel } from "../support/etcd_model.ts";

interface SetUp {
  readonly cluster: Cluster;
  readonly host: TestHost;
}

const dual = { EnableIPv6: true, IPv6Network: "fd00:10::/48", IPv6SubnetLen: 64 };
const networks: Readonly<Record<string, unknown>> = {
  "vxlan": { Network: "10.1.0.0/16", Backend: { Type: "vxlan" } },
  "vxlan, dual stack": { Network: "10.1.0.0/16", ...dual, Backend: { Type: "vxlan" } },
  "vxlan, IPv6 alone": { EnableIPv4: false, ...dual, Backend: { Type: "vxlan" } },
  "vxlan, DirectRouting": { Network: "10.1.0.0/16", Backend: { Type: "vxlan", DirectRouting: true } },
  "udp": { Network: "10.1.0.0/16", Backend: { Type: "udp" } },
  "udp, dual stack": { Network: "10.1.0.0/16", ...dual, Backend: { Type: "udp" } },
  "host-gw, dual stack": { Network: "10.1.0.0/16", ...dual, Backend: { Type: "host-gw" } },
};

/** Keys and values of four peers, as they stand in a store. */
function peers(network: unknown): [key: string, value: string][] {
  const { Backend: { Type }, EnableIPv4 = true, EnableIPv6 } = network as {
    Backend: { Type: string };
    EnableIPv4?: boolean;
    EnableIPv6?: boolean;
  };
  return [1, 2, 3, 4].map((n) => {
    const data = { VNI: 1, VtepMAC: `02:00:00:00:00:0${n}` };
    const subnets = [...EnableIPv4 ? [`10.1.${n}.0-24`] : [], ...EnableIPv6 ? [`fd00:10:0:${n}::-64`] : []];
    const value = {
      PublicIP: EnableIPv4 ? `192.168.64.10${n}` : "0.0.0.0",
      PublicIPv6: EnableIPv6 ? `fd00:64::10${n}` : null,
      BackendType: Type === "udp" ? "" : Type,
      ...(Type === "vxlan" && EnableIPv4 && { BackendData: data }),
      ...(Type === "vxlan" && EnableIPv6 && { BackendV6Data: data }),
    };
    return [subnets.join("&"), JSON.stringify(value)];
  });
}

function prepare(network: unknown): SetUp {
  const cluster = new Cluster(1, network);
  for (const [key, value] of peers(network)) cluster.store.put(key, value);
  const host = cluster.host(11);
  // A subnet from before: else chance has it, and failures change chance.
  const subnets = { v4: parsePrefix("10.1.77.0/24"), v6: parsePrefix("fd00:10:0:77::/64") };
  host.subnetFile = { ...noSubnetFile(), previous: { networks: [], subnets } };
  return { cluster, host };
}

/** The same with etcd's own client logic on an etcd in memory. */
function prepareEtcd(network: unknown): SetUp & { model: EtcdModel } {
  const { cluster, host } = prepare(network);
  const { clock, random } = cluster;
  const model = new EtcdModel(clock);
  model.put("/n/config", JSON.stringify(network));
  for (const [key, value] of peers(network)) {
    model.put(`/n/${key.includes(".") ? "subnets" : "subnet6"}/${key}`, value);
  }
  host.store = new V3Store(model.connect(), {
    prefix: "/n",
    previous: { v4: null, v6: null },
    clock,
    random,
  });
  return { cluster, host, model };
}

/** Starts the host, again where its start failed, and lets it come to rest; the failures of its starts. */
async function run({ cluster, host }: SetUp, restMs = 120_000): Promise<string[]> {
  const failures: string[] = [];
  for (await host.start(); failures.length < 10; await host.start()) {
    await cluster.advance(restMs);
    if (host.failure === null) return failures;
    failures.push(host.failure);
    host.kernel.endProcess(false);
    host.failure = null;
  }
  throw new Error(`the start fails for ever: ${failures.at(-1)}`);
}

/** Everything that stands, and whether the host is content. */
function outcome({ host }: SetUp): unknown {
  const objects = host.kernel.objects().map((o) => `${o.kind} ${o.key} ${JSON.stringify(o.fields)}`).sort();
  return { objects, readiness: host.overlay?.readiness() };
}

interface Clean {
  readonly outcome: unknown;
  readonly operations: number;
  readonly reads: number;
}

/** A set-up without failures. */
async function clean(network: unknown): Promise<Clean> {
  const setUp = prepare(network);
  let reads = 0;
  setUp.host.kernel.unreadable = () => (reads++, null);
  assertEquals(await run(setUp, 10_000), []);
  const ended = outcome(setUp);
  await setUp.cluster[Symbol.asyncDispose]();
  return { outcome: ended, operations: setUp.host.kernel.tried, reads };
}

/** The same however often it is tried: what a tunnel has made meanwhile (its device) is changed instead of created. */
const id = ({ verb, object }: Operation) =>
  `${verb === "delete" ? verb : "make"} ${object.kind} ${object.key}`;

for (const [name, network] of Object.entries(networks)) {
  for (const times of [1, 5]) {
    Deno.test(`${name}: each operation in turn fails ${times} times`, async () => {
      const wanted = await clean(network);
      assert(wanted.operations > 5);
      for (let at = 0; at < wanted.operations; at++) {
        const setUp = prepare(network);
        let victim: string | null = null;
        let left = times;
        setUp.host.kernel.refuse = (operation, nth) => {
          if (nth === at) victim = id(operation);
          return id(operation) === victim && left-- > 0 ? `refused ${victim}` : null;
        };
        const failures = await run(setUp);
        assertEquals(left <= 0, true, `operation ${at} (${victim}) was not tried again`);
        assertEquals(outcome(setUp), wanted.outcome, `after ${victim} had failed`);
        const told = [...failures, ...setUp.host.said(/trying again/)].filter((line) =>
          line.includes(victim!)
        );
        assert(told.length > 0, `nothing was said of ${victim}: ${setUp.host.lines.join("\n")}`);
        await setUp.cluster[Symbol.asyncDispose]();
      }
    });
  }

  Deno.test(`${name}: each reading in turn fails once and five times`, async () => {
    const wanted = await clean(network);
    for (let at = 0; at < wanted.reads; at++) {
      for (const times of [1, 5]) {
        const setUp = prepare(network);
        let nth = 0;
        setUp.host.kernel.unreadable = () =>
          nth >= at && nth++ < at + times ? "no buffer space" : (nth++, null);
        const failures = await run(setUp);
        assertEquals(outcome(setUp), wanted.outcome, `after reading ${at}`);
        const told = [...failures, ...setUp.host.said(/trying again/)].filter((l) =>
          l.includes("no buffer space")
        );
        assert(told.length > 0, `nothing was said of reading ${at}`);
        await setUp.cluster[Symbol.asyncDispose]();
      }
    }
  });
}

/** As many calls of a store as a set-up makes. */
async function storeCalls(network: unknown): Promise<number> {
  const setUp = prepare(network);
  await run(setUp, 10_000);
  await setUp.cluster[Symbol.asyncDispose]();
  return setUp.cluster.store.operations;
}

for (const fault of ["fail", "lose reply"] as const) {
  Deno.test(`memory store: each call in turn, once and five times: ${fault}`, async () => {
    const network = networks["vxlan, dual stack"];
    const wanted = await clean(network);
    const calls = await storeCalls(network);
    for (let at = 0; at < calls; at++) {
      for (const times of [1, 5]) {
        const setUp = prepare(network);
        setUp.cluster.store.inject = (_, nth) => nth >= at && nth < at + times ? fault : null;
        assertEquals(await run(setUp), []);
        assertEquals(outcome(setUp), wanted.outcome, `${fault} of call ${at}, ${times} times`);
        assertEquals(setUp.cluster.store.keys().length, 5, "a lost reply took a second subnet");
        await setUp.cluster[Symbol.asyncDispose]();
      }
    }
  });
}

for (
  const [fault, kind] of [
    ["fail", "vxlan, dual stack"],
    ["lose reply", "vxlan, dual stack"],
    ["twice", "vxlan, dual stack"],
    ["lose reply", "vxlan, IPv6 alone"],
  ] satisfies [EtcdFault, string][]
) {
  Deno.test(`etcd: each call in turn, once and five times: ${fault}; ${kind}`, async () => {
    const network = networks[kind];
    const plain = prepareEtcd(network);
    await run(plain, 10_000);
    const wanted = outcome(plain);
    const { calls } = plain.model;
    await plain.cluster[Symbol.asyncDispose]();
    assert(calls > 5);
    for (let at = 0; at < calls; at++) {
      for (const times of [1, 5]) {
        const setUp = prepareEtcd(network);
        setUp.model.inject = (_, nth) => nth >= at && nth < at + times ? fault : null;
        assertEquals(await run(setUp), []);
        assertEquals(outcome(setUp), wanted, `${fault} of call ${at}, ${times} times`);
        assertEquals(setUp.model.keys.size, 6, "the configuration, four peers and one record of ours");
        await setUp.cluster[Symbol.asyncDispose]();
      }
    }
  });
}
