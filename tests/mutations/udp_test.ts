/** One broken line of the userspace tunnel for each of its scenarios, which must turn it red. */
import { mustFail, type Mutation } from "../support/mutant.ts";

const scenarios = "tests/scenarios/udp_test.ts";
const restarts = "tests/scenarios/udp_restart_test.ts";
const driver = "src/kernel/tunnels.ts";
const backend = "src/backend/udp.ts";

const mutations: readonly Mutation[] = [
  {
    name: "a peer that goes stays in the tunnel",
    file: driver,
    find: 'if (verb === "delete") tunnel.peers.delete(object.key);\n    else tunnel.peers',
    replace: 'if (verb !== "delete") tunnel.peers',
    test: scenarios,
    filter: "coming and going",
  },
  {
    name: "a tunnel's device keeps whatever MTU it has",
    file: "src/model/objects.ts",
    find: 'type: "tun", alias, mtu, up: true',
    replace: 'type: "tun", alias, up: true',
    test: scenarios,
    filter: "comes back",
  },
  {
    name: "sockets stay where they were bound",
    file: driver,
    find: "before.port === tunnel.fields.port && sameTexts(before.underlay, tunnel.fields.underlay)",
    replace: "before.port === tunnel.fields.port",
    test: scenarios,
    filter: "MTU and address",
  },
  {
    name: "an inner source is anybody's",
    file: "native/udp_receive.c",
    find: "return owner == from->owner;",
    replace: "return owner == from->owner || owner != 0;",
    test: scenarios,
    filter: "strangers",
  },
  {
    name: "who moved stays a stranger",
    file: driver.replace("tunnels", "tunnel_fields"),
    find: "acceptMoved: fields.acceptMoved === true,",
    replace: "acceptMoved: false,",
    test: scenarios,
    filter: "accept-moved",
  },
  {
    name: "IPv6 counts IPv4's overhead",
    file: backend,
    find: "Math.max(...familiesOf(self.network).map(overhead))",
    replace: "overhead(4)",
    test: scenarios,
    filter: "both families",
  },
  {
    name: "a kept device is carried before its peers are known",
    file: driver,
    find:
      "if (tunnel.running === null && texts(tunnel.fields.icmpSources).length > 0) this.#carry(name, tunnel);",
    replace: "if (tunnel.running === null) this.#carry(name, tunnel);",
    test: restarts,
    filter: "SIGTERM with a descriptor store",
  },
  {
    name: "nothing is given to the service manager",
    file: driver,
    find: "this.#keep(name, running);",
    replace: "",
    test: restarts,
    filter: "SIGKILL with a descriptor store",
  },
  {
    name: "the gap is not told",
    file: "src/cli/daemon.ts",
    find: "await downtime.note(machine.kernel);",
    replace: "",
    test: restarts,
    filter: "SIGTERM without a store",
  },
  {
    name: "any number of queues fits what was kept",
    file: driver,
    find: "arrange(tunnel.kept, name, tunnel.fields) !== null",
    replace: "tunnel.kept.length > 0",
    test: restarts,
    filter: "number of queues",
  },
];

mutations.forEach(mustFail);
