/**
 * Situations to explore: hosts, subnets, addresses, what stands at the start, and how often each fault may happen, in any order.
 * Hosts are numbered from 0 and have the address of their number where there are enough.
 */
import type { Scenario } from "./explore.ts";
import { start } from "./faults.ts";
import {
  allReturn,
  beside,
  copied,
  keeps,
  newcomer,
  owned,
  owner,
  owners,
  scenario,
  settle,
  stop,
  world,
} from "./situations.ts";
import { freshVersion, NOTHING, type State } from "./world.ts";

const copiesOfDisks: readonly Scenario[] = [
  scenario(
    "clone",
    "a disk is copied, stopped or running; both start, stop, are cut off",
    () => owned(2, 3, 2),
    { clone: 1, boot: 2, crash: 1, part: 2 },
  ),
  scenario("clone-same-address", "the same, with one address on both", () => owned(2, 3, 1), {
    clone: 1,
    boot: 2,
    crash: 1,
    part: 1,
  }),
  scenario("clone-live", "a copy of an owner that is connected all the time starts", () => copied(1, 2), {
    boot: 1,
    move: 1,
    lostReply: 1,
  }, keeps(0, 0)),
  scenario("clones-at-once", "two copies of a stopped disk start at the same moment", () => {
    const state = copied(1, 2);
    stop(state, 0);
    return state;
  }, { boot: 4, crash: 2, lostReply: 1 }),
  scenario("three-clones", "three copies start", () => {
    const state = copied(2, 2);
    stop(state, 0);
    return state;
  }, { boot: 3, part: 1 }),
  scenario(
    "clone-restarted",
    "the owner has just been restarted, then the copy starts",
    () => copied(1, 2, { move: 0 }),
    { boot: 1 },
    keeps(0, 0),
  ),
  scenario(
    "clones-in-turn",
    "an image with the owner's id starts on two hosts, again and again",
    () => copied(2, 3, { stop: 6, clone: 6 }),
    { boot: 4, crash: 2, clone: 1 },
    keeps(0, 0),
  ),
  scenario("expired-clone", "a copy starts after the lease of an owner that is cut off has ended", () => {
    const state = copied(1, 2);
    state.hosts[1]!.diskSubnet = 0;
    return state;
  }, { boot: 1, part: 1, expire: 1 }),
  scenario("fork", "a machine is copied with its memory", () => owned(2, 3, 2, { move: 1 }), {
    fork: 1,
    own: 3,
    part: 1,
    move: 1,
    crash: 1,
    boot: 1,
  }),
  scenario(
    "twins-apart",
    "one id on two hosts with two subnets; one restarts",
    () => {
      const state = world(2, 3, 2, { stop: 2, move: 0 });
      owner(state, 1, 0);
      start(state, 0);
      Object.assign(state.hosts[0]!, { id: state.hosts[1]!.diskId, diskId: state.hosts[1]!.diskId });
      settle(state, 0, 1);
      return state;
    },
    { boot: 2, crash: 2, lostReply: 1 },
    ({ hosts: [one, two] }) =>
      one!.holds !== 2
        ? "h0, connected all the time, lost its subnet"
        : two!.up && two!.holds !== 1
        ? "h1 has not its former subnet"
        : null,
  ),
  scenario(
    "twins-apart-wiped",
    "the same, and the one that restarts has lost what it knew of its subnet",
    () => {
      const state = world(2, 3, 2, { stop: 2, move: 0 });
      owner(state, 1, 1);
      start(state, 0);
      Object.assign(state.hosts[0]!, { id: state.hosts[1]!.diskId, diskId: state.hosts[1]!.diskId });
      settle(state, 0, 0);
      Object.assign(state.store[0]!, { created: 1 });
      Object.assign(state.store[1]!, { created: 2 });
      return state;
    },
    { boot: 2, crash: 2, lostReply: 1, wipe: 1 },
    keepsSubnet(0, 0),
  ),
];

function keepsSubnet(i: number, subnet: number) {
  return ({ hosts }: State) =>
    hosts[i]!.holds === subnet + 1 ? null : `h${i}, connected all the time, lost its subnet`;
}

const moves: readonly Scenario[] = [
  scenario(
    "reboot",
    "one host with a disk: reboots, renumbered, memory lost, replies lost, a restore",
    () => owned(1, 2, 3),
    { boot: 2, crash: 2, move: 2, wipe: 1, lostReply: 1, part: 1, backup: 1, restore: 1 },
    allReturn(1),
  ),
  scenario(
    "restart-restore",
    "a host that was restarted since the backup; an outage, a restore",
    () => owned(1, 2, 2),
    { boot: 2, crash: 2, backup: 1, restore: 1, part: 1, move: 1 },
    allReturn(1),
  ),
  scenario(
    "newcomer",
    "a new host gets the address of an owner that is connected all the time",
    () => newcomer(2, 3, 3, { stop: 2 }),
    { boot: 3, crash: 2, move: 2, lostReply: 1 },
    keepsSubnet(0, 0),
  ),
  scenario(
    "owner-restarts",
    "a newcomer at its address while the owner restarts quickly",
    () => owned(2, 3, 1, { quickBoot: true }),
    { boot: 4, crash: 3, lostReply: 1 },
    ({ hosts: [one] }) => !one!.up || one!.holds === 1 ? null : "h0 lost its subnet by a quick restart",
  ),
  scenario("owner-reboots", "the same, slowly, and cut off too", () => owned(2, 3, 1), {
    boot: 4,
    crash: 3,
    part: 2,
  }),
  scenario("slow-owner", "the answer comes after the trial; the owner is cut off", () => newcomer(2, 3, 2), {
    boot: 2,
    crash: 1,
    part: 2,
    slow: 2,
    move: 1,
  }),
  scenario(
    "suspended",
    "an owner is cut off past its lease's end, another takes the subnet, the owner returns",
    () => owned(2, 2, 2),
    { boot: 2, crash: 1, part: 2, expire: 2 },
  ),
  scenario("restore-trial", "a restore from a backup in the middle of a trial", () => newcomer(2, 3, 2), {
    boot: 2,
    crash: 1,
    part: 1,
    move: 1,
    backup: 1,
    restore: 1,
  }),
  scenario("restore-clone", "a restore with a copy about", () => copied(1, 2), {
    boot: 2,
    crash: 1,
    part: 1,
    backup: 1,
    restore: 1,
  }),
  scenario(
    "swap-diskless",
    "two hosts without disks swap addresses, stop, start",
    () => owners(3, 2, {}, false),
    { boot: 2, crash: 2, move: 2 },
  ),
  scenario("swap-disk", "two hosts with disks swap addresses, stop, start", () => owners(3, 2), {
    boot: 2,
    crash: 2,
    move: 2,
  }, allReturn(2)),
  scenario("swap-expired", "the same, and one lease ends meanwhile", () => owners(3, 2), {
    boot: 3,
    crash: 3,
    move: 2,
    expire: 1,
  }, allReturn(2)),
  scenario(
    "loop-diskless",
    "a host without a disk, at the address of a living owner, restarts in a loop",
    () => {
      const state = owned(2, 2, 1);
      state.hosts[1]!.hasDisk = false;
      return state;
    },
    { boot: 4, crash: 4 },
  ),
  scenario("two-newcomers", "two newcomers without disks at the address of a dead owner", () => {
    const state = owned(3, 3, 1);
    stop(state, 0);
    for (const i of [1, 2]) state.hosts[i]!.hasDisk = false;
    return state;
  }, { boot: 4, crash: 1, part: 1 }),
  scenario(
    "reservation",
    "a reservation by address, an owner with a disk that moves there, others about",
    () => {
      const state = owned(2, 3, 2);
      const version = freshVersion(state);
      state.store[1] = { ...NOTHING, present: true, created: 2, reserved: true, address: 1, version };
      return state;
    },
    { boot: 2, crash: 1, move: 2 },
  ),
];

const flannels: readonly Scenario[] = [
  scenario(
    "flannel",
    "flannel beside ours with another address keeps its subnet",
    beside("0.28", () => world(2, 3, 2), (state) => {
      Object.assign(state.hosts[1]!, { up: true });
      settle(state, 1, 1);
      owner(state, 0, 0);
      Object.assign(state, { limits: { ...state.limits, addresses: 1 } });
    }),
    { boot: 2, crash: 1, part: 2, expire: 1, renew: 2, lostReply: 1 },
    ({ hosts: [, two], store }) => {
      const rec = store[two!.holds - 1];
      return !two!.up || (rec?.present && rec.address === 1 && rec.id === 0)
        ? null
        : "flannel lost its subnet";
    },
  ),
  scenario(
    "flannel-same-address",
    "flannel with our address; it renews",
    beside("0.28", () => owned(2, 3, 1)),
    { boot: 3, crash: 2, renew: 2, part: 1 },
  ),
  scenario(
    "flannel-0.11",
    "0.11 takes its previous subnet from whoever has it",
    beside("0.11", () => owned(2, 3, 2, { move: 0 }), (state) => {
      Object.assign(state.hosts[1]!, { diskSubnet: 1 });
    }),
    { boot: 2, crash: 2, renew: 1, part: 1, expire: 1 },
  ),
  scenario(
    "upgrade",
    "our record has no id yet; the same address, or moved while down",
    beside("0.28", () => world(2, 3, 2, { move: 0 }), (state) => {
      state.hosts[0]!.diskSubnet = 1;
      state.store[0] = { ...NOTHING, present: true, created: 1, version: 1 };
    }),
    { boot: 3, crash: 2, lostReply: 1, part: 1, backup: 1, restore: 1 },
    allReturn(1),
  ),
];

/** Host 0 has the device and the record of a daemon that knew no ids. */
function unmarkedOwner(hosts: number, addresses: number, change: (state: State) => void = () => {}): State {
  const state = world(hosts, 3, addresses, { stop: 1, cut: 1 });
  Object.assign(state.hosts[0]!, { diskSubnet: 1, mac: 1 });
  state.store[0] = { ...NOTHING, present: true, created: 1, version: 1, mac: 1 };
  change(state);
  return state;
}

const upgrades: readonly Scenario[] = [
  scenario(
    "upgrade-moved",
    "our record has no id yet; the address moves, down or running, and the device is kept",
    () => unmarkedOwner(1, 3),
    { boot: 2, crash: 2, move: 2, lostReply: 1, part: 1, backup: 1, restore: 1 },
    allReturn(1),
  ),
  scenario(
    "upgrade-handed-on",
    "the same, and a new host gets the address that the record has",
    () => unmarkedOwner(2, 3),
    { boot: 3, crash: 1, move: 2, lostReply: 1, part: 1 },
  ),
  scenario(
    "upgrade-forked",
    "the same device and memory of a subnet on two machines: the one was copied from the other while it ran",
    () => unmarkedOwner(2, 2, (state) => Object.assign(state.hosts[1]!, { diskSubnet: 1, mac: 1 })),
    { boot: 4, crash: 2, lostReply: 1, part: 1 },
  ),
];

/** Keys that differ and yet share a part: subnets 0 and 1. */
const overlaps: readonly Scenario[] = [
  scenario("overlap-race", "two hosts take subnets at the same moment", () => {
    const state = world(2, 3, 2, { overlap: true });
    for (const [i, host] of state.hosts.entries()) host.diskSubnet = i + 1;
    return state;
  }, { boot: 3, crash: 2, lostReply: 1, part: 1, expire: 1 }),
  scenario(
    "overlap-clone",
    "a copy of an owner's disk has the other half; the owner is cut off, leases end",
    () => {
      const state = copied(1, 2, { overlap: true });
      state.hosts[1]!.diskSubnet = 2;
      return state;
    },
    { boot: 2, crash: 1, part: 1, expire: 2, lostReply: 1 },
  ),
  scenario(
    "overlap-restore",
    "a backup has the half that its owner left since, and that another has now",
    () => {
      const state = owned(2, 4, 2, { overlap: true });
      owner(state, 1, 2);
      state.hosts[1]!.diskSubnet = 2;
      return state;
    },
    { boot: 2, crash: 2, wipe: 1, expire: 2, backup: 1, restore: 1, part: 1 },
  ),
];

const mixtures: readonly Scenario[] = [
  scenario("mix", "two hosts with disks, everything but a restore", () => owned(2, 3, 2), {
    boot: 3,
    crash: 2,
    part: 1,
    move: 2,
    clone: 1,
    expire: 1,
    lostReply: 1,
    slow: 1,
  }),
  scenario("mix-restore", "two hosts with disks, everything with a restore", () => owned(2, 3, 2), {
    boot: 2,
    crash: 1,
    part: 1,
    move: 1,
    clone: 1,
    expire: 1,
    lostReply: 1,
    backup: 1,
    restore: 1,
  }),
  scenario("mix-three", "three hosts with disks, everything but slowness", () => {
    const state = owned(3, 3, 2);
    state.hosts[2]!.address = 0;
    return state;
  }, { boot: 3, crash: 1, part: 1, move: 1, clone: 1, expire: 1 }),
  scenario("mix-three-restore", "three hosts, one without a disk, a restore", () => {
    const state = world(3, 3, 2);
    state.hosts[2]!.hasDisk = false;
    owner(state, 0, 0);
    owner(state, 1, 1);
    state.hosts[2]!.address = 0;
    return state;
  }, { boot: 2, crash: 1, part: 1, backup: 1, restore: 1, lostReply: 1 }),
  scenario("mix-flannel", "two of ours and a flannel, two addresses", beside("0.28", () => owned(3, 3, 2)), {
    boot: 3,
    crash: 2,
    part: 1,
    move: 1,
    renew: 1,
    expire: 1,
  }),
];

export const scenarios: readonly Scenario[] = [
  ...copiesOfDisks,
  ...moves,
  ...flannels,
  ...upgrades,
  ...overlaps,
  ...mixtures,
];
