/** One broken line of the product for each scenario, which must turn it red. */
import { mustFail, type Mutation } from "../support/mutant.ts";

const restart = "tests/scenarios/restart_test.ts";
const repair = "tests/scenarios/repair_test.ts";
const badInput = "tests/scenarios/bad_input_test.ts";
const badEtcd = "tests/scenarios/bad_etcd_test.ts";
const direct = "tests/scenarios/direct_routing_test.ts";

const mutations: readonly Mutation[] = [
  {
    name: "the network goes when the daemon is asked to stop",
    file: "src/cli/daemon.ts",
    find: "await overlay.run(stop);",
    replace: "await overlay.run(stop).catch(() => {}); await overlay.leave();",
    test: restart,
    filter: "SIGTERM",
  },
  {
    name: "what is right is written again",
    file: "src/control/diff.ts",
    find: "if (fits(object.fields, before.fields)) return null;",
    replace: "if (object.kind === 'link' && fits(object.fields, before.fields)) return null;",
    test: restart,
    filter: "SIGKILL",
  },
  {
    name: "kernel events are not heard",
    file: "src/control/overlay.ts",
    find: "if (!onlyFirewall(event)) this.#reconciler.request({ network: true });",
    replace: "",
    test: repair,
    filter: "comes back",
  },
  {
    name: "a changed MTU of the underlay is no change",
    file: "src/control/underlay_follower.ts",
    find: '["MTU", String(underlay.mtu), String(chosen.mtu)],',
    replace: "",
    test: repair,
    filter: "MTU is followed",
  },
  {
    name: "foreign routes count as ours",
    file: "src/kernel/ownership.ts",
    find: 'if (route.fields.protocol !== BOOT || !isPlain(route, destination)) return "foreign";',
    replace: 'if (route.fields.protocol !== BOOT || !isPlain(route, destination)) return "ours";',
    test: repair,
    filter: "foreign",
  },
  {
    name: "nothing is pruned",
    file: "src/control/reconciler.ts",
    find: "mayDelete: (o) => wanted.inSync && !shielded(o)",
    replace: "mayDelete: (o) => !wanted.inSync && !shielded(o)",
    test: repair,
    filter: "pruned",
  },
  {
    name: "containers are not masqueraded",
    file: "src/backend/traffic_rules.ts",
    find: "`-s ${n} ! -d ${multicast} ${masquerade}`,",
    replace: "",
    test: "tests/scenarios/tutorial_test.ts",
    filter: "vxlan",
  },
  {
    name: "what stands in the other variant of iptables stays",
    file: "src/control/machine.ts",
    find: "const options = { run, other,",
    replace: "const options = { run,",
    test: "tests/scenarios/firewall_layout_test.ts",
    filter: "other layouts",
  },
  {
    name: "forwarded traffic is not accepted",
    file: "src/backend/traffic_rules.ts",
    find: "if (!options.forwardRules || network === undefined) return [];",
    replace: "if (network !== null) return [];",
    test: "tests/scenarios/tutorial_host_gw_test.ts",
    filter: "host-gw",
  },
  {
    name: "a peer behind a router counts as on our link",
    file: "src/backend/host.ts",
    find: "if (!way?.onLink) return null;",
    replace: "if (!way) return null;",
    test: direct,
    filter: "vxlan",
  },
  {
    name: "a refused peer is not told",
    file: "src/control/store_reports.ts",
    find: "if (!this.#refusals.has(text)) this.log.warn(text);",
    replace: "",
    test: direct,
    filter: "host-gw",
  },
  {
    name: "a failure exits with 0",
    file: "src/model/errors.ts",
    find: "readonly exitCode: number = 1;",
    replace: "readonly exitCode: number = 0;",
    test: badInput,
    filter: "ends it with 1",
  },
  {
    name: "a bad configuration ends the daemon",
    file: "src/control/start.ts",
    find: 'if (typeof problem !== "string") return problem;',
    replace: 'if (typeof problem !== "string") return problem; else throw new Failure(problem);',
    test: badInput,
    filter: "waited",
  },
  {
    name: "an unwritten subnet file counts as written",
    file: "src/control/subnet_file_writer.ts",
    find: "return this.#wanted !== null && this.#wanted === this.#standing;",
    replace: "return true;",
    test: badInput,
    filter: "read-only",
  },
  {
    name: "subnets outside the network are taken",
    file: "src/control/peers.ts",
    find: "if (!containsPrefix(network, subnet) || subnet.length === network.length) {",
    replace: "if (subnet.length === network.length) {",
    test: badEtcd,
    filter: "malformed",
  },
  {
    name: "IPv6 counts IPv4's overhead",
    file: "src/backend/vxlan.ts",
    find: "return (family === 4 ? 20 : 40) + 30;",
    replace: "return 50;",
    test: "tests/scenarios/dual_stack_test.ts",
    filter: "dual stack",
  },
  {
    name: "who leaves takes nothing along",
    file: "src/control/overlay.ts",
    find: "if (keep) return [];",
    replace: "return [];",
    test: "tests/scenarios/embedding_test.ts",
    filter: "example",
  },
  {
    name: "read-only is a start like any other",
    file: "src/cli/daemon.ts",
    find:
      "await (options.readOnly ? show(options, machine, log, stop) : serve(options, machine, log, stop));",
    replace: "await serve(options, machine, log, stop);",
    test: "tests/scenarios/read_only_test.ts",
    filter: "plan of a start",
  },
  {
    name: "the demo does not pass on that it was asked to stop",
    file: "src/cli/demo/inside.ts",
    find: 'if (init !== "") Deno.kill(Number(init), "SIGTERM");',
    replace: "",
    test: "tests/scenarios/demo_test.ts",
    filter: "SIGTERM",
  },
];

mutations.forEach(mustFail);
