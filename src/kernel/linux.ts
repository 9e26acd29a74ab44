/**
 * The real kernel: drivers composed into one `Kernel`.
 *
 * - Operations are applied in the order of the plan. Neighbouring ones of the same driver go to it in one batch; a batch that
 *   fails as a whole fails its own operations, and the next is applied all the same.
 * - Devices are looked up anew after each batch that changed some, so what is made early in a plan can be used later in it.
 * - A read is whole or it is rejected: one driver that can't answer makes the answer useless for pruning.
 */
import type { MonitorKind, Netlink, NetlinkMonitor } from "../../ffi/records.ts";
import { messageOf } from "../model/errors.ts";
import { type Kind, makesDevices } from "../model/objects.ts";
import type { Owner } from "../model/owner.ts";
import type { KindRules, Operation, Outcome } from "../model/plan.ts";
import { formatPrefix } from "../model/prefix.ts";
import { addressDriver } from "./addresses.ts";
import { KernelNews } from "./changes.ts";
import type { Driver, LinkSource } from "./driver.ts";
import type { Kernel, KernelEvent } from "./kernel.ts";
import { deviceStandings, linkDriver } from "./links.ts";
import { LinkTable } from "./link_table.ts";
import { neighbourDriver } from "./neighbour_driver.ts";
import { nexthopDriver } from "./nexthops.ts";
import { failed } from "./outcomes.ts";
import { routeDriver } from "./routes.ts";
import type { TunnelDriver } from "./tunnel/tunnels.ts";
import { readOccupied } from "./occupied.ts";
import { procSys, type SysctlAccess, sysctlDriver } from "./sysctls.ts";
import { readDefaultRoutes, readInterfaces, readRoutes } from "./underlay_facts.ts";

export interface LinuxOptions {
  /** Closed with the kernel. */
  readonly netlink: Netlink;
  /** The drivers of chains and jumps; they don't look at devices. */
  readonly firewall: readonly Driver[];
  /** Closed with the kernel; without it there are no userspace tunnels. */
  readonly tunnels?: TunnelDriver;
  /** /proc/sys unless told. */
  readonly sysctls?: SysctlAccess;
}

export function openKernel({ netlink, firewall, tunnels, sysctls = procSys }: LinuxOptions): Kernel {
  const drivers = [
    ...tunnels ? [tunnels] : [],
    linkDriver(netlink),
    sysctlDriver(sysctls),
    addressDriver(netlink),
    neighbourDriver(netlink),
    nexthopDriver(netlink),
    routeDriver(netlink),
    ...firewall,
  ];
  const all = drivers.flatMap((driver) => driver.rules.map((rules) => ({ driver, rules })));
  const byKind = new Map(all.map((entry) => [entry.rules.kind, entry]));
  const tables = new LinkTables(netlink);
  const monitors = new Set<NetlinkMonitor>();
  const news = new KernelNews(() => tables.source()());
  return {
    rules: new Map(all.map(({ rules }) => [rules.kind, rules])),
    get hasNexthops() {
      return netlink.nexthopsSupported;
    },
    read: async (owner, scope) => {
      const links = tables.source();
      if (scope.network) {
        watch(monitors, await links(), owner);
        news.reading(await links());
      }
      const asked = drivers.filter((driver) => scope[driver.scope]);
      return (await Promise.all(asked.map((driver) => driver.read(owner, links)))).flat();
    },
    apply: async (operations) => {
      const outcomes = await apply(tables, byKind, operations);
      news.applied(outcomes);
      return outcomes;
    },
    changes: (owner) => news.take(owner),
    events: (signal) => {
      const monitor = netlink.monitor(signal);
      monitors.add(monitor);
      signal.addEventListener("abort", () => monitors.delete(monitor), { once: true });
      news.listen(monitor, signal);
      return kernelEvents(monitor, news);
    },
    interfaces: () => readInterfaces(netlink),
    routes: (to) => readRoutes(netlink, to),
    defaultRoutes: (family) => readDefaultRoutes(netlink, family),
    occupied: (owner) => readOccupied(netlink, owner),
    tunnels: () => tunnels?.reports() ?? [],
    [Symbol.dispose]: () => {
      tunnels?.[Symbol.dispose]();
      netlink[Symbol.dispose]();
    },
  };
}

/**
 * From now on what is on our devices counts, and what leads into our networks: told before the rest is read, so that nothing
 * changes unnoticed in between. Also where there is no device of ours: what others' neighbours do would wake us for nothing.
 */
function watch(monitors: ReadonlySet<NetlinkMonitor>, table: LinkTable, owner: Owner): void {
  const indexes = [...deviceStandings(table, owner).keys()].map((name) => table.indexOf(name)!);
  const networks = owner.networks.map(formatPrefix);
  for (const monitor of monitors) monitor.watch(indexes, networks);
}

type ByKind = ReadonlyMap<Kind, { readonly driver: Driver; readonly rules: KindRules }>;

async function apply(
  tables: LinkTables,
  byKind: ByKind,
  operations: readonly Operation[],
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let links = tables.source();
  for (const batch of batches(operations, byKind)) {
    outcomes.push(...await applyBatch(batch, byKind, links));
    if (batch.some(({ object }) => makesDevices(object))) links = tables.source();
  }
  return outcomes;
}

/** Runs of operations that belong to one driver, in order. */
function batches(operations: readonly Operation[], byKind: ByKind): Operation[][] {
  const runs: Operation[][] = [];
  let current: Driver | undefined;
  for (const operation of operations) {
    const driver = byKind.get(operation.object.kind)?.driver;
    if (runs.length === 0 || driver !== current) runs.push([]);
    runs.at(-1)!.push(operation);
    current = driver;
  }
  return runs;
}

async function applyBatch(batch: Operation[], byKind: ByKind, links: LinkSource): Promise<Outcome[]> {
  const entry = byKind.get(batch[0]!.object.kind);
  if (!entry) {
    return batch.map((operation) => ({ operation, error: `nothing drives ${describe(operation)}` }));
  }
  try {
    return await entry.driver.apply(batch, links);
  } catch (thrown) {
    return batch.map((operation) => {
      const rules = byKind.get(operation.object.kind)!.rules;
      return failed(rules, operation, messageOf(thrown));
    });
  }
}

function describe({ object }: Operation): string {
  return `${object.kind} "${object.key}"`;
}

/** Reads the devices anew for each source; where nothing about any has changed, the table is the very one of before. */
class LinkTables {
  #last = new LinkTable([]);

  constructor(readonly netlink: Netlink) {}

  source(): LinkSource {
    let table: Promise<LinkTable> | undefined;
    return () => table ??= this.#read();
  }

  async #read(): Promise<LinkTable> {
    const records = await this.netlink.links();
    const { records: known } = this.#last;
    const same = records.length === known.length && records.every((record, i) => record === known[i]);
    if (!same) this.#last = new LinkTable(records);
    return this.#last;
  }
}

async function* kernelEvents(
  changes: AsyncIterable<ReadonlySet<MonitorKind>>,
  news: KernelNews,
): AsyncGenerator<KernelEvent> {
  for await (const changed of changes) {
    if (changed.has("elsewhere")) news.elsewhere();
    const kinds = [...changed].map((kind) =>
      kind === "nftables" ? "chain" : kind === "elsewhere" ? "route" : kind
    );
    yield { kinds: new Set(kinds) };
  }
}
