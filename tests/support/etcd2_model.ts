/**
 * The v2 API of the etcd in memory: the same keys, faults and clock as `etcd_model.ts` has, behind the seam of `V2Remote`.
 *
 * A key's lifetime is a lease that it has to itself. A watch tells one event at a time, as long polls do.
 */
import {
  IndexCleared,
  type V2Node,
  type V2Remote,
  type V2Write,
  type V2Written,
} from "../../src/store/etcd/v2/remote.ts";
import { NO_LEASE } from "../../src/store/etcd/v3/remote.ts";
import type { WatchBatch, WatchEvent } from "../../src/store/etcd/reader.ts";
import { type ModelKey, ModelReader } from "./etcd_model.ts";

export class Etcd2ModelRemote extends ModelReader<V2Node> implements V2Remote {
  write({ key, expect, expectValue, put }: V2Write, signal?: AbortSignal): Promise<V2Written> {
    return this.call("write", signal, (model) => {
      const current = model.keys.get(key) ?? null;
      const other = expectValue !== undefined && current?.value !== expectValue;
      if ((current?.modRevision ?? 0) !== expect || other) {
        return { succeeded: false, current: current && this.shown(current, "now") };
      }
      if (current !== null) model.leases.delete(current.lease);
      if (put === null) model.delete(key);
      else model.put(key, put.value, put.ttl === null ? NO_LEASE : model.grant(put.ttl).id);
      return { succeeded: true, node: this.shown(model.keys.get(key) ?? current!, "now") };
    });
  }

  release(): Promise<string> {
    return Promise.resolve("3.4.23");
  }

  protected shown(kv: ModelKey, at: "then" | "now"): V2Node {
    const { key, value, createRevision, modRevision, ends } = kv;
    const now = this.model.leases.get(kv.lease)?.ends ?? ends;
    return { key, value, createRevision, modRevision, expires: at === "then" ? ends : now };
  }

  protected historyLost(revision: number): IndexCleared {
    return new IndexCleared(revision);
  }

  protected batches(events: readonly WatchEvent<V2Node>[]): WatchBatch<V2Node>[] {
    return events.map((event) => ({
      header: { cluster: this.model.cluster, revision: event.kv.modRevision },
      events: [event],
    }));
  }
}
