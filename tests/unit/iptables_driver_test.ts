/** The firewall driver where the programs are missing, old, or refuse: with programs made up. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { trafficObjects } from "../../src/backend/traffic_rules.ts";
import { checkBridgeNetfilter } from "../../src/kernel/firewall/bridge_netfilter.ts";
import { restoreInputs } from "../../src/kernel/firewall/apply.ts";
import { iptablesDriver } from "../../src/kernel/firewall/iptables.ts";
import type { FirewallOperation } from "../../src/kernel/firewall/restore_text.ts";
import { probeFirewall, resyncPeriod } from "../../src/kernel/firewall/tools.ts";
import type { Owner } from "../../src/model/owner.ts";
import { Failure } from "../../src/model/errors.ts";
import type { Obj } from "../../src/model/objects.ts";
import { MissingProgram, type Run, type RunResult } from "../../src/system/exec.ts";
import { trafficOptions } from "../support/firewall_wishes.ts";

const owner: Owner = {
  instance: "default",
  devices: [],
  networks: [],
  subnets: [],
  layout: "chains",
  vnis: new Map(),
};
const noLinks = () => Promise.reject(new Error("the firewall has no links"));
const operations = trafficObjects(trafficOptions()).map(create);

function create(object: Obj): FirewallOperation {
  assert(object.kind === "chain" || object.kind === "jump" || object.kind === "rules", object.kind);
  return { verb: "create", object };
}

/** Programs that answer what the function says; the names of those called are kept. */
function programs(answer: (command: string) => Partial<RunResult>): { run: Run; calls: string[] } {
  const calls: string[] = [];
  const run: Run = (command) => {
    calls.push(command);
    return Promise.resolve({ code: 0, stdout: "", stderr: "", ...answer(command) });
  };
  return { run, calls };
}

const missing: Run = (command) => Promise.reject(new MissingProgram(`run "${command}": not found`));

Deno.test("without iptables there is nothing to read, and applying says what is missing", async () => {
  const driver = iptablesDriver({ run: missing });
  assertEquals(await driver.read(owner, noLinks), []);
  const outcomes = await driver.apply(operations, noLinks);
  assertEquals([...new Set(outcomes.map((outcome) => outcome.error))], [
    'run "iptables-restore": not found',
    'run "ip6tables-restore": not found',
  ]);
});

Deno.test("a kernel without IPv6 has no IPv6 rules, and IPv4 goes on", async () => {
  const { run } = programs((command) =>
    command.startsWith("ip6") ? { code: 3, stderr: "ip6tables-save: Table does not exist" } : {}
  );
  assertEquals(await iptablesDriver({ run }).read(owner, noLinks), []);
});

Deno.test("a listing that fails is no empty firewall", async () => {
  const { run } = programs(() => ({
    code: 4,
    stderr: "iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: " +
      "Permission denied (you must be root)\n",
  }));
  const error = await assertRejects(() => iptablesDriver({ run }).read(owner, noLinks), Failure);
  assertEquals(
    error.message,
    'list firewall rules with "iptables-save": Could not fetch rule set generation id: ' +
      "Permission denied (you must be root); run as root with CAP_NET_ADMIN",
  );
});

Deno.test("a refused restore is tried again operation by operation", async () => {
  const { run, calls } = programs((command) =>
    command === "iptables-restore" ? { code: 1, stderr: "no" } : {}
  );
  const outcomes = await iptablesDriver({ run }).apply(operations, noLinks);
  assertEquals(outcomes.map((outcome) => outcome.error !== null), [
    true,
    true,
    true,
    true,
    ...Array(4).fill(false),
  ]);
  assertEquals(calls.filter((call) => call === "iptables-restore").length, 5);
  assertEquals(calls.filter((call) => call === "ip6tables-restore").length, 1);
});

Deno.test("kinds print as commands", () => {
  const [chain, jump] = iptablesDriver({ run: missing }).rules;
  assertEquals(chain?.print(operations[0]!.object), "iptables -t nat chain FLANNEL-POSTRTG (6 rules)");
  assertEquals(
    jump?.print(operations[5]!.object),
    'ip6tables -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
  );
});

Deno.test("the inputs of the restores, for a plan", () => {
  assertEquals(restoreInputs(operations, "nft").map(({ program }) => program), [
    "iptables-nft-restore",
    "ip6tables-nft-restore",
  ]);
});

Deno.test("the probe reads variant and abilities from the version", async () => {
  const probe = (stdout: string) => probeFirewall(programs(() => ({ stdout })).run);
  const known = { available: true, version: "1.8.9", randomFully: true };
  assertEquals(await probe("iptables v1.8.9 (nf_tables)\n"), { ...known, variant: "nft" });
  assertEquals(await probe("iptables v1.8.9 (legacy)\n"), { ...known, variant: "legacy" });
  assertEquals((await probe("iptables v1.6.2\n")).randomFully, true);
  assertEquals((await probe("iptables v1.6.1\n")).randomFully, false);
  assertEquals((await probe("iptables v1.10\n")).randomFully, true);
  assertEquals((await probe("gibberish")).why, 'ask "iptables" for its version: gibberish; reinstall it');
  assertEquals((await probeFirewall(missing)).why, 'run "iptables": not found');
});

Deno.test("the period between full reads is the flag's where changes are silent", () => {
  assertEquals([resyncPeriod("legacy", 5), resyncPeriod("legacy", 0)], [5_000, 1_000]);
  assertEquals([resyncPeriod("nft", 5), resyncPeriod("nft", 120)], [60_000, 120_000]);
});

Deno.test("a missing br_netfilter is a warning, never an error", async () => {
  const root = await Deno.makeTempDir();
  try {
    assertEquals(checkBridgeNetfilter(4, root)?.endsWith("do: modprobe br_netfilter"), true);
    await Deno.mkdir(`${root}/net/bridge`, { recursive: true });
    await Deno.writeTextFile(`${root}/net/bridge/bridge-nf-call-iptables`, "1\n");
    assertEquals(checkBridgeNetfilter(4, root), null);
    assertEquals(checkBridgeNetfilter(6, root) === null, false);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
