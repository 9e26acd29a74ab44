/** What is wrong with one simulated machine now: all of it off at first, and off again after `end`. */
import type { Operation } from "../../../src/model/plan.ts";
import type { EtcdFault } from "../etcd_model.ts";

/** Operations that fail: so many of those that match. */
export interface Refusal {
  readonly why: string;
  left: number;
  matches(operation: Operation): boolean;
}

export class HostFaults {
  /** Longest time of a call of the store, each way; milliseconds. */
  latencyMs = 0;
  partitioned = false;
  /** What happens to the next calls of the store. */
  storeCalls: (EtcdFault | null)[] = [];
  /** So many of the next calls of the store are refused, as with a wrong password. */
  refusedCalls = 0;
  /** When the last of them was. */
  refusedAt = -Infinity;
  /** So many of the next lists of a watch fail. */
  failingLists = 0;
  /** So many of the next lists lack records. */
  thinLists = 0;
  /** Longest time of an operation on the kernel, or of a reading. */
  slowMs = 0;
  refusals: Refusal[] = [];
  /** So many of the next readings fail. */
  unreadable = 0;
  /** Longest delay of a kernel event. */
  eventDelayMs = 0;
  lostEvents = 0;
  /** So many of the next devices get another MAC soon after they were made. */
  rewrites = 0;
  /** The subnet file can't be written. */
  fileBroken = false;

  /** Why an operation fails, or null. */
  refuse(operation: Operation): string | null {
    const refusal = this.refusals.find(({ left, matches }) => left > 0 && matches(operation));
    if (refusal === undefined) return null;
    refusal.left--;
    return refusal.why;
  }

  end(): void {
    Object.assign(this, new HostFaults());
  }
}
