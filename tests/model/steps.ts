/**
 * What processes do by themselves: ours by the product's own rules (`src/model/identity.ts`), flannel's as its releases do. A look is
 * one linearizable read at any time, a write is conditional on the version that was read; between the two anything can happen.
 */
import { hold, type Mark, type Standing, take, type Verdict } from "../../src/model/identity.ts";
import {
  copy,
  freshId,
  freshRun,
  freshVersion,
  type Host,
  nextCreated,
  NOTHING,
  type Rec,
  type State,
  STOPPED,
  type Write,
} from "./world.ts";

export interface Step {
  readonly to: State;
  readonly what: string;
  /** To the store. */
  readonly writes: number;
  readonly fault: boolean;
}

export type Emit = (step: Step) => void;

/** Host ids and runs as the rules know them: texts. */
const text = (n: number) => n === 0 ? "" : String.fromCharCode(n);
const number = (name: string | null) => name === null || name === "" ? 0 : name.charCodeAt(0);

function markOf({ id, run, turn, after }: Pick<Rec, "id" | "run" | "turn" | "after">): Mark | null {
  return id === 0 ? null : { host: text(id), run: text(run), turn, after: after === 0 ? null : text(after) };
}

/** What every process that reaches the store can do next. */
export function steps(state: State, emit: Emit): void {
  for (const [i, host] of state.hosts.entries()) {
    if (!host.up || !host.connected) {
      if (host.up) reconnect(state, i, emit);
      continue;
    }
    if (host.kind !== "ours") flannel(state, i, emit);
    else if (host.write !== null) {
      write(state, i, false, emit);
      if (state.budget.lostReply > 0) write(spend(state, "lostReply"), i, true, emit);
    } else {
      look(state, i, emit);
      clock(state, i, emit);
      if (state.budget.own > 0 && state.budget.fork === 0) writeAgain(state, i, emit);
    }
  }
}

export function spend(state: State, name: keyof State["budget"]): State {
  const to = copy(state);
  to.budget[name]--;
  return to;
}

function reconnect(state: State, i: number, emit: Emit): void {
  const to = copy(state);
  const host = to.hosts[i]!;
  host.connected = true;
  if (host.kind === "ours") breakContact(host);
  emit({ to, what: `h${i} reaches the store again`, writes: 0, fault: false });
}

/** A trial counts unbroken contact: it begins anew. */
export function breakContact(host: Host): void {
  host.contactLost = true;
  host.proven = false;
}

/** One look at the store, and what follows from it. */
function look(state: State, i: number, emit: Emit): void {
  if (state.hosts[i]!.holds === 0) { for (const step of lookFor(state, i)) emit(step); }
  else lookAfter(state, i, emit);
}

interface Seen extends Standing {
  readonly subnet: number;
  readonly rec: Rec;
}

function seen(state: State, host: Host): Seen[] {
  return state.store.flatMap((rec, subnet) => {
    if (!rec.present) return [];
    const atOurAddress = rec.address === host.address;
    return {
      subnet,
      rec,
      mark: markOf(rec),
      atOurAddress,
      wasOurs: host.mac !== 0 && rec.mac === host.mac && host.diskSubnet === subnet + 1,
      reserved: rec.reserved,
      created: rec.created,
    };
  });
}

/** Every way to a subnet that is open now: free ones are drawn, so that each of them is one. */
function lookFor(state: State, i: number): Step[] {
  const host = state.hosts[i]!;
  const all = seen(state, host);
  const beaten = all.find(({ subnet, rec }) => rec.id === host.id && isBeaten(state, subnet, host.id));
  if (beaten) return [removeBeaten(state, i, beaten.subnet)];
  const open = all.filter(({ subnet, mark }) => mark?.host === text(host.id) || !(host.passed >> subnet & 1))
    .filter(({ subnet, rec }) => !isBeaten(state, subnet, rec.id));
  const taking = take(open, { host: text(host.id), isNew: host.isNew });
  const begin = (subnet: number, over: number, turn: number, after: number, what: string): Step => {
    const to = copy(state);
    const { id, run, address } = host;
    to.hosts[i]!.write = { subnet, over, id, run, turn, after, address };
    return { to, what: `h${i} ${what} s${subnet}`, writes: 0, fault: false };
  };
  if (taking.way !== "free") {
    const { over: { subnet, rec }, turn, after, way } = taking;
    return [begin(subnet, rec.version, turn, number(after), `finds (${way})`)];
  }
  const free = state.store.flatMap((rec, subnet) =>
    rec.present || overlapping(state, subnet)?.present ? [] : subnet
  );
  const previous = host.diskSubnet - 1;
  const choices = free.includes(previous) ? [previous] : free;
  return choices.map((subnet) => begin(subnet, 0, 1, 0, "draws"));
}

/** What stands at the subnet that has a part in common with this one. */
export function overlapping({ limits, store }: Pick<State, "limits" | "store">, subnet: number): Rec | null {
  return limits.overlap && subnet < 2 ? store[1 - subnet]! : null;
}

/** True where another host's older record has part of this one's subnet. */
function isBeaten(state: State, subnet: number, id: number): boolean {
  const [rec, other] = [state.store[subnet]!, overlapping(state, subnet)];
  return other?.present === true && other.id !== id && !(rec.present && rec.created < other.created);
}

/** The same, where that was not left behind for a younger one. */
function elderOverlap(state: State, subnet: number, id: number): boolean {
  const other = overlapping(state, subnet);
  return isBeaten(state, subnet, id) &&
    !state.store.some((r) => r.present && r.id === other!.id && r.created > other!.created);
}

function removeBeaten(state: State, i: number, subnet: number): Step {
  const to = copy(state);
  to.store[subnet] = { ...NOTHING };
  return { to, what: `h${i} removes s${subnet}, which an older record overlaps`, writes: 1, fault: false };
}

function lookAfter(state: State, i: number, emit: Emit): void {
  const host = state.hosts[i]!;
  const subnet = host.holds - 1;
  const rec = state.store[subnet]!;
  const to = copy(state);
  const verdict = verdictOn(state, to, host, rec);
  const self = to.hosts[i]!;
  const done = (what: string) => emit({ to, what: `h${i} ${what}`, writes: 0, fault: false });
  switch (verdict.type) {
    case "keep":
      if (!host.contactLost) return;
      self.contactLost = false;
      return done("finds its record in order");
    case "learn":
      self.written = rec.version;
      self.outstanding = false;
      self.proven = false;
      settleId(self, rec.id);
      return done("learns that its write stands");
    case "create":
      self.after = 0;
      self.proven = false;
      self.write = writeOf(self, subnet, 0, verdict.mark);
      return done("finds nothing at its subnet");
    case "write":
      if (verdict.why === "id in use") {
        for (const other of to.hosts) other.shared ||= other.id === self.id;
        changeId(self, number(verdict.mark.host));
      }
      self.run = number(verdict.mark.run);
      self.turn = verdict.mark.turn;
      self.write = writeOf(self, subnet, rec.version, verdict.mark);
      return done(verdict.why);
    case "yield":
      lose(state, to, i, verdict);
      return done(`gives way: ${verdict.why}`);
  }
}

function verdictOn(state: State, to: State, host: Host, rec: Rec): Verdict {
  const { id, run, turn, after, nextId, contactLost, outstanding, proven, address, written } = host;
  const mark = markOf({ id, run, turn, after })!;
  const found = rec.present
    ? {
      mark: markOf(rec),
      atOurAddress: rec.address === address,
      wasOurs: host.mac !== 0 && rec.mac === host.mac,
      asWritten: rec.version === written,
      upToDate: rec.address === address,
      elderTwin: state.store.some((r) => r !== rec && r.present && r.id === id && r.created < rec.created),
      elderOverlap: elderOverlap(state, host.holds - 1, id),
    }
    : null;
  const self = { mark, nextHost: nextId === 0 ? null : text(nextId), contactLost, outstanding, proven };
  return hold(self, found, { host: () => text(freshId(to)), run: () => text(freshRun(to)) });
}

function writeOf({ address }: Host, subnet: number, over: number, mark: Mark): Write {
  const { host, run, turn, after } = mark;
  return { subnet, over, id: number(host), run: number(run), turn, after: number(after), address };
}

/** Another id, on the disk before it is used; until it is known to stand the old one is ours too. */
function changeId(host: Host, id: number): void {
  host.nextId = id;
  if (!host.hasDisk) return;
  host.diskId = id;
  host.diskNew = true;
}

/** The id under which our record is known to stand. */
function settleId(host: Host, id: number): void {
  host.id = id;
  host.nextId = 0;
  if (!host.hasDisk) return;
  host.diskId = id;
  host.diskNew = host.after !== 0;
}

function lose(
  state: State,
  to: State,
  i: number,
  { newHost, why }: Pick<Verdict & { type: "yield" }, "newHost" | "why">,
): void {
  const host = state.hosts[i]!;
  const rec = state.store[host.holds - 1]!;
  const alone = state.hosts.every((other) =>
    other === host || (other.diskId !== host.id && other.id !== host.id)
  );
  const overlapped = why === "part of it is an older record's";
  const excused = host.contactLost || host.after !== 0 || host.late || (overlapped && host.shared);
  // Our record at that key is ours to remove.
  if (overlapped) to.store[host.holds - 1] = { ...NOTHING };
  if (alone && rec.present && rec.id !== 0 && !excused) to.evicted = true;
  const self = to.hosts[i]!;
  const { id, isNew, run, up, connected, passed } = self;
  if (self.diskSubnet === self.holds) self.diskSubnet = 0;
  Object.assign(self, STOPPED, { id, isNew, run, up, connected, passed: passed | 1 << host.holds - 1 });
  if (!newHost) return;
  self.id = freshId(to);
  if (self.hasDisk) Object.assign(self, { diskId: self.id, diskNew: true });
}

/** The pending write reaches the store. */
function write(state: State, i: number, replyLost: boolean, emit: Emit): void {
  const { write } = state.hosts[i]!;
  const { subnet, over } = write!;
  const to = copy(state);
  const rec = to.store[subnet]!;
  const self = to.hosts[i]!;
  self.write = null;
  const succeeds = rec.present ? over !== 0 && rec.version === over : over === 0;
  // Read again after creating: of two records that overlap the later gives way, and is removed.
  if (succeeds && over === 0 && !replyLost && isBeaten(state, subnet, write!.id)) {
    if (self.holds === subnet + 1) {
      lose(state, to, i, { newHost: false, why: "part of it is an older record's" });
    }
    emit({ to, what: `h${i} gives s${subnet} back, which is overlapped`, writes: 2, fault: false });
    return;
  }
  if (succeeds) {
    excuse(to, i, subnet, write!.id);
    put(to, subnet, write!);
    if (!replyLost) acknowledge(self, subnet, to.store[subnet]!);
    else if (self.holds === subnet + 1) self.outstanding = true;
  }
  const what = `h${i} ${succeeds ? "writes" : "fails to write"} s${subnet}${replyLost ? ", reply lost" : ""}`;
  emit({ to, what, writes: succeeds ? 1 : 0, fault: replyLost });
}

function put(state: State, subnet: number, { id, run, turn, after, address }: Write): void {
  const old = state.store[subnet]!;
  const created = old.present ? old.created : nextCreated(state);
  const version = freshVersion(state);
  const { reserved } = old;
  state.store[subnet] = { present: true, reserved, id, run, turn, after, address, created, version, mac: 0 };
}

/** Others with this id that hold the subnet: what they lose now they lose to themselves. */
function excuse({ hosts }: State, i: number, subnet: number, id: number): void {
  for (const [j, other] of hosts.entries()) {
    if (j === i || other.kind !== "ours" || other.holds !== subnet + 1) continue;
    if ([id, hosts[i]!.id, hosts[i]!.nextId].includes(other.id)) other.late = true;
  }
}

function acknowledge(self: Host, subnet: number, rec: Rec): void {
  self.id = rec.id;
  self.nextId = 0;
  self.holds = subnet + 1;
  self.written = rec.version;
  self.turn = rec.turn;
  self.after = rec.after;
  self.proven =
    self.contactLost =
    self.outstanding =
    self.late =
      false;
  if (rec.after !== 0) return;
  self.isNew = false;
  if (self.hasDisk) Object.assign(self, { diskSubnet: subnet + 1, diskNew: false });
}

/** A trial's time ends when nobody in reach is about to object: the time is longer than it takes to hear and to answer. */
function clock(state: State, i: number, emit: Emit): void {
  const { after, proven, holds, contactLost } = state.hosts[i]!;
  if (after === 0 || proven || contactLost) return;
  const objected = isObjectedTo(state, i, holds - 1);
  if (objected && state.budget.slow === 0) return;
  const to = objected ? spend(state, "slow") : copy(state);
  if (objected) {
    for (const [j, other] of to.hosts.entries()) if (j !== i && other.holds === holds) other.late = true;
  }
  to.hosts[i]!.proven = true;
  emit({
    to,
    what: `h${i}: its trial is over${objected ? ", a slow owner" : ""}`,
    writes: 0,
    fault: objected,
  });
}

function isObjectedTo(state: State, i: number, subnet: number): boolean {
  const { hosts, limits, budget } = state;
  return hosts.some((other, j) => {
    if (j === i) return false;
    if (!other.up) return limits.quickBoot && other.diskId !== 0 && budget.boot > 0;
    if (!other.connected || other.kind !== "ours") return false;
    if (other.holds === subnet + 1 || other.write?.subnet === subnet) return true;
    return other.holds === 0 && (other.write !== null || lookFor(state, j).length > 0);
  });
}

/** A put of what stands already, as a renewal by etcd's v2 API is. */
function writeAgain(state: State, i: number, emit: Emit): void {
  const host = state.hosts[i]!;
  const rec = state.store[host.holds - 1];
  if (!rec?.present || rec.run !== host.run || rec.version !== host.written) return;
  const to = spend(state, "own");
  const self = to.hosts[i]!;
  self.write = writeOf(host, host.holds - 1, rec.version, markOf({ ...host, after: host.after })!);
  emit({ to, what: `h${i} renews`, writes: 0, fault: false });
}

/** flannel knows addresses alone, and drops what else a record says. */
function flannel(state: State, i: number, emit: Emit): void {
  const host = state.hosts[i]!;
  if (host.holds === 0) return flannelTakes(state, i, emit);
  const rec = state.store[host.holds - 1]!;
  const renew = (from: State, fault: boolean) => {
    const to = copy(from);
    seize(to, i, host.holds - 1);
    emit({ to, what: `h${i} (flannel) renews without a look`, writes: 1, fault });
  };
  if (!rec.present) {
    const to = copy(state);
    Object.assign(to.hosts[i]!, STOPPED, { up: true });
    emit({
      to,
      what: `h${i} (flannel) ends and is started again: its record is gone`,
      writes: 0,
      fault: false,
    });
  } else if (rec.id !== 0) renew(state, false);
  else if (state.budget.renew > 0) renew(spend(state, "renew"), true);
}

function flannelTakes(state: State, i: number, emit: Emit): void {
  const { address, diskSubnet, kind } = state.hosts[i]!;
  const take = (subnet: number, what: string) => {
    const to = copy(state);
    seize(to, i, subnet);
    Object.assign(to.hosts[i]!, { holds: subnet + 1, diskSubnet: subnet + 1 });
    emit({ to, what: `h${i} (flannel ${kind}) ${what} s${subnet}`, writes: 1, fault: false });
  };
  const previous = state.store[diskSubnet - 1];
  const here = state.store.flatMap((rec, n) => rec.present && rec.address === address ? n : []);
  if (kind === "0.11" && previous?.present && here.length === 0) {
    return take(diskSubnet - 1, "takes, from whoever has it,");
  }
  if (here.length > 0) return here.forEach((n) => take(n, "takes by its address"));
  const free = state.store.flatMap((rec, n) => rec.present ? [] : n);
  const choices = free.includes(diskSubnet - 1) ? [diskSubnet - 1] : free;
  for (const n of choices) take(n, "creates");
}

/** An unconditional put without a mark. */
function seize(state: State, i: number, subnet: number): void {
  const old = state.store[subnet]!;
  const { present, created, reserved } = old;
  const version = freshVersion(state);
  const { address, mac } = state.hosts[i]!;
  const rec = { ...NOTHING, present: true, address, version, mac, reserved: present && reserved };
  state.store[subnet] = { ...rec, created: present ? created : nextCreated(state) };
  for (const other of state.hosts) if (other.kind === "ours" && other.holds === subnet + 1) other.late = true;
}
