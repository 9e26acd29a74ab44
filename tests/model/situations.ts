/** Where the scenarios begin: hosts that hold subnets, copies of disks, other makes of daemon; and what must hold in the end. */
import type { Scenario } from "./explore.ts";
import { start } from "./faults.ts";
import {
  type Budget,
  freshVersion,
  type Kind,
  type Limits,
  nextCreated,
  NO_FAULTS,
  NOTHING,
  type State,
  STOPPED,
} from "./world.ts";

const ALL = 255;

export function world(
  hosts: number,
  subnets: number,
  addresses: number,
  limits: Partial<Limits> = {},
): State {
  const places = Array.from({ length: hosts }, (_, i) => i);
  return {
    limits: {
      stop: ALL,
      cut: ALL,
      move: ALL,
      clone: ALL,
      quickBoot: false,
      addresses,
      overlap: false,
      ...limits,
    },
    store: Array.from({ length: subnets }, () => ({ ...NOTHING })),
    backup: null,
    hosts: places.map((i) => ({
      ...STOPPED,
      kind: "ours" as Kind,
      hasDisk: true,
      diskId: 0,
      diskSubnet: 0,
      diskNew: false,
      address: Math.min(i, addresses - 1),
      mac: 0,
    })),
    budget: { ...NO_FAULTS },
    evicted: false,
  };
}

/** Starts a host that holds a subnet since long. */
export function owner(state: State, i: number, subnet: number): void {
  start(state, i);
  settle(state, i, subnet);
}

export function settle(state: State, i: number, subnet: number): void {
  const host = state.hosts[i]!;
  const ours = host.kind === "ours";
  const { id, run, address } = host;
  const mark = ours ? { id, run, turn: 1 } : {};
  const version = freshVersion(state);
  state.store[subnet] = { ...NOTHING, present: true, created: nextCreated(state), address, version, ...mark };
  Object.assign(host, { holds: subnet + 1, diskSubnet: subnet + 1, isNew: false, diskNew: false });
  if (ours) Object.assign(host, { turn: 1, written: version, contactLost: false });
}

/** Host `to`, which does not run, gets the disk of host `from`. */
export function copyDisk(state: State, from: number, to: number): void {
  const { diskId, diskSubnet } = state.hosts[from]!;
  Object.assign(state.hosts[to]!, { diskId, diskSubnet });
}

export function stop(state: State, i: number): void {
  Object.assign(state.hosts[i]!, STOPPED);
}

/** What must hold in the end; a sentence where it does not. */
type Also = (state: State) => string | null;

export function keeps(i: number, subnet: number): Also {
  return ({ hosts }: State) => {
    const { holds, id, diskId } = hosts[i]!;
    return holds === subnet + 1 && id === diskId ? null : `h${i}, connected all the time, lost its subnet`;
  };
}

/** Whoever runs has the subnet of its number. */
export function allReturn(count: number): Also {
  return ({ hosts }: State) => {
    const lost = hosts.slice(0, count).findIndex(({ up, holds }, i) => up && holds !== i + 1);
    return lost < 0 ? null : `h${lost} has not its former subnet`;
  };
}

export function scenario(
  name: string,
  what: string,
  make: () => State,
  budget: Partial<Budget>,
  also?: Scenario["also"],
): Scenario {
  const begin = () => {
    const state = make();
    Object.assign(state.budget, budget);
    return state;
  };
  return { name, what, start: begin, ...(also && { also }) };
}

/** Host 0 holds subnet 0. */
export function owned(
  hosts: number,
  subnets: number,
  addresses: number,
  limits: Partial<Limits> = {},
): State {
  const state = world(hosts, subnets, addresses, limits);
  owner(state, 0, 0);
  return state;
}

/** Another host is there and has the address of host 0. */
export function newcomer(
  hosts: number,
  subnets: number,
  addresses: number,
  limits: Partial<Limits> = {},
): State {
  const state = owned(hosts, subnets, addresses, limits);
  state.hosts[1]!.address = 0;
  return state;
}

export function owners(
  subnets: number,
  addresses: number,
  limits: Partial<Limits> = {},
  disks = true,
): State {
  const state = world(2, subnets, addresses, limits);
  if (!disks) { for (const host of state.hosts) host.hasDisk = false; }
  owner(state, 0, 0);
  owner(state, 1, 1);
  return state;
}

/** Copies of the disk of host 0, on so many other hosts. */
export function copied(copies: number, addresses: number, limits: Partial<Limits> = {}): State {
  const state = owned(copies + 1, 3, addresses, limits);
  for (let i = 1; i <= copies; i++) copyDisk(state, 0, i);
  return state;
}

export function beside(
  kind: Kind,
  make: () => State,
  change: (state: State) => void = () => {},
): () => State {
  return () => {
    const state = make();
    const other = state.hosts.at(-1)!;
    other.kind = kind;
    change(state);
    return state;
  };
}
