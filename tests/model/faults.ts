/** What befalls hosts, their disks and the store, as often as a scenario's budget has it, in any order. */
import { breakContact, type Emit, spend } from "./steps.ts";
import { type Budget, freshId, freshRun, type Host, NOTHING, type State, STOPPED } from "./world.ts";

export function faults(state: State, emit: Emit): void {
  for (const i of state.hosts.keys()) hostFaults(state, i, emit);
  for (const n of state.store.keys()) expire(state, n, emit);
  if (state.budget.backup > 0) {
    strike(
      state,
      "backup",
      "the store is backed up",
      emit,
      (to) => to.backup = to.store.map((rec) => ({ ...rec })),
    );
  }
  if (state.budget.restore > 0 && state.backup !== null) {
    strike(state, "restore", "the store is restored from the backup", emit, restore);
  }
}

function strike(
  state: State,
  name: keyof Budget,
  what: string,
  emit: Emit,
  change: (to: State) => void,
): void {
  const to = spend(state, name);
  change(to);
  emit({ to, what, writes: 0, fault: true });
}

/** Every process that runs notices: the revision is older, or the cluster another. */
function restore(to: State): void {
  to.store = to.backup!;
  to.backup = null;
  for (const host of to.hosts) if (host.up && host.kind === "ours") breakContact(host);
}

function hostFaults(state: State, i: number, emit: Emit): void {
  const { budget, limits, hosts } = state;
  const host = hosts[i]!;
  const may = (mask: number) => (mask >> i & 1) === 1;
  const on = (name: keyof Budget, what: string, change: (self: Host, to: State) => void) =>
    strike(state, name, `h${i} ${what}`, emit, (to) => change(to.hosts[i]!, to));
  if (host.up && budget.crash > 0 && may(limits.stop)) {
    on("crash", "stops", (self) => Object.assign(self, STOPPED));
  }
  if (!host.up && budget.boot > 0) on("boot", "starts", (_, to) => start(to, i));
  if (host.up && host.connected && budget.part > 0 && may(limits.cut)) {
    on("part", "is cut off or suspended", (self) => self.connected = false);
  }
  if (!host.up && host.diskSubnet !== 0 && budget.wipe > 0) {
    on("wipe", "loses its device, and what it knew of its subnet", (self) => {
      Object.assign(self, { diskSubnet: 0, mac: 0 });
    });
  }
  if (host.kind !== "ours") return;
  for (let address = 0; budget.move > 0 && may(limits.move) && address < limits.addresses; address++) {
    if (address !== host.address) on("move", `gets address${address}`, (self) => self.address = address);
  }
  if (!host.up && host.hasDisk) copies(state, i, on);
}

type Strike = (name: keyof Budget, what: string, change: (self: Host, to: State) => void) => void;

/** Of another host's disk, or of the whole running machine; never of its address. */
function copies({ budget, limits, hosts }: State, i: number, on: Strike): void {
  const host = hosts[i]!;
  for (const [j, other] of hosts.entries()) {
    if (j === i || other.kind !== "ours") continue;
    if (budget.fork > 0 && other.up) {
      on("fork", `becomes a copy of the running h${j}`, (self) => {
        Object.assign(self, other, { address: host.address, hasDisk: true });
      });
    }
    const copied = other.hasDisk && other.diskId !== 0 && other.diskId !== host.diskId;
    if (budget.clone > 0 && (limits.clone >> i & 1) === 1 && copied) {
      const { diskId, diskSubnet, diskNew } = other;
      on(
        "clone",
        `gets a copy of h${j}'s disk`,
        (self) => Object.assign(self, { diskId, diskSubnet, diskNew }),
      );
    }
  }
}

export function start(state: State, i: number): void {
  const host = state.hosts[i]!;
  Object.assign(host, STOPPED, { up: true });
  if (host.kind !== "ours") return;
  host.run = freshRun(state);
  host.contactLost = true;
  if (host.hasDisk && host.diskId !== 0) {
    host.id = host.diskId;
    host.isNew = host.diskNew;
    return;
  }
  host.id = freshId(state);
  host.isNew = true;
  // The subnet file lasts as long as the device.
  if (host.mac === 0) host.diskSubnet = 0;
  if (host.hasDisk) Object.assign(host, { diskId: host.id, diskNew: true });
}

/** A lease ends only while its owner is cut off or down. */
function expire(state: State, n: number, emit: Emit): void {
  const rec = state.store[n]!;
  const kept = state.hosts.some(({ up, connected, holds }) => up && connected && holds === n + 1);
  if (state.budget.expire === 0 || !rec.present || rec.reserved || kept) return;
  strike(state, "expire", `the lease of s${n} ends`, emit, (to) => to.store[n] = { ...NOTHING });
}
