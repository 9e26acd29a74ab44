/** The product with one line broken in a way that only rare circumstances show: the simulation must find it. */
import type { Damage } from "../support/mutant.ts";

export interface SimulatedMutation extends Damage {
  /** A piece of what the simulation has to say, in whichever schedule. */
  readonly says: string;
}

export const mutations: readonly SimulatedMutation[] = [
  {
    name: "what the kernel tells of routes is not taken in",
    file: "src/plan/standing.ts",
    find: "this.#set(id, told.now ?? undefined);",
    replace: 'if (told.kind !== "route") this.#set(id, told.now ?? undefined);',
    says: "objects stood otherwise than was told",
  },
  {
    name: "a device that goes down takes its routes along unnoticed",
    file: "tests/support/kernel/fake_ring.ts",
    find: 'if (kind === "link" || kind === "address" || kind === "tunnel") this.#isAll = false;',
    replace: 'if (kind === "address" || kind === "tunnel") this.#isAll = false;',
    says: "objects stood otherwise than was told",
  },
  {
    name: "things are deleted before a whole list was read",
    file: "src/control/network_rounds.ts",
    find: "deletes: inSync, protectedSubnets }",
    replace: "deletes: true, protectedSubnets }",
    says: "before a whole snapshot was seen",
  },
  {
    name: "what is not ours is changed where it is in the way",
    file: "src/plan/diff.ts",
    find: 'if (before.standing === "foreign") return { object, by: before };',
    replace: "",
    says: "it is somebody else's",
  },
  {
    name: "writes of a changed record are not conditional",
    file: "src/store/etcd/v3/table.ts",
    find: "if (over === null || !isAsWritten(this.read(over), lease)) return this.#lost(over);",
    replace: "if (over === null) return this.#lost(over);",
    says: "wrote over the record of",
  },
  {
    name: "a lost lease is not noticed",
    file: "src/control/lease_keeper.ts",
    find: "return await this.#create(verdict.mark, breaks, signal);",
    replace: "return;",
    says: "is not in the store",
  },
  {
    name: "a machine that slept in the middle of a round pauses as long",
    file: "src/control/round_loop.ts",
    find: "return Math.min(LONGEST_PAUSE_MS, Math.max(least, ms));",
    replace: "return Math.max(least, ms);",
    says: "is missing",
  },
  {
    name: "a lease is renewed every ten seconds",
    file: "src/control/lease_keeper.ts",
    find: "this.#lease.expires - this.#options.marginMs;",
    replace: "this.#lease.expires - 86_390_000;",
    says: "writes came to the store",
  },
  {
    name: "the MACs of all hosts are one",
    file: "src/model/mac.ts",
    find: "...new TextEncoder().encode(host), family,",
    replace: "...new TextEncoder().encode(host.slice(32)), family,",
    says: ", are one: ",
  },
  {
    name: "the older of two claims does not count",
    file: "src/plan/peer_book.ts",
    find: "return a.rank - b.rank || a.lease.created - b.lease.created ||",
    replace: "return a.rank - b.rank || b.lease.created - a.lease.created ||",
    says: "is missing",
  },
  {
    name: "a compacted watch goes on as if nothing were",
    file: "src/store/etcd/follow.ts",
    find: "if (!(thrown instanceof HistoryLost)) throw thrown;",
    replace: "throw thrown;",
    says: "is missing",
  },
  {
    name: "the record of IPv6 alone is written where it is not read",
    file: "src/store/etcd/keys.ts",
    find: "if (subnets.v4 !== null) return key + formatLeaseKey(subnets);",
    replace: "return key + formatLeaseKey(subnets);",
    says: "is not in the store",
  },
  {
    name: "there is no second look",
    file: "src/control/shrink_guard.ts",
    find: "if (!this.#approved && this.shrinks(losses, now)) {",
    replace: "if (!this.#approved && losses === null) {",
    says: "peers go at once",
  },
  {
    name: "foreign routes count as ours, in rare circumstances",
    file: "src/kernel/ownership.ts",
    find: 'if (route.fields.protocol !== BOOT || !isPlain(route, destination)) return "foreign";',
    replace: 'if (route.fields.protocol !== BOOT || !isPlain(route, destination)) return "ours";',
    says: "counts as ours, and is foreign",
  },
  {
    name: "what an administrator can have written as well is taken over",
    file: "src/kernel/ownership.ts",
    find: 'if (!throughOurs) return "lookalike";',
    replace: 'if (!throughOurs) return "adoptable";',
    says: "counts as adoptable, and is lookalike",
  },
  {
    name: "every address on our device is ours",
    file: "src/kernel/ownership.ts",
    find: 'if (inNetworks(address.fields.address, owner)) return "ours";',
    replace: 'if (onOurs(address, devices)) return "ours";',
    says: "counts as ours, and is ",
  },
  {
    name: "a neighbour of another protocol can be taken over",
    file: "src/kernel/ownership.ts",
    find: "return entry.fields.protocol === 0 && inNetworks(entry.fields.address, owner)",
    replace: "return inNetworks(entry.fields.address, owner)",
    says: "counts as adoptable, and is foreign",
  },
  {
    name: "FDB entries for groups are ours",
    file: "src/kernel/ownership.ts",
    find: 'if (destination === null || mac === null || !isUsableMac(mac)) return "foreign";',
    replace: "",
    says: "counts as ours, and is foreign",
  },
  {
    name: "a device of our name can be taken over whatever its alias",
    file: "src/kernel/ownership.ts",
    find: 'if (link.fields.alias !== "") return "foreign";',
    replace: "",
    says: "counts as adoptable, and is foreign",
  },
  {
    name: "a device of our name can be taken over whatever it is",
    file: "src/kernel/ownership.ts",
    find: 'link.fields.type === "vxlan" && link.fields.vni === vni;',
    replace: 'link.fields.type !== "tun";',
    says: "counts as adoptable, and is foreign",
  },
  {
    name: "what upstream left is nobody's",
    file: "src/kernel/ownership.ts",
    find: 'return route.fields.onlink && ownGateway ? "adoptable" : "foreign";',
    replace: 'return "foreign";',
    says: "counts as foreign, and is adoptable",
  },
  {
    name: "the whole of IPv4 is our network",
    file: "src/plan/desired.ts",
    find: "networks: [...networks, ...former.networks],",
    replace: "networks: [...networks.map((n) => ({ ...n, length: n.length - 8 })), ...former.networks],",
    says: "for its own",
  },
];
