/**
 * The firewall driver against the real iptables, each test in a network namespace of its own, for both variants:
 *
 *   trafficObjects ──► diff ──► apply (iptables-restore) ──► read (iptables-save) ──► diff must be empty
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { firewallTools, probeFirewall } from "../../src/kernel/firewall/tools.ts";
import type { Obj } from "../../src/model/objects.ts";
import type { Operation } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { Firewall, firewallTest, wanted } from "../support/firewall.ts";
import { trafficOptions } from "../support/firewall_wishes.ts";

firewallTest("an empty host gets everything in one restore for each family", async (firewall) => {
  assertEquals((await firewall.settle(wanted())).length, 8);
  assertEquals(firewall.inputs.length, 2);
  assertEquals(await firewall.read().then((all) => all.map((o) => o.standing)), Array(8).fill("ours"));
});

firewallTest("the listing of the masquerade chain is upstream's", async (firewall) => {
  await firewall.settle(wanted());
  assertEquals(
    (await firewall.iptables("-t nat -S FLANNEL-POSTRTG")).trim().split("\n"),
    [
      "-N FLANNEL-POSTRTG",
      '-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.5.72.0/24 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.5.0.0/16 -d 10.5.72.0/24 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG ! -s 10.5.0.0/16 -d 10.5.72.0/24 -m comment --comment "flanneld masq" -j RETURN',
      '-A FLANNEL-POSTRTG -s 10.5.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
      '-A FLANNEL-POSTRTG ! -s 10.5.0.0/16 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
    ],
  );
  assertStringIncludes(await firewall.iptables("-t nat -S FLANNEL-POSTRTG", 6), "! -d ff00::/8");
});

firewallTest("prefixes off the byte boundaries read back as written", async (firewall) => {
  const { network } = trafficOptions();
  const v4 = { ...network.v4!, network: parsePrefix("172.20.0.0/14")! };
  const v6 = { ...network.v6!, network: parsePrefix("fd00:aaaa:8000::/35")! };
  await firewall.settle(wanted({
    network: { ...network, v4, v6 },
    subnets: { v4: parsePrefix("172.21.4.128/27"), v6: parsePrefix("fd00:aaaa:8000:1:2::/83") },
    randomFully: false,
  }));
});

firewallTest("a rule deleted by hand is seen and comes back in its place", async (firewall) => {
  await firewall.settle(wanted());
  const before = await firewall.iptables("-t nat -S");
  await firewall.iptables("-t nat -D FLANNEL-POSTRTG 3");
  assertEquals(await firewall.settle(wanted()), ["modify chain iptables nat FLANNEL-POSTRTG"]);
  assertEquals(await firewall.iptables("-t nat -S"), before);
});

firewallTest("a rule added to our chain, or two swapped, is drift", async (firewall) => {
  await firewall.settle(wanted());
  await firewall.iptables("-I FLANNEL-FWD -j DROP");
  assertEquals(await firewall.settle(wanted()), ["modify chain iptables filter FLANNEL-FWD"]);
  await firewall.iptables('-D FLANNEL-FWD -s 10.5.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT');
  await firewall.iptables('-A FLANNEL-FWD -s 10.5.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT');
  assertEquals(await firewall.settle(wanted()), ["modify chain iptables filter FLANNEL-FWD"]);
});

firewallTest("everything wiped comes back in one restore", async (firewall) => {
  await firewall.settle(wanted());
  for (const table of ["nat", "filter"]) await firewall.iptables(`-t ${table} -F`);
  for (const table of ["nat", "filter"]) await firewall.iptables(`-t ${table} -X`);
  firewall.inputs.length = 0;
  assertEquals((await firewall.settle(wanted())).length, 4);
  assertEquals(firewall.inputs.length, 1);
});

firewallTest("surplus jumps go, the last one stays", async (firewall) => {
  await firewall.settle(wanted());
  const copy = '-t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG';
  await firewall.iptables(copy);
  await firewall.iptables(copy);
  await firewall.iptables("-t nat -I POSTROUTING -j FLANNEL-POSTRTG");
  await firewall.settle(wanted());
  assertEquals(
    await firewall.iptables("-t nat -S POSTROUTING"),
    '-P POSTROUTING ACCEPT\n-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG\n',
  );
});

firewallTest("foreign rules and chains stay as and where they are", async (firewall) => {
  await firewall.iptables("-t nat -N THEIRS");
  await firewall.iptables("-t nat -A POSTROUTING -s 10.5.0.0/16 -o lo -j THEIRS");
  await firewall.iptables(
    '-t nat -A POSTROUTING -m comment --comment "say \\"hi\\" it\'s" -d 192.0.2.0/24 -j MASQUERADE',
  );
  await firewall.iptables("-t nat -A POSTROUTING -j RETURN");
  const before = await firewall.iptables("-t nat -S");
  await firewall.settle(wanted());
  assertEquals((await firewall.iptables("-t nat -S POSTROUTING")).split("\n").slice(0, 4), [
    ...before.split("\n").filter((line) => line.includes(" POSTROUTING")),
  ]);
  await firewall.settle([]);
  assertEquals(await firewall.iptables("-t nat -S"), before);
});

firewallTest("what is no longer wanted goes: a service, a family, everything", async (firewall) => {
  await firewall.settle(wanted());
  assertEquals(await firewall.settle(wanted({ ipMasq: false })), [
    "delete jump ip6tables nat POSTROUTING FLANNEL-POSTRTG",
    "delete jump iptables nat POSTROUTING FLANNEL-POSTRTG",
    "delete chain ip6tables nat FLANNEL-POSTRTG",
    "delete chain iptables nat FLANNEL-POSTRTG",
  ]);
  firewall.inputs.length = 0;
  await firewall.settle([]);
  assertEquals([await firewall.read(), firewall.inputs.length], [[], 2]);
  assertMatch(await firewall.iptables("-S"), /^(-P \w+ ACCEPT\n){3}$/);
});

firewallTest("two instances leave each other alone", async (blue) => {
  const green = new Firewall(blue.place, { variant: blue.variant, instance: "green" });
  await blue.settle(wanted());
  await green.settle(wanted({ instance: "green", subnets: { v4: parsePrefix("10.5.9.0/24"), v6: null } }));
  assertEquals((await blue.plan(wanted())).operations, []);
  await green.settle([]);
  assertEquals((await blue.plan(wanted())).operations, []);
});

firewallTest("one bad operation does not stop the others, and says why it failed", async (firewall) => {
  const [chain, ...rest] = wanted({ forwardRules: false }).filter((o) => o.key.startsWith("iptables "));
  const bad: Obj = {
    kind: "chain",
    key: "iptables filter BAD",
    fields: { rules: ["-s 10.0.0.0/33 -j ACCEPT"] },
  };
  const operations = [chain!, bad, ...rest].map((object): Operation => ({ verb: "create", object }));
  const outcomes = await firewall.apply(operations);
  assertEquals(outcomes.map((outcome) => outcome.error === null), [true, false, true]);
  assertEquals(
    outcomes[1]!.error,
    `change firewall rules with "iptables-${firewall.variant}-restore": invalid mask \`33' specified ` +
      "at '-A BAD -s 10.0.0.0/33 -j ACCEPT'; compare with what iptables-save prints",
  );
  assertEquals((await firewall.plan(wanted({ forwardRules: false }))).operations.length, 2);
  assertEquals((await firewall.iptables("-t nat -S POSTROUTING")).split("\n").length, 3);
});

firewallTest("deleting what is gone already is success", async (firewall) => {
  await firewall.settle(wanted());
  const { operations } = await firewall.plan([]);
  await firewall.iptables("-t nat -F POSTROUTING");
  await firewall.iptables("-t nat -F FLANNEL-POSTRTG");
  await firewall.iptables("-t nat -X FLANNEL-POSTRTG");
  assertEquals((await firewall.apply(operations)).filter((outcome) => outcome.error !== null), []);
  assertEquals(await firewall.read(), []);
});

firewallTest(
  "a chain that someone else's rule leads to cannot go, and everything else does",
  async (firewall) => {
    await firewall.settle(wanted());
    await firewall.iptables("-t nat -N THEIRS");
    await firewall.iptables("-t nat -A THEIRS -j FLANNEL-POSTRTG");
    const outcomes = await firewall.apply((await firewall.plan([])).operations);
    const failed = outcomes.filter((outcome) => outcome.error !== null);
    assertEquals(failed.map((outcome) => outcome.operation.object.key), ["iptables nat FLANNEL-POSTRTG"]);
    assertEquals((await firewall.read()).map((o) => o.key), ["iptables nat FLANNEL-POSTRTG"]);
  },
);

firewallTest("masquerading is never missing while the subnet changes", async (firewall) => {
  await firewall.settle(wanted());
  let done = false;
  let looks = 0;
  const watch = async () => {
    for (; !done; looks++) {
      const saved = await firewall.run(firewallTools(4, firewall.variant).save, ["-t", "nat"]);
      assertEquals(saved.stdout.match(/-j MASQUERADE/g)?.length, 2);
      assertEquals(saved.stdout.match(/-A POSTROUTING .* -j FLANNEL-POSTRTG/g)?.length, 1);
    }
  };
  const change = async () => {
    for (let i = 0; i < 40; i++) {
      const subnets = { v4: parsePrefix(`10.5.${i}.0/24`), v6: null };
      await firewall.apply((await firewall.plan(wanted({ subnets }))).operations);
    }
    done = true;
  };
  await Promise.all([watch(), change()]).finally(() => done = true);
  assert(looks > 10, `looked ${looks} times`);
});

firewallTest("the probe tells the variant", async ({ run, variant }) => {
  const probe = await probeFirewall(run, variant);
  assertEquals([probe.available, probe.variant, probe.randomFully], [true, variant, true]);
});
