/**
 * Changing between the two layouts and the two variants of iptables, and what upstream's daemons leave, on the real
 * iptables: nothing doubled, nothing left over, everybody else's rules untouched, and at no moment no masquerading.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { iptablesDriver } from "../../src/kernel/firewall/iptables.ts";
import type { Owner } from "../../src/model/owner.ts";
import type { FirewallLayout, Variant } from "../../src/model/firewall.ts";
import type { Operation } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { Firewall, firewallTest, otherThan, wanted } from "../support/firewall.ts";

const BARE_NAT = [
  "-A POSTROUTING -s 10.5.0.0/16 -d 10.5.0.0/16 -j RETURN",
  "-A POSTROUTING -s 10.5.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully",
  "-A POSTROUTING ! -s 10.5.0.0/16 -d 10.5.72.0/24 -j RETURN",
  "-A POSTROUTING ! -s 10.5.0.0/16 -d 10.5.0.0/16 -j MASQUERADE --random-fully",
];
const BARE_FORWARD = ["-A FORWARD -s 10.5.0.0/16 -j ACCEPT", "-A FORWARD -d 10.5.0.0/16 -j ACCEPT"];

const with_ = (firewall: Firewall, owner: Partial<Owner> & { both?: boolean; variant?: Variant }) =>
  new Firewall(firewall.place, { variant: firewall.variant, ...owner });
const legacy = (firewall: Firewall) => with_(firewall, { layout: "legacy" });
const rulesIn = async (firewall: Firewall, chain: string, table: string, family: 4 | 6 = 4) =>
  (await firewall.iptables(`-t ${table} -S ${chain}`, family)).trim().split("\n").slice(1);
const add = async (firewall: Firewall, table: string, lines: readonly string[]) => {
  for (const line of lines) await firewall.iptables(`-t ${table} ${line}`);
};

firewallTest("the legacy layout is flannel 0.11's, in its order and without a comment", async (firewall) => {
  const old = legacy(firewall);
  assertEquals(await old.settle(wanted({ layout: "legacy" })), [
    "create rules iptables nat POSTROUTING",
    "create rules iptables filter FORWARD",
    "create rules ip6tables nat POSTROUTING",
    "create rules ip6tables filter FORWARD",
  ]);
  assertEquals(await rulesIn(firewall, "POSTROUTING", "nat"), BARE_NAT);
  assertEquals(await rulesIn(firewall, "FORWARD", "filter"), BARE_FORWARD);
  assertEquals(
    (await rulesIn(firewall, "POSTROUTING", "nat", 6))[1],
    [
      "-A POSTROUTING -s fd00:1::/48 ! -d ff00::/8 -j MASQUERADE --random-fully",
    ][0],
  );
  assertEquals((await old.read()).map((o) => o.standing), Array(4).fill("ours"));
});

firewallTest("there and back: one restore for each family, and the listing of before", async (firewall) => {
  const old = legacy(firewall);
  await add(firewall, "nat", ["-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE"]);
  await firewall.settle(wanted());
  const before = [await firewall.iptables("-t nat -S"), await firewall.iptables("-t filter -S")];
  await old.settle(wanted({ layout: "legacy" }));
  assertEquals(old.inputs.length, 2);
  assertEquals((await rulesIn(firewall, "POSTROUTING", "nat")).slice(1), BARE_NAT);
  assertEquals((await firewall.iptables("-t nat -S")).match(/FLANNEL/), null);
  assertEquals((await firewall.iptables("-t filter -S")).match(/FLANNEL/), null);
  firewall.inputs.length = 0;
  await firewall.settle(wanted());
  assertEquals(firewall.inputs.length, 2);
  assertEquals([await firewall.iptables("-t nat -S"), await firewall.iptables("-t filter -S")], before);
});

firewallTest("a gap, a second copy, a wrong order of bare rules are mended", async (firewall) => {
  const old = legacy(firewall);
  await old.settle(wanted({ layout: "legacy" }));
  await firewall.iptables("-t nat -D POSTROUTING 2");
  assertEquals(await old.settle(wanted({ layout: "legacy" })), ["modify rules iptables nat POSTROUTING"]);
  await add(firewall, "nat", BARE_NAT.map((rule) => rule.replace(" --random-fully", "")));
  await add(firewall, "nat", BARE_NAT.slice(0, 1));
  await old.settle(wanted({ layout: "legacy" }));
  await firewall.iptables("-D FORWARD 1");
  await add(firewall, "filter", BARE_FORWARD.slice(0, 1));
  assertEquals(await old.settle(wanted({ layout: "legacy" })), ["modify rules iptables filter FORWARD"]);
  assertEquals(await rulesIn(firewall, "POSTROUTING", "nat"), BARE_NAT);
  assertEquals(await rulesIn(firewall, "FORWARD", "filter"), BARE_FORWARD);
});

firewallTest("another subnet: its rules, and none of the old one's", async (firewall) => {
  await legacy(firewall).settle(wanted({ layout: "legacy" }));
  const subnets = { v4: parsePrefix("10.5.9.0/24"), v6: null };
  const both = [parsePrefix("10.5.9.0/24")!, parsePrefix("10.5.72.0/24")!];
  await with_(firewall, { layout: "legacy", subnets: both }).settle(wanted({ layout: "legacy", subnets }));
  assertEquals(
    await rulesIn(firewall, "POSTROUTING", "nat"),
    BARE_NAT.map((rule) => rule.replace("10.5.72.0", "10.5.9.0")),
  );
});

firewallTest("what flannel 0.11 left is taken away, what only looks like it is not", async (firewall) => {
  const nat = [
    // An administrator's, of the same text as one of ours or nearly so.
    "-A POSTROUTING -s 10.5.0.0/16 -j ACCEPT",
    "-A POSTROUTING ! -s 10.6.0.0/16 -d 10.6.0.0/16 -j MASQUERADE",
  ];
  const forward = ["-A FORWARD -s 10.5.0.0/16 -j ACCEPT", "-A FORWARD -s 10.5.3.0/24 -j DROP"];
  await add(firewall, "nat", [nat[0]!, ...BARE_NAT, ...BARE_NAT, nat[1]!]);
  await add(firewall, "filter", [...forward, ...BARE_FORWARD]);
  await firewall.settle(wanted());
  assertEquals((await rulesIn(firewall, "POSTROUTING", "nat")).slice(0, -1), nat);
  const left = await rulesIn(firewall, "FORWARD", "filter");
  // The one in front of the DROP has to stay, and iptables would take it for the one behind.
  assertEquals(left.slice(0, -1), [...forward, BARE_FORWARD[0]]);
  assertMatch(left.at(-1)!, /-j FLANNEL-FWD$/);
});

firewallTest("without the legacy layout a part of a set is anybody's", async (firewall) => {
  await firewall.settle(wanted());
  await add(firewall, "nat", BARE_NAT.slice(0, 3));
  await add(firewall, "filter", [BARE_FORWARD[1]!, BARE_FORWARD[0]!]);
  assertEquals((await firewall.plan(wanted())).operations, []);
  assertEquals((await firewall.plan([])).operations.filter((o) => o.object.kind === "rules"), []);
});

firewallTest("a set for another subnet or network is anybody's", async (firewall) => {
  await add(firewall, "nat", BARE_NAT.map((rule) => rule.replace("10.5.72.0", "10.5.33.0")));
  await add(firewall, "nat", BARE_NAT.map((rule) => rule.replaceAll("10.5.", "10.4.")));
  await firewall.settle(wanted());
  assertEquals((await rulesIn(firewall, "POSTROUTING", "nat")).length, 9);
});

firewallTest("a service that is switched off takes its bare rules along", async (firewall) => {
  await legacy(firewall).settle(wanted({ layout: "legacy" }));
  await legacy(firewall).settle(wanted({ layout: "legacy", ipMasq: false }));
  assertEquals(await rulesIn(firewall, "POSTROUTING", "nat"), []);
  assertEquals(await rulesIn(firewall, "FORWARD", "filter"), BARE_FORWARD);
});

firewallTest(
  "the other variant's leftovers go, of either layout, and nothing else of it",
  async (firewall) => {
    const variant = otherThan(firewall.variant);
    const elsewhere = with_(firewall, { variant });
    const theirs = "-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE";
    for (const layout of ["chains", "legacy"] as const) {
      await add(elsewhere, "nat", [theirs]);
      await with_(elsewhere, { layout }).settle(wanted({ layout }));
      await add(elsewhere, "nat", BARE_NAT);
      await with_(firewall, { both: true, layout }).settle(wanted({ layout }));
      assertEquals(await rulesIn(elsewhere, "POSTROUTING", "nat"), [theirs]);
      assertEquals((await elsewhere.iptables("-t nat -S")).match(/FLANNEL/), null);
      assertEquals(await rulesIn(elsewhere, "FORWARD", "filter"), []);
      assertEquals((await elsewhere.iptables("-S", 6)).match(/FLANNEL/), null);
      await firewall.settle([]);
      await legacy(firewall).settle([]);
      await add(elsewhere, "nat", [theirs.replace("-A", "-D")]);
    }
  },
);

firewallTest("deletions in the other variant print with its program's name", async (firewall) => {
  const variant = otherThan(firewall.variant);
  await with_(firewall, { variant }).settle(wanted({ ipMasq: false }));
  const both = with_(firewall, { both: true });
  const gone = (await both.plan([])).operations.filter(({ object }) => object.key.startsWith("iptables"));
  const print = new Map(both.driver.rules.map((rules) => [rules.kind, rules.print]));
  assertEquals(gone.map(({ object }) => print.get(object.kind)!(object)), [
    `iptables-${variant} -t filter -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD`,
    `iptables-${variant} -t filter chain FLANNEL-FWD (2 rules)`,
  ]);
});

firewallTest("nothing goes before what replaces it stands", async (firewall) => {
  const elsewhere = with_(firewall, { variant: otherThan(firewall.variant) });
  await elsewhere.settle(wanted());
  await legacy(firewall).settle(wanted({ layout: "legacy" }));
  const both = with_(firewall, { both: true });
  const { operations } = await both.plan(wanted());
  const broken = operations.map((operation): Operation => {
    const { object } = operation;
    return object.kind === "chain" && object.key === "iptables nat FLANNEL-POSTRTG"
      ? { ...operation, object: { ...object, fields: { rules: ["-s 10.0.0.0/33 -j RETURN"] } } }
      : operation;
  });
  const failed = (await both.apply(broken)).filter((outcome) => outcome.error !== null);
  const kept = failed.filter((outcome) => outcome.error!.endsWith("it stays until then"))
    .map((outcome) => outcome.operation.object.key);
  assertEquals(kept.filter((key) => !key.includes("-nft ") && !key.includes("-legacy ")), [
    "iptables nat POSTROUTING",
  ]);
  assertEquals(kept.filter((key) => key.startsWith("iptables-")).length, 4);
  assertEquals(await rulesIn(firewall, "POSTROUTING", "nat"), BARE_NAT);
  assertMatch(await elsewhere.iptables("-t nat -S"), /-j FLANNEL-POSTRTG/);
  // IPv6 is not held up by it.
  assertEquals((await elsewhere.iptables("-t nat -S", 6)).match(/FLANNEL/), null);
});

firewallTest("a host without the other variant's programs is read all the same", async (firewall) => {
  await firewall.settle(wanted());
  const other = otherThan(firewall.variant);
  for (const code of [4, 127]) {
    const driver = iptablesDriver({
      run: (command, args, options) =>
        command.includes(other)
          ? Promise.resolve({ code, stdout: "", stderr: "no such thing" })
          : firewall.run(command, args, options),
      variant: firewall.variant,
      other,
    });
    assertEquals((await driver.read(firewall.owner, () => Promise.reject(new Error()))).length, 8);
  }
});

firewallTest("masquerading is never missing while layouts change", async (firewall) => {
  await firewall.settle(wanted());
  const save = firewall.variant === "nft" ? "iptables-nft-save" : "iptables-legacy-save";
  const looks = await watched(async () => {
    const { stdout } = await firewall.run(save, ["-t", "nat"]);
    const bare = BARE_NAT.every((rule) => stdout.split("\n").includes(rule));
    const chains = /-A POSTROUTING .* -j FLANNEL-POSTRTG/.test(stdout) &&
      stdout.match(/-A FLANNEL-POSTRTG .*MASQUERADE/g)?.length === 2;
    assert(bare !== chains, stdout);
  }, async () => {
    for (let i = 0; i < 20; i++) await changeTo(firewall, (["legacy", "chains"] as const)[i % 2]!);
  });
  assert(looks > 10, `looked ${looks} times`);
});

firewallTest("masquerading is never missing while variants change", async (firewall) => {
  const programs = { nft: "iptables-nft-save", legacy: "iptables-legacy-save" } as const;
  const masquerades = async (variant: Variant) =>
    /-j (MASQUERADE|FLANNEL-POSTRTG)/.test((await firewall.run(programs[variant], [])).stdout);
  let from: Variant = otherThan(firewall.variant);
  await with_(firewall, { variant: from }).settle(wanted());
  const looks = await watched(async () => {
    // The one that goes is looked at first: where it is gone already, the one that comes has to be there.
    const [goes, comes] = [from, otherThan(from)];
    assert(await masquerades(goes) || await masquerades(comes), `neither ${goes} nor ${comes}`);
  }, async (looked) => {
    for (let i = 0; i < 10; i++) {
      await looked();
      const layout = (["legacy", "chains"] as const)[i % 2]!;
      const next = with_(firewall, { variant: otherThan(from), both: true, layout });
      await next.settle(wanted({ layout }));
      from = otherThan(from);
    }
  });
  assert(looks > 10, `looked ${looks} times`);
});

async function changeTo(firewall: Firewall, layout: FirewallLayout): Promise<void> {
  const as = with_(firewall, { layout });
  const outcomes = await as.apply((await as.plan(wanted({ layout }))).operations);
  assertEquals(outcomes.filter((outcome) => outcome.error !== null), []);
}

/**
 * Looks again and again until the work is done; gives how often. On a loaded machine a look may take longer than a change: whoever
 * waits for `looked` before each makes sure that none sees two of them.
 */
async function watched(
  look: () => Promise<void>,
  work: (looked: () => Promise<void>) => Promise<void>,
): Promise<number> {
  let done = false;
  let looks = 0;
  let current = Promise.resolve();
  const watch = async () => {
    for (; !done; looks++) await (current = look());
  };
  const looked = () => current.catch(() => {});
  await Promise.all([watch(), work(looked).finally(() => done = true)]).finally(() => done = true);
  return looks;
}
