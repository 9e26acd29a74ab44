/** One broken line of the product for each scenario of real faults, which must turn it red. */
import { mustFail, type Mutation } from "../support/mutant.ts";

const members = { test: "tests/scenarios/fault_etcd_members_test.ts", filter: "members" };
const history = { test: "tests/scenarios/fault_etcd_history_test.ts", filter: "restored" };
const access = { test: "tests/scenarios/fault_etcd_access_test.ts", filter: "into etcd" };
const host = { test: "tests/scenarios/fault_host_test.ts", filter: "second daemon" };

const mutations: readonly Mutation[] = [
  {
    name: "a member without a leader may keep silent",
    file: "src/store/etcd3_link.ts",
    find: 'if (needsLeader) metadata.set("hasleader", "true");',
    replace: "",
    ...members,
  },
  {
    name: "a list may be stale",
    file: "src/store/etcd3_client.ts",
    find: "...(request.newestOnly && newest) };",
    replace: "...(request.newestOnly && newest), serializable: true };",
    ...members,
  },
  {
    name: "a frozen member is waited for",
    file: "src/store/etcd3_link.ts",
    find: '"grpc.keepalive_time_ms": 6_000,',
    replace: "",
    ...members,
  },
  {
    name: "an outage of the store makes a host unready",
    file: "src/control/readiness.ts",
    find: "...(now.leaseHeld ? [] :",
    replace: "...(now.leaseHeld && now.outage === null ? [] :",
    ...members,
  },
  {
    name: "who is missing from a restored store is dropped at once",
    file: "src/control/lease_view.ts",
    find: "event.restored === true ? now : null",
    replace: "null",
    ...history,
  },
  {
    name: "forgotten history is not noticed",
    file: "src/store/etcd3_client.ts",
    find: "if (Number(compact_revision) > 0) throw new Compacted(Number(compact_revision));",
    replace: "",
    ...history,
  },
  {
    name: "of changes that come together the first is lost",
    file: "src/store/etcd_store.ts",
    find: "return followed.events.flatMap(",
    replace: "return followed.events.slice(1).flatMap(",
    ...history,
  },
  {
    name: "a call with a token that has run out is repeated without end",
    file: "src/store/etcd3_link.ts",
    find: 'status.details.replace("invalid auth token", "token not valid any more")',
    replace: "status.details",
    ...access,
  },
  {
    name: "certificates are read once",
    file: "src/store/etcd_tls.ts",
    find: "const fresh = readContext(this.#paths);",
    replace: "const fresh = this.#good ?? readContext(this.#paths);",
    ...access,
  },
  {
    name: "our own record is not known again",
    file: "src/store/acquire.ts",
    find: "return sameHost(lease.record, claim.record) || wasOurs(lease, claim);",
    replace: "return lease.record === claim.record;",
    test: "tests/scenarios/fault_kill_test.ts",
    filter: "kill -9",
  },
  {
    name: "the network goes before the new program comes",
    file: "src/cli/daemon.ts",
    find: "await overlay.run(stop);",
    replace: "await overlay.run(stop).catch(() => {}); await overlay.leave();",
    test: "tests/scenarios/fault_upgrade_test.ts",
    filter: "replaced",
  },
  {
    name: "changes of the firewall are not heard",
    file: "src/control/overlay.ts",
    find: 'if (concerns(event, ["chain"])) this.#firewallEvents.pass();',
    replace: "",
    test: "tests/scenarios/fault_wiped_test.ts",
    filter: "wiped",
  },
  {
    name: "the underlay is not followed",
    file: "src/control/underlay_follower.ts",
    find: "if (changes.length === 0) return;",
    replace: "if (changes.length >= 0) return;",
    test: "tests/scenarios/fault_underlay_test.ts",
    filter: "underlay",
  },
  {
    name: "a full disk is complained of at every try",
    file: "src/control/subnet_file_writer.ts",
    find: "this.#trouble.is(message, `",
    replace: "log.warn(`",
    ...host,
  },
  {
    name: "a name may be taken twice",
    file: "src/cli/daemon.ts",
    find: "if (taken !== null) return taken;",
    replace: "return taken ?? { [Symbol.dispose]: () => {} };",
    ...host,
  },
];

mutations.forEach(mustFail);
