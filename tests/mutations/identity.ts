/** Rules of who owns a subnet, each taken away: the model sees it in a scenario. */
import type { Mutation } from "../support/mutant.ts";

type Rule = Pick<Mutation, "name" | "find" | "replace" | "says">;

const rules: readonly Rule[] = [
  {
    name: "a host with its disk does not know its own record",
    find: "const own = oldest(standing.filter(({ mark }) => mark?.host === host));",
    replace: "const own = oldest<T>([]);",
    says: "has not its former subnet",
  },
  {
    name: "what another host has on trial is not taken back at a start",
    find: "if (tried) return",
    replace: "if (false) return",
    says: "h0 lost its subnet by a quick restart",
  },
  {
    name: "a record without a mark is not known by the device's MAC",
    find: "(s.atOurAddress || s.wasOurs)",
    replace: "s.atOurAddress",
    says: "has not its former subnet",
  },
  {
    name: "a host that had a subnet before tries another's",
    find: "s.mark !== null && s.mark.after === null && s.atOurAddress && (isNew || s.reserved)",
    replace: "s.mark !== null && s.mark.after === null && s.atOurAddress",
    says: "h0 has not its former subnet",
  },
  {
    name: "what is on trial is tried by the next",
    find: "s.mark !== null && s.mark.after === null && s.atOurAddress && (isNew || s.reserved)",
    replace: "s.mark !== null && s.atOurAddress && (isNew || s.reserved)",
    says: "a connected owner with an id of its own lost its subnet",
  },
  {
    name: "another's record is taken without a trial",
    find: 'return { way: "trial", over: other, turn: 1, after: other.mark!.host };',
    replace: 'return { way: "trial", over: other, turn: 1, after: null };',
    says: "lost its subnet",
  },
  {
    name: "our run at a version that we did not write is taken for ours",
    find: "if (!found.asWritten && !outstanding) {",
    replace: "if (false) {",
    says: "both hold s0",
  },
  {
    name: "the write without a reply is taken for a copy's",
    find: "if (!found.asWritten && !outstanding) {",
    replace: "if (!found.asWritten) {",
    says: "h0, connected all the time, lost its subnet",
  },
  {
    name: "an elder twin is not minded",
    find: "if (found.elderTwin) return",
    replace: "if (false) return",
    says: "have one id, and so one MAC",
  },
  {
    name: "an older record that has part of the subnet is not minded",
    find: "if (found.elderOverlap) return",
    replace: "if (false) return",
    says: "h0 and h1 overlap",
  },
  {
    name: "nobody takes back what is tried",
    find: "if (isOurs(there.after)) return",
    replace: "if (false) return",
    says: "lost its subnet",
  },
  {
    name: "a copy that came later keeps the subnet",
    find: "if (there.turn > mark.turn) return",
    replace: "if (false) return",
    says: "lost its subnet",
  },
  {
    name: "a copy gets no id of its own",
    find: 'return { type: "yield", newHost: true, why: "held by a copy" };',
    replace: 'return { type: "yield", newHost: false, why: "held by a copy" };',
    says: "an endless quarrel",
  },
  {
    name: "after an outage a host does not know its own id's record again",
    find: "if (contactLost) {",
    replace: "if (false) {",
    says: "h0 has not its former subnet",
  },
  {
    name: "after an outage what a host without an id wrote at our address is its own",
    find: "return contactLost && (atOurAddress || wasOurs)",
    replace: "return false",
    says: "h0 has not its former subnet",
  },
  {
    name: "after a restore a host that has moved does not know its unmarked record",
    find: "return contactLost && (atOurAddress || wasOurs)",
    replace: "return contactLost && atOurAddress",
    says: "h0 has not its former subnet",
  },
  {
    name: "what a host without an id wrote is taken back for ever",
    find: "return contactLost && (atOurAddress || wasOurs)",
    replace: "return atOurAddress || wasOurs",
    says: "an endless quarrel",
  },
];

const file = "src/model/identity.ts";

export const mutations: readonly Mutation[] = [
  ...rules.map((rule) => ({ ...rule, file, test: "tests/model/model_test.ts", filter: "model: " })),
  {
    name: "a trial is not begun anew after a restore",
    file,
    find: "if (contactLost && atOurAddress && isUntried) return",
    replace: "if (false) return",
    test: "tests/unit/lease_keeper_test.ts",
    filter: "a trial that a restored store has undone",
    says: "strictly deep-equal",
  },
];
