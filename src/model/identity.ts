/**
 * Who owns a subnet: the rules by which a host takes one, keeps it and gives it up. Pure; docs/identity.md tells them with
 * their reasons, and tests/model/ checks these very functions against every order of faults.
 *
 * A host is known by a random id that it keeps on its disk, not by an address. What it writes into its record beside flannel's
 * members is its mark:
 *
 *     Host    the id, 32 hexadecimal digits
 *     Run     which process wrote it, 16 hexadecimal digits
 *     Turn    of two processes with one id the one that came later has the higher number
 *     After   while on trial: the id that this record had before
 *
 * flannel ignores these members when it reads and drops them when it writes, so that a record without a mark is flannel's, or of
 * a denim from before there were marks; it is known by its address.
 *
 * Invariants, whatever happens: two hosts that both reach the store do not both keep one subnet; nobody who had contact all the
 * time loses a subnet to another host with a mark, unless both have one id; a few writes after the last fault there are none.
 */
import type { Json } from "./json.ts";

export interface Mark {
  readonly host: string;
  readonly run: string;
  readonly turn: number;
  /** Not null while on trial. */
  readonly after: string | null;
}

/** Turns beyond this are nobody's: a hostile record could leave no room for the next. */
const LAST_TURN = 2 ** 31;

/** The members as they stand in a record; null where they are no whole mark. */
export function readMark(members: Readonly<Record<string, Json | undefined>>): Mark | null {
  const { Host: host, Run: run, Turn: turn, After: after = null } = members;
  if (!isHostId(host) || !isRunId(run) || typeof turn !== "number") return null;
  if (!Number.isInteger(turn) || turn < 1 || turn > LAST_TURN) return null;
  if (after !== null && !isHostId(after)) return null;
  return { host, run, turn, after };
}

export function isHostId(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
}

function isRunId(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{16}$/.test(value);
}

/** True for the names of a mark's members, also where they are no whole mark: nobody else's to keep. */
export function isMarkMember(name: string): boolean {
  return name === "Host" || name === "Run" || name === "Turn" || name === "After";
}

/** The members to write, in this order. */
export function markMembers({ host, run, turn, after }: Mark): Record<string, Json> {
  return { Host: host, Run: run, Turn: turn, ...(after !== null && { After: after }) };
}

/** What the rules look at of a record in the store. */
export interface Standing {
  readonly mark: Mark | null;
  /** The record's public IP is ours. */
  readonly atOurAddress: boolean;
  /** The subnet that we had before, under the MAC that our device has: our record from before our address changed. */
  readonly wasOurs: boolean;
  /** A record that never ends: an administrator has given this subnet to the host at its address. */
  readonly reserved: boolean;
  /** Grows with each creation in the store. */
  readonly created: number;
}

/** A host without a subnet. */
export interface Taker {
  readonly host: string;
  /** No subnet was ever held under this id. */
  readonly isNew: boolean;
}

/** How a subnet is to be had: over a record that stands, with the turn and the trial to write; or free. */
export type Taking<T extends Standing> =
  | {
    readonly way: "own" | "unmarked" | "trial";
    readonly over: T;
    readonly turn: number;
    readonly after: string | null;
  }
  | { readonly way: "free" };

/**
 * The order in which a host looks for a subnet.
 *
 * @param standing every readable record, but those that this process has lost or was refused before
 */
export function take<T extends Standing>(standing: readonly T[], { host, isNew }: Taker): Taking<T> {
  const own = oldest(standing.filter(({ mark }) => mark?.host === host));
  if (own) return { way: "own", over: own, turn: nextTurn(own.mark!.turn, 0), after: own.mark!.after };
  const tried = standing.find(({ mark }) => mark?.after === host);
  if (tried) return { way: "own", over: tried, turn: 1, after: null };
  const unmarked = oldest(standing.filter((s) => s.mark === null && (s.atOurAddress || s.wasOurs)));
  if (unmarked) return { way: "unmarked", over: unmarked, turn: 1, after: null };
  const others = standing.filter((s) =>
    s.mark !== null && s.mark.after === null && s.atOurAddress && (isNew || s.reserved)
  );
  const other = youngest(others);
  if (other) return { way: "trial", over: other, turn: 1, after: other.mark!.host };
  return { way: "free" };
}

function oldest<T extends Standing>(all: readonly T[]): T | undefined {
  return all.reduce<T | undefined>((a, b) => a === undefined || b.created < a.created ? b : a, undefined);
}

function youngest<T extends Standing>(all: readonly T[]): T | undefined {
  return all.reduce<T | undefined>((a, b) => a === undefined || b.created > a.created ? b : a, undefined);
}

/** A host that has a subnet, as far as it knows. */
export interface Holder {
  /** As we wrote it last, or tried to. */
  readonly mark: Mark;
  /** An id that we have begun to change to: until the write is known to stand, both are ours. */
  readonly nextHost: string | null;
  /** The store's watch was interrupted, or the store restored, since we last found our record in order. */
  readonly contactLost: boolean;
  /** A write of ours has no reply yet: it may stand or not. */
  readonly outstanding: boolean;
  /** The time of the trial is over. */
  readonly proven: boolean;
}

/** What stands at our subnets, beside what `Standing` says of it. */
export interface Found {
  readonly mark: Mark | null;
  readonly atOurAddress: boolean;
  /** It has the MAC that our device has: our record from before our address changed. */
  readonly wasOurs: boolean;
  /** It is at the version that we know as our last write. */
  readonly asWritten: boolean;
  /** Its content is what we have to say. */
  readonly upToDate: boolean;
  /** A readable record with the id of this one stands elsewhere and is older. */
  readonly elderTwin: boolean;
  /** Another host's older record at another key has part of these subnets. */
  readonly elderOverlap: boolean;
}

/** What to do about our record. `write` is over what stands, on the condition that it still does. */
export type Verdict =
  | { readonly type: "keep" }
  | { readonly type: "learn" }
  | { readonly type: "write"; readonly mark: Mark; readonly why: Why }
  | { readonly type: "create"; readonly mark: Mark }
  | { readonly type: "yield"; readonly newHost: boolean; readonly why: Why };

/** For people: `control/` puts it into words. */
export type Why =
  | "said anew"
  | "proven"
  | "copied while running"
  | "id in use"
  | "taken back from a trial"
  | "taken back from a copy"
  | "found again"
  | "replaced on trial"
  | "written by a host without an id"
  | "written by another host"
  | "part of it is an older record's"
  | "held by a copy";

/** Values that nobody else has; drawn only where they are needed. */
export interface Fresh {
  host(): string;
  run(): string;
}

/** What a holder does about what it finds at its subnets; null: nothing stands there. */
export function hold(self: Holder, found: Found | null, fresh: Fresh): Verdict {
  if (found === null) return { type: "create", mark: { ...self.mark, after: null } };
  return found.mark?.run === self.mark.run ? holdOwn(self, found, found.mark, fresh) : holdOther(self, found);
}

/** Our run wrote it. */
function holdOwn(self: Holder, found: Found, there: Mark, fresh: Fresh): Verdict {
  const { mark, outstanding, proven, contactLost } = self;
  const onTrial = mark.after !== null;
  if (!found.asWritten && !outstanding) {
    const turn = nextTurn(mark.turn, there.turn);
    return write(
      { ...mark, run: fresh.run(), turn, after: onTrial ? there.after : null },
      contactLost ? "found again" : "copied while running",
    );
  }
  if (!found.asWritten) return { type: "learn" };
  if (found.elderTwin) return write({ ...mark, host: fresh.host() }, "id in use");
  if (found.elderOverlap) return { type: "yield", newHost: false, why: "part of it is an older record's" };
  if (onTrial && proven) return write({ ...mark, after: null }, "proven");
  if (!found.upToDate || there.after !== mark.after) return write(mark, "said anew");
  return { type: "keep" };
}

/** Somebody else wrote it, or a process before us. */
function holdOther(self: Holder, { mark: there, atOurAddress, wasOurs }: Found): Verdict {
  const { mark, nextHost, contactLost } = self;
  const isOurs = (host: string | null) => host !== null && (host === mark.host || host === nextHost);
  if (mark.after !== null) {
    // As before the trial: the store was restored meanwhile, or its owner was back while we could not hear of it.
    const isUntried = there?.host === mark.after && there.after === null;
    if (contactLost && atOurAddress && isUntried) return write(mark, "found again");
    return { type: "yield", newHost: isOurs(there?.host ?? null), why: "replaced on trial" };
  }
  if (there === null) {
    return contactLost && (atOurAddress || wasOurs)
      ? write(mark, "found again")
      : { type: "yield", newHost: false, why: "written by a host without an id" };
  }
  if (isOurs(there.after)) return write(mark, "taken back from a trial");
  if (!isOurs(there.host)) return { type: "yield", newHost: false, why: "written by another host" };
  if (there.turn > mark.turn) return write(mark, "taken back from a copy");
  if (contactLost) {
    return write({ ...mark, turn: nextTurn(mark.turn, there.turn), after: there.after }, "found again");
  }
  return { type: "yield", newHost: true, why: "held by a copy" };
}

function write(mark: Mark, why: Why): Verdict {
  return { type: "write", mark, why };
}

/** One more than both; the last stays the last. */
function nextTurn(a: number, b: number): number {
  return Math.min(LAST_TURN, Math.max(a, b) + 1);
}
