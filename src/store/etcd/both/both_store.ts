/**
 * A store out of two: etcd's v2 and v3 API at once, for a cluster in which some hosts know the one and some the other.
 *
 * Our own lease stands in both (`table.ts`), what both tell becomes one (`view.ts`), and of all hosts that see both one
 * is elected to mirror the records of the others (`election.ts`, `bridge.ts`). It stands for election while it is watched.
 */
import type { Clock, Random } from "../../../model/clock.ts";
import { messageOf } from "../../../model/errors.ts";
import { parseNetworkConfig } from "../../../model/parse_config.ts";
import { abortable } from "../../../async/abortable.ts";
import type { Log } from "../../../observe/log.ts";
import { contradictions, readBoth } from "./config.ts";
import { BothTable } from "./table.ts";
import { BothView, SIDES } from "./view.ts";
import { Bridge } from "./bridge.ts";
import type { ConfigPlace } from "../../config_place.ts";
import type { Election } from "./election.ts";
import type { EtcdStoreFlags } from "../etcd_store.ts";
import { interleave } from "../../../async/interleave.ts";
import type { CopyTable } from "../../lease_table.ts";
import { TableStore } from "../../table_store.ts";
import type { Store, StoreEvent } from "../../store.ts";

/** One of the two. */
export interface BothSide {
  readonly store: Store;
  readonly table: CopyTable;
  readonly config: ConfigPlace;
}

export interface BothParts {
  /** The store owns both and closes them. */
  readonly v2: BothSide;
  readonly v3: BothSide;
  readonly election: Election;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
}

/**
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export async function openBothStore(flags: EtcdStoreFlags): Promise<BothStore> {
  const [{ connectOptions }, { connectV2 }, { connectV3 }, etcd2, etcd3, { Election }, { electionKey }] =
    await Promise.all([
      import("../etcd_store.ts"),
      import("../v2/client.ts"),
      import("../v3/client.ts"),
      import("../v2/v2_store.ts"),
      import("../v3/v3_store.ts"),
      import("./election.ts"),
      import("../keys.ts"),
    ]);
  const options = connectOptions(flags);
  const [remote2, remote3] = [connectV2(options), connectV3(options)];
  const [v2, v3] = [new etcd2.V2Store(remote2, flags), new etcd3.V3Store(remote3, flags)];
  const { clock, random, log, prefix } = flags;
  return new BothStore({
    v2: { store: v2, table: v2.table, config: etcd2.v2ConfigPlace(remote2, prefix) },
    v3: { store: v3, table: v3.table, config: etcd3.v3ConfigPlace(remote3, prefix) },
    election: new Election({ remote: remote3, key: electionKey(prefix), clock, random, log }),
    clock,
    random,
    ...(log && { log }),
  });
}

export class BothStore extends TableStore {
  constructor(parts: BothParts) {
    /** Watches with their elections under way. */
    const standing = new Set<Promise<void>>();
    super({
      name: parts.v3.store.name,
      table: new BothTable(parts.v2.table, parts.v3.table),
      deps: parts,
      config: (signal) => readBoth(parts.v2.store, parts.v3.store, signal),
      events: (signal) => watchBoth(parts, standing, signal),
      // The place of the elected is given back first.
      close: async () => {
        await Promise.allSettled(standing);
        await parts.v2.store[Symbol.asyncDispose]();
        await parts.v3.store[Symbol.asyncDispose]();
      },
    });
  }
}

/** What both tell, while we stand for election to mirror. @param standing holds the elections that have not ended */
async function* watchBoth(
  parts: BothParts,
  standing: Set<Promise<void>>,
  signal: AbortSignal,
): AsyncGenerator<StoreEvent> {
  const { v2, v3, election, clock, log } = parts;
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  const view = new BothView({ endInV3: (lease) => abortable(v3.table.endOf(lease), over), log });
  const bridge = new Bridge({
    tables: { v2: v2.table, v3: v3.table },
    entries: () => view.entries(),
    objections: () => objections(parts),
    clock,
    log,
  });
  const place = election.run(over, (elected) => bridge.serve(elected));
  standing.add(place);
  place.finally(() => standing.delete(place));
  try {
    for await (const [from, event] of interleave(v2.store.watch(over), v3.store.watch(over))) {
      yield* await view.take(SIDES[from], event);
      bridge.wake();
    }
  } finally {
    end.abort();
  }
}

/** Why the two may not be bridged. */
async function objections({ v2, v3 }: BothParts): Promise<string[]> {
  const [two, three] = await Promise.all([v2.config.read(), v3.config.read()]);
  if (two === null || three === null) return [`there is no configuration in ${two === null ? "v2" : "v3"}`];
  try {
    return contradictions(parseNetworkConfig(two.text), parseNetworkConfig(three.text));
  } catch (thrown) {
    return [`a configuration is wrong: ${messageOf(thrown)}`];
  }
}
