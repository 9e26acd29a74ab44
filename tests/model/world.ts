/**
 * The world of the model of who owns a subnet (docs/identity.md): a store with a few subnets, a few hosts with disks, addresses and
 * processes. A state is everything that can matter for what comes next; names of ids, runs and versions do not, so that they are
 * renumbered by first occurrence (`canonical`): the state space is finite, and an endless quarrel is a cycle in it.
 *
 * Ids, runs and versions are small numbers, 0 for none. Subnets are numbered from 0; where a host remembers one, 0 means none and
 * n + 1 the subnet n.
 */

export interface Rec {
  present: boolean;
  /** A reservation: never ends. */
  reserved: boolean;
  /** 0: written by a host that knows no ids. */
  id: number;
  address: number;
  run: number;
  turn: number;
  version: number;
  /** On trial: the id that the record had before. */
  after: number;
  created: number;
  /** The tunnel device's, told apart only in records without an id; 0: none that matters. */
  mac: number;
}

/** A conditional write on its way. */
export interface Write {
  readonly subnet: number;
  /** The version that it is over; 0: the subnet has to be free. */
  readonly over: number;
  readonly id: number;
  readonly run: number;
  readonly turn: number;
  readonly after: number;
  readonly address: number;
}

/** Ours; flannel 0.28, which takes the record at its address; 0.11, which takes its previous subnet from whoever has it. */
export type Kind = "ours" | "0.28" | "0.11";

export interface Host {
  kind: Kind;
  // What outlives the process.
  hasDisk: boolean;
  diskId: number;
  /** The subnet that the disk remembers, or the subnet file. */
  diskSubnet: number;
  /** The disk's id never held a subnet. */
  diskNew: boolean;
  address: number;
  /** That the tunnel device has, which outlives the process, not a reboot. */
  mac: number;
  // The process.
  up: boolean;
  connected: boolean;
  id: number;
  isNew: boolean;
  run: number;
  turn: number;
  /** Of our mark; not 0 while on trial. */
  after: number;
  proven: boolean;
  holds: number;
  /** Just started, or contact with the store was lost, since the record was last found in order. */
  contactLost: boolean;
  /** Version of our last write that we know of. */
  written: number;
  /** A reply was lost. */
  outstanding: boolean;
  /** An id that we have begun to change to. */
  nextId: number;
  /** Bits: subnets that this process has lost or left to others. */
  passed: number;
  /** Somebody took our subnet after its time to answer was over: losing it is no fault of the rules. */
  late: boolean;
  /** Had one id with another: what overlaps its subnet may be of that time. */
  shared: boolean;
  write: Write | null;
}

/** How often each fault may still happen. */
export interface Budget {
  crash: number;
  boot: number;
  part: number;
  move: number;
  clone: number;
  fork: number;
  expire: number;
  backup: number;
  restore: number;
  renew: number;
  lostReply: number;
  slow: number;
  wipe: number;
  /** Writes of an owner that has nothing new to say; no fault, but bounded. */
  own: number;
}

/** Which hosts, as bits, certain faults may meet; the same all through a scenario. */
export interface Limits {
  readonly stop: number;
  readonly cut: number;
  readonly move: number;
  readonly clone: number;
  /** A stopped host is back before any time ends. */
  readonly quickBoot: boolean;
  readonly addresses: number;
  /** Subnets 0 and 1 have a part in common: they differ in length, or share one of two families. */
  readonly overlap: boolean;
}

export interface State {
  readonly limits: Limits;
  store: Rec[];
  backup: Rec[] | null;
  hosts: Host[];
  budget: Budget;
  /** A connected owner with an id of its own lost its subnet. */
  evicted: boolean;
}

export const NOTHING: Readonly<Rec> = {
  present: false,
  reserved: false,
  id: 0,
  address: 0,
  run: 0,
  turn: 0,
  version: 0,
  after: 0,
  created: 0,
  mac: 0,
};

export const NO_FAULTS: Readonly<Budget> = {
  crash: 0,
  boot: 0,
  part: 0,
  move: 0,
  clone: 0,
  fork: 0,
  expire: 0,
  backup: 0,
  restore: 0,
  renew: 0,
  lostReply: 0,
  slow: 0,
  wipe: 0,
  own: 0,
};

/** What a process that does not run knows. */
export const STOPPED = {
  up: false,
  connected: true,
  id: 0,
  isNew: false,
  run: 0,
  turn: 0,
  after: 0,
  proven: false,
  holds: 0,
  contactLost: false,
  written: 0,
  outstanding: false,
  nextId: 0,
  passed: 0,
  late: false,
  shared: false,
  write: null,
} as const;

export function copy(state: State): State {
  return {
    limits: state.limits,
    store: state.store.map((rec) => ({ ...rec })),
    backup: state.backup && state.backup.map((rec) => ({ ...rec })),
    hosts: state.hosts.map((host) => ({ ...host })),
    budget: { ...state.budget },
    evicted: state.evicted,
  };
}

/** All records, those of the backup too. */
export function records(state: State): Rec[] {
  return state.backup === null ? state.store : [...state.store, ...state.backup];
}

/** The lowest number above 0 that is not used. */
function fresh(used: readonly number[]): number {
  for (let n = 1;; n++) if (!used.includes(n)) return n;
}

export function freshId(state: State): number {
  const inStore = records(state).flatMap(({ id, after }) => [id, after]);
  const onHosts = state.hosts.flatMap((
    h,
  ) => [h.diskId, h.id, h.nextId, h.after, h.write?.id ?? 0, h.write?.after ?? 0]);
  return fresh([...inStore, ...onHosts]);
}

export function freshRun(state: State): number {
  const runs = state.hosts.flatMap(({ run, write }) => [run, write?.run ?? 0]);
  return fresh([...records(state).map(({ run }) => run), ...runs]);
}

export function freshVersion(state: State): number {
  const versions = state.hosts.flatMap(({ written, write }) => [written, write?.over ?? 0]);
  return fresh([...records(state).map(({ version }) => version), ...versions]);
}

export function nextCreated(state: State): number {
  return 1 + Math.max(0, ...records(state).map(({ present, created }) => present ? created : 0));
}

/** An id, a run that no living thing has: all of them are one. */
const GONE = 62;

/** The same state under canonical names, changed in place. */
export function canonical(state: State): State {
  forgetTheDead(state);
  rankTurns(state);
  rankCreations(state);
  const [ids, runs, versions] = [new Names(), new Names(), new Names()];
  for (const rec of records(state)) {
    rec.id = ids.of(rec.id);
    rec.after = ids.of(rec.after);
    rec.run = runs.of(rec.run);
    rec.version = versions.of(rec.version);
  }
  for (const host of state.hosts) {
    host.diskId = ids.of(host.diskId);
    host.id = ids.of(host.id);
    host.nextId = ids.of(host.nextId);
    host.after = ids.of(host.after);
    host.run = runs.of(host.run);
    host.written = versions.of(host.written);
    const { write } = host;
    if (write === null) continue;
    host.write = {
      ...write,
      id: ids.of(write.id),
      after: ids.of(write.after),
      run: runs.of(write.run),
      over: versions.of(write.over),
    };
  }
  return state;
}

class Names {
  readonly #names: number[] = [];
  #count = 0;

  of(name: number): number {
    if (name === 0 || name === GONE) return name;
    return this.#names[name] ??= ++this.#count;
  }
}

function forgetTheDead(state: State): void {
  const { hosts } = state;
  for (const rec of records(state)) if (!rec.present) Object.assign(rec, NOTHING);
  const known = new Set([
    ...records(state).map(({ id }) => id),
    ...hosts.flatMap(({ id, diskId, nextId }) => [id, diskId, nextId]),
  ]);
  for (const rec of records(state)) {
    if (rec.run !== 0 && !hosts.some(({ run }) => run === rec.run)) rec.run = GONE;
    if (rec.after !== 0 && !known.has(rec.after)) rec.after = GONE;
  }
  for (const host of hosts) {
    if (!records(state).some(({ version }) => version === host.written)) host.written = 0;
    if (host.after !== 0 && !known.has(host.after)) host.after = GONE;
  }
}

/** Of turns only the differences matter. */
function rankTurns(state: State): void {
  const turns = [
    ...records(state).map(({ turn }) => turn),
    ...state.hosts.flatMap(({ turn, write }) => [turn, write?.turn ?? 0]),
  ].filter((turn) => turn > 0);
  const less = Math.min(...turns) - 1;
  if (turns.length === 0 || less === 0) return;
  const lower = (turn: number) => turn > 0 ? turn - less : 0;
  for (const rec of records(state)) rec.turn = lower(rec.turn);
  for (const host of state.hosts) {
    host.turn = lower(host.turn);
    if (host.write !== null) host.write = { ...host.write, turn: lower(host.write.turn) };
  }
}

function rankCreations(state: State): void {
  const order = [...new Set(records(state).filter((r) => r.present).map((r) => r.created))].sort((a, b) =>
    a - b
  );
  for (const rec of records(state)) if (rec.present) rec.created = 1 + order.indexOf(rec.created);
}

/** One text for one state. Every number is below 128. */
export function encode({ store, backup, hosts, budget, evicted }: State): string {
  const out: number[] = [evicted ? 1 : 0, backup === null ? 0 : 1];
  for (const rec of backup === null ? store : [...store, ...backup]) {
    out.push(
      bits(rec.present, rec.reserved),
      rec.id,
      rec.address,
      rec.run,
      rec.turn,
      rec.version,
      rec.after,
      rec.created,
      rec.mac,
    );
  }
  for (const h of hosts) {
    out.push(
      bits(h.hasDisk, h.diskNew, h.up, h.connected, h.isNew, h.proven),
      bits(h.contactLost, h.outstanding, h.late, h.shared),
    );
    out.push(
      h.diskId,
      h.diskSubnet,
      h.address,
      h.mac,
      h.id,
      h.run,
      h.turn,
      h.after,
      h.holds,
      h.written,
      h.nextId,
      h.passed,
    );
    if (h.write === null) out.push(0);
    else {
      const { subnet, over, id, run, turn, after, address } = h.write;
      out.push(1, subnet, over, id, run, turn, after, address);
    }
  }
  for (const name of BUDGETS) out.push(budget[name]);
  return String.fromCharCode(...out);
}

const BUDGETS = Object.keys(NO_FAULTS) as (keyof Budget)[];

function bits(...flags: readonly boolean[]): number {
  return flags.reduce((sum, flag, i) => flag ? sum | 1 << i : sum, 0);
}

export function describe({ store, hosts }: State): string {
  const recs = store.map((r, i) => {
    if (!r.present) return `s${i}=-`;
    const mark = r.id === 0 ? ` mac${r.mac}` : ` run${r.run} turn${r.turn}`;
    const trial = r.after === 0 ? "" : ` on trial after id${r.after}`;
    return `s${i}={${r.reserved ? "reserved " : ""}id${r.id} address${r.address}${mark}${trial}}`;
  });
  const processes = hosts.map((h, i) => {
    const life = !h.up ? " (down)" : h.connected ? "" : " (cut off)";
    const doing = `${h.after === 0 ? "" : " on trial"}${h.write === null ? "" : " writing"}`;
    return `h${i}${life} disk${h.diskId} id${h.id} run${h.run} turn${h.turn} holds ${
      h.holds === 0 ? "-" : `s${h.holds - 1}`
    }${doing}`;
  });
  return [...recs, ...processes].join(" | ");
}
