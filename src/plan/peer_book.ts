/**
 * Which leases are peers and what they need, kept while leases change: a change costs what it touches, not what there is. What
 * stands in here is at any time what `desire()` works out from all leases at once.
 *
 * The older of two claims to one thing counts, so a verdict depends on older leases alone: those whose subnet or address overlaps,
 * and those that want one of the same objects. And of a host's several leases the youngest is the one that counts. A change is
 * judged first, then whoever it may concern, older before younger, as long as verdicts change.
 *
 * A book is of one state of this host and one backend; where that changes there is another book.
 */
import { type Backend, type Host, isRefused, type Refused } from "../backend/backend.ts";
import { families, formatIp, type Ip, isUnspecified } from "../model/ip.ts";
import { describeSubnets, type Lease, prefixesOf, publicIpOf, subnetOf } from "../model/lease.ts";
import { sameRecord } from "../model/lease_codec.ts";
import { idOf, type Obj, type ObjectId, sameFields } from "../model/objects.ts";
import { containsIp, formatPrefix, overlaps, type Prefix } from "../model/prefix.ts";
import { PrefixTrie } from "../model/prefix_trie.ts";
import { Claimants } from "./claimants.ts";
import { towardPeer } from "./desired.ts";
import { alone, isOwn, type Objection, objectionTo, type RefusedPeer, siblingName } from "./peers.ts";

/** A lease and where it stands among the others: of two claims the lower rank counts, then the older, then the lower name. */
export interface Ranked {
  readonly lease: Lease;
  readonly rank: number;
}

interface Entry {
  lease: Lease;
  readonly rank: number;
  /** Its subnets, as text. */
  readonly name: string;
  /** What it needs, once it was asked for. */
  wanted: readonly Obj[] | Refused | null;
  verdict: Verdict;
}

/** `passed`: our own, or one that its host has left behind. */
type Verdict = "new" | "passed" | "peer" | Objection;

export class PeerBook {
  readonly #self: Host;
  readonly #backend: Backend;
  readonly #entries = new Map<string, Entry>();
  /** By `siblingName`. */
  readonly #hosts = new Map<string, Siblings>();
  readonly #all = new Places();
  readonly #ofPeers = new Places();
  /** Whoever was asked what he needs, by each of the objects. */
  readonly #byObject = new Map<ObjectId, Set<Entry>>();
  readonly #claimants: Claimants<Entry>;
  readonly #byAddress = new Map<string, Entry>();
  #peerCount = 0;
  /** Nobody who was ever judged is younger. */
  #youngest: Entry | null = null;
  readonly #refused = new Set<Entry>();
  #lists: { peers?: readonly Lease[]; refused?: readonly RefusedPeer[] } = {};

  /** @param base what must stand without any peer */
  constructor(self: Host, backend: Backend, base: readonly Obj[]) {
    this.#self = self;
    this.#backend = backend;
    this.#claimants = new Claimants(base);
  }

  get objects(): ReadonlyMap<ObjectId, Obj> {
    return this.#claimants.objects;
  }

  /** In the order of their claims; worked out when it is asked for. */
  get peers(): readonly Lease[] {
    return this.#lists.peers ??= [...this.#entries.values()].filter(({ verdict }) => verdict === "peer")
      .sort(compare).map(({ lease }) => lease);
  }

  get refused(): readonly RefusedPeer[] {
    return this.#lists.refused ??= [...this.#refused].sort(compare).flatMap(({ lease, verdict }) =>
      typeof verdict === "object" ? [{ lease, ...verdict }] : []
    );
  }

  get peerCount(): number {
    return this.#peerCount;
  }

  /** What has changed of `objects` since this was asked last: by id what was wanted before, null for nothing. */
  takeChanged(): ReadonlyMap<ObjectId, Obj | null> {
    return this.#claimants.takeChanged();
  }

  /** The lease of these subnets, peer or not. */
  leaseOf(name: string): Lease | undefined {
    return this.#entries.get(name)?.lease;
  }

  /** A peer that wants the object. */
  peerOf(id: ObjectId): Lease | undefined {
    return this.#claimants.claimantOf(id)?.lease;
  }

  /** The peer whose subnet begins at this address, as text. */
  peerAt(address: string): Lease | undefined {
    return this.#byAddress.get(address)?.lease;
  }

  /** @param changes by `describeSubnets`: how a lease stands now, or null where it is gone */
  update(changes: Iterable<readonly [name: string, now: Ranked | null]>): void {
    const open = new Queue();
    for (const [name, now] of changes) {
      const before = this.#entries.get(name);
      if (before !== undefined && now !== null && isSaidAnew(before, now)) {
        before.lease = now.lease;
        continue;
      }
      if (before !== undefined) this.#remove(before, open);
      if (now !== null) this.#add({ ...now, name, wanted: null, verdict: "new" }, open);
    }
    this.#settle(open);
  }

  /** Those whose way to these addresses, as texts, is another one now. */
  reconsider(addresses: ReadonlySet<string>): void {
    if (addresses.size === 0) return;
    const open = new Queue();
    const concerned = [...this.#entries.values()].filter((entry) =>
      addressesIn(entry).some((address) => addresses.has(address))
    );
    for (const entry of concerned) {
      this.#remove(entry, open);
      this.#add({ ...entry, wanted: null, verdict: "new" }, open);
    }
    this.#settle(open);
  }

  #settle(open: Queue): void {
    for (let entry = open.next(); entry !== undefined; entry = open.next()) this.#judge(entry, open);
    this.#lists = {};
  }

  #add(entry: Entry, open: Queue): void {
    this.#entries.set(entry.name, entry);
    this.#all.add(entry);
    const host = siblingName(entry.lease);
    if (host !== null) {
      const siblings = this.#hosts.get(host) ?? new Siblings();
      this.#hosts.set(host, siblings);
      siblings.add(entry).forEach((other) => open.add(other));
    }
    open.add(entry);
  }

  #remove(entry: Entry, open: Queue): void {
    this.#entries.delete(entry.name);
    this.#all.remove(entry);
    this.#refused.delete(entry);
    open.forget(entry);
    const host = siblingName(entry.lease);
    if (host !== null) {
      const siblings = this.#hosts.get(host)!;
      siblings.remove(entry).forEach((other) => open.add(other));
      if (siblings.youngest === null) this.#hosts.delete(host);
    }
    this.#withdraw(entry, open);
    for (const object of objectsOf(entry)) removeFrom(this.#byObject, idOf(object), entry);
  }

  #judge(entry: Entry, open: Queue): void {
    const verdict = this.#verdictOn(entry);
    if (this.#youngest === null || compare(this.#youngest, entry) < 0) this.#youngest = entry;
    if (verdict === "peer" && entry.verdict === "peer") return;
    this.#withdraw(entry, open);
    entry.verdict = verdict;
    if (typeof verdict === "object") this.#refused.add(entry);
    else this.#refused.delete(entry);
    if (verdict === "peer") this.#accept(entry, open);
  }

  #accept(entry: Entry, open: Queue): void {
    for (const object of objectsOf(entry)) {
      for (const other of this.#peersWith(object)) {
        if (!sameFields(object, objectOf(other, object))) this.#withdraw(other, open);
      }
    }
    this.#ofPeers.add(entry);
    this.#peerCount++;
    for (const address of subnetAddresses(entry)) this.#byAddress.set(address, entry);
    this.#claimants.claim(objectsOf(entry), entry);
    this.#concern(entry, open);
  }

  /** What a peer had is anybody's; it is judged anew, unless it is gone. */
  #withdraw(entry: Entry, open: Queue): void {
    if (entry.verdict !== "peer") return;
    entry.verdict = "new";
    this.#ofPeers.remove(entry);
    this.#peerCount--;
    for (const address of subnetAddresses(entry)) removeIf(this.#byAddress, address, entry);
    this.#claimants.release(objectsOf(entry), entry);
    this.#concern(entry, open);
    if (this.#entries.get(entry.name) === entry) open.add(entry);
  }

  /** Whoever is younger and wants something of what this one has or had. */
  #concern(entry: Entry, open: Queue): void {
    if (this.#youngest === null || compare(entry, this.#youngest) >= 0) return;
    const near = [
      ...this.#all.near(entry),
      ...objectsOf(entry).flatMap((object) => [...this.#byObject.get(idOf(object)) ?? []]),
    ];
    for (const other of near) if (compare(entry, other) < 0) open.add(other);
  }

  #verdictOn(entry: Entry): Verdict {
    const { lease } = entry;
    if (isOwn(this.#self, lease) || this.#isLeftOver(entry)) return "passed";
    const objection = objectionTo(lease, this.#self, this.#backend.recordType);
    if (objection !== null) return objection;
    const conflict = this.#conflict(entry);
    if (conflict !== null) return { reason: conflict, byConfiguration: false };
    const wanted = this.#wantedBy(entry);
    if (isRefused(wanted)) {
      return { reason: wanted.refused, byConfiguration: wanted.byConfiguration === true };
    }
    const clash = wanted.find((object) => this.#isTaken(object, entry));
    return clash === undefined ? "peer" : {
      reason: `an older lease has its ${clash.kind} "${clash.key}" already`,
      byConfiguration: false,
    };
  }

  /** By the base or an older peer, which have it otherwise. */
  #isTaken(object: Obj, entry: Entry): boolean {
    return this.#claimants.contradictsBase(object) ||
      this.#peersWith(object).some((other) =>
        compare(other, entry) < 0 && !sameFields(object, objectOf(other, object))
      );
  }

  #peersWith(object: Obj): Entry[] {
    return [...this.#byObject.get(idOf(object)) ?? []].filter(({ verdict }) => verdict === "peer");
  }

  #wantedBy(entry: Entry): readonly Obj[] | Refused {
    if (entry.wanted !== null) return entry.wanted;
    entry.wanted = towardPeer(entry.lease, this.#self, this.#backend);
    for (const object of objectsOf(entry)) addTo(this.#byObject, idOf(object), entry);
    return entry.wanted;
  }

  #conflict(entry: Entry): string | null {
    for (const family of families) {
      const subnet = subnetOf(entry.lease.subnets, family);
      const conflict = (subnet && this.#subnetConflict(entry, subnet)) ??
        this.#addressConflict(entry, publicIpOf(entry.lease.record, family));
      if (conflict !== null) return conflict;
    }
    return null;
  }

  #subnetConflict(entry: Entry, subnet: Prefix): string | null {
    const older = oldest(this.#ofPeers.subnets.overlapping(subnet), entry);
    if (older !== null) {
      const taken = prefixesOf(older.lease.subnets).find((theirs) => overlaps(theirs, subnet))!;
      return `its subnet overlaps ${formatPrefix(taken)}, which an older lease has`;
    }
    if (oldest(this.#ofPeers.addresses.overlapping(subnet), entry) === null) return null;
    return `its subnet ${formatPrefix(subnet)} has the public IP of an older lease in it`;
  }

  #addressConflict(entry: Entry, publicIp: Ip | null): string | null {
    if (publicIp === null || isUnspecified(publicIp)) return null;
    const older = oldest(this.#ofPeers.subnets.overlapping(alone(publicIp)), entry);
    if (older === null) return null;
    const around = prefixesOf(older.lease.subnets).find((theirs) => containsIp(theirs, publicIp))!;
    return `its public IP ${formatIp(publicIp)} lies inside ${
      formatPrefix(around)
    }, which an older lease has`;
  }

  /** True for what a host left behind when it took another subnet. */
  #isLeftOver(entry: Entry): boolean {
    const host = siblingName(entry.lease);
    return host !== null &&
      (entry.lease.record.mark?.host === this.#self.id || this.#hosts.get(host)!.youngest !== entry);
  }
}

/** Where entries have their subnets and addresses. */
class Places {
  readonly subnets = new PrefixTrie<Entry>();
  readonly addresses = new PrefixTrie<Entry>();

  add(entry: Entry): void {
    for (const subnet of prefixesOf(entry.lease.subnets)) this.subnets.add(subnet, entry);
    for (const address of addressesOf(entry)) this.addresses.add(address, entry);
  }

  remove(entry: Entry): void {
    for (const subnet of prefixesOf(entry.lease.subnets)) this.subnets.remove(subnet, entry);
    for (const address of addressesOf(entry)) this.addresses.remove(address, entry);
  }

  /** Whoever may be in the way of an entry, or it in theirs; addresses alone are nobody's. */
  near(entry: Entry): Entry[] {
    const subnets = prefixesOf(entry.lease.subnets);
    return [
      ...[...subnets, ...addressesOf(entry)].flatMap((prefix) => this.subnets.overlapping(prefix)),
      ...subnets.flatMap((subnet) => this.addresses.overlapping(subnet)),
    ];
  }
}

/** The leases of one host, of which the youngest counts. */
class Siblings {
  readonly #all = new Set<Entry>();
  youngest: Entry | null = null;

  /** Those for which this makes a difference. */
  add(entry: Entry): Entry[] {
    this.#all.add(entry);
    const before = this.youngest;
    if (before !== null && !isYounger(entry, before)) return [];
    this.youngest = entry;
    return before === null ? [entry] : [before, entry];
  }

  remove(entry: Entry): Entry[] {
    this.#all.delete(entry);
    if (this.youngest !== entry) return [];
    this.youngest = null;
    for (const each of this.#all) {
      if (this.youngest === null || isYounger(each, this.youngest)) this.youngest = each;
    }
    return this.youngest === null ? [] : [this.youngest];
  }
}

function isYounger(a: Entry, b: Entry): boolean {
  return a.lease.created === b.lease.created ? compare(a, b) < 0 : a.lease.created > b.lease.created;
}

/** Entries to be judged, each once at a time, the oldest first. */
class Queue {
  readonly #open = new Set<Entry>();
  /** Sorted, the oldest last; null where something was added that is not the youngest. */
  #sorted: Entry[] | null = [];

  add(entry: Entry): void {
    if (this.#open.has(entry)) return;
    this.#open.add(entry);
    this.#sorted = null;
  }

  forget(entry: Entry): void {
    if (this.#open.delete(entry)) this.#sorted = null;
  }

  next(): Entry | undefined {
    this.#sorted ??= [...this.#open].sort((a, b) => compare(b, a));
    const first = this.#sorted.pop();
    if (first !== undefined) this.#open.delete(first);
    return first;
  }
}

function compare(a: Entry, b: Entry): number {
  return a.rank - b.rank || a.lease.created - b.lease.created ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

function objectsOf({ wanted }: Entry): readonly Obj[] {
  return wanted === null || isRefused(wanted) ? [] : wanted;
}

function objectOf(entry: Entry, like: Obj): Obj {
  const id = idOf(like);
  return objectsOf(entry).find((object) => idOf(object) === id)!;
}

/** True where everything that verdicts depend on is as it was: a renewal, a list that says what was known. */
function isSaidAnew(before: Entry, { lease, rank }: Ranked): boolean {
  const { lease: known } = before;
  if (known === lease) return before.rank === rank;
  return before.rank === rank && known.created === lease.created && known.doubtful === lease.doubtful &&
    sameRecord(known.record, lease.record);
}

function subnetAddresses({ lease }: Entry): string[] {
  return prefixesOf(lease.subnets).map(({ ip }) => formatIp(ip));
}

function addressesIn({ lease: { record } }: Entry): string[] {
  return families.flatMap((family) => publicIpOf(record, family) ?? []).map(formatIp);
}

function removeIf<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.get(key) === value) map.delete(key);
}

function addressesOf({ lease: { record } }: Entry): Prefix[] {
  return families.flatMap((family) => publicIpOf(record, family) ?? []).map((address) => alone(address));
}

/** Of those that are older than `than` the oldest; null where there is none. */
function oldest(among: readonly Entry[], than: Entry): Entry | null {
  let found: Entry | null = null;
  for (const each of among) {
    if (compare(each, than) < 0 && (found === null || compare(each, found) < 0)) found = each;
  }
  return found;
}

function addTo<K, V>(index: Map<K, Set<V>>, key: K, value: V): void {
  const there = index.get(key);
  if (there === undefined) index.set(key, new Set([value]));
  else there.add(value);
}

function removeFrom<K, V>(index: Map<K, Set<V>>, key: K, value: V): void {
  const there = index.get(key);
  if (there?.delete(value) && there.size === 0) index.delete(key);
}

/** The name by which a lease's changes are told. */
export const nameOf = ({ subnets }: Lease): string => describeSubnets(subnets);
