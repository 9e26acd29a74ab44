/** One broken line of the userspace tunnel for each of its scenarios, which must turn it red. */
import type { Mutation } from "../support/mutant.ts";

const scenarios = "tests/scenarios/udp_test.ts";
const restarts = "tests/scenarios/udp_restart_test.ts";
const driver = "src/kernel/tunnel/tunnels.ts";
const backend = "src/backend/udp.ts";

export const mutations: readonly Mutation[] = [
  {
    name: "a peer that goes stays in the tunnel",
    file: driver,
    find: 'if (verb === "delete") peers.delete(object.key);\n    else peers',
    replace: 'if (verb !== "delete") peers',
    test: scenarios,
    filter: "coming and going",
    says: "wait for the peer is gone",
  },
  {
    name: "a tunnel's device keeps whatever MTU it has",
    file: "src/model/objects.ts",
    find: 'type: "tun", alias, mtu, up: true',
    replace: 'type: "tun", alias, up: true',
    test: scenarios,
    filter: "comes back",
    says: "wait for the repair of: MTU changed",
  },
  {
    name: "sockets stay where they were bound",
    file: driver,
    find: "before.port === tunnel.fields.port && sameValue(before.underlay, tunnel.fields.underlay)",
    replace: "before.port === tunnel.fields.port",
    test: scenarios,
    filter: "MTU and address",
    says: "the device has stayed",
  },
  {
    name: "an inner source is anybody's",
    file: "native/udp/receive.c",
    find: "return from->owner ? owner == from->owner :",
    replace: "return from->owner ? owner != 0 :",
    test: scenarios,
    filter: "strangers",
    says: "wait for one more spoofed",
  },
  {
    name: "who moved stays a stranger",
    file: driver.replace("tunnels.ts", "fields.ts"),
    find: "sources,\n    acceptMoved,",
    replace: "sources,\n    acceptMoved: false,",
    test: scenarios,
    filter: "accept-moved",
    says: "wait for an answer from",
  },
  {
    name: "a tunnel over IPv6 counts IPv4's overhead",
    file: backend,
    find: "Math.max(...familiesOf(self.network).map(overhead))",
    replace: "overhead(4)",
    test: scenarios,
    filter: "both families",
    says: "'1472' !== '1452'",
  },
  {
    name: "a kept device is carried before its peers are known",
    file: driver,
    find:
      "if (tunnel.running === null && (tunnel.fields.icmpSources ?? []).length > 0) this.#carry(name, tunnel);",
    replace: "if (tunnel.running === null) this.#carry(name, tunnel);",
    test: restarts,
    filter: "SIGTERM with a descriptor store",
    says: "Values are not equal",
  },
  {
    name: "nothing is given to the service manager",
    file: driver,
    find: "if (running) this.#care.keep(keptName(name), flat(running.descriptors()));",
    replace: "",
    test: restarts,
    filter: "SIGKILL with a descriptor store",
    says: "the device and the socket",
  },
  {
    name: "the gap is not told",
    file: "src/cli/daemon.ts",
    find: "await downtime.note(machine.kernel);",
    replace: "",
    test: restarts,
    filter: "SIGTERM without a store",
    says: "packets are carried again",
  },
  {
    name: "any number of queues fits what was kept",
    file: driver,
    find: "arrange(tunnel.kept, name, tunnel.fields) !== null",
    replace: "tunnel.kept.length > 0",
    test: restarts,
    filter: "number of queues",
    says: "Expected 'started",
  },
  {
    name: "the second look counts routes alone",
    file: "src/plan/peer_objects.ts",
    find: 'if (kind === "peer") return fields.subnet;',
    replace: 'if (kind === "peer") return null;',
    test: "tests/faults/shrink_test.ts",
    filter: "udp: when all peers",
    says: "nothing goes before the second look",
  },
];
