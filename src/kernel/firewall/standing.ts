/**
 * Whose the firewall objects in a listing are.
 *
 * Ours: the chains of our instance, or of one whose place we have taken (by name) and the jumps to them from where we put them; a second jump is ours too, with a key of
 * its own, so that it goes away. Bare rules in POSTROUTING and FORWARD, known by their text (`bare_rules.ts`): ours with the
 * layout that has them, else adoptable. All else, chains of other instances included, is not returned: it can't be in our way.
 */
import { forwardChain, masqueradeChain, type TrafficChain } from "../../model/firewall.ts";
import type { Family } from "../../model/ip.ts";
import { bareRules, chain, type FirewallKind, jump } from "../../model/objects.ts";
import type { ObservedOf } from "../../model/plan.ts";
import { familyOf, type Prefix } from "../../model/prefix.ts";
import type { Owner } from "../../model/owner.ts";
import { forwardSets, knownRules, masqueradeSets, type RuleSets } from "./bare_rules.ts";
import { ruleWords, type SavedRules, type SavedTable } from "./save_text.ts";

export type FirewallObserved = { [K in FirewallKind]: ObservedOf<K> }[FirewallKind];

/** Ours and adoptable among the rules of one family. */
export function firewallObjects(saved: SavedRules, family: Family, owner: Owner): FirewallObserved[] {
  const ofFamily = (prefixes: readonly Prefix[]) => prefixes.filter((prefix) => familyOf(prefix) === family);
  const [networks, subnets] = [ofFamily(owner.networks), ofFamily(owner.subnets)];
  const places: [TrafficChain, RuleSets][] = [
    [masqueradeChain(owner.instance), masqueradeSets(networks, subnets)],
    [forwardChain(owner.instance), forwardSets(networks)],
  ];
  const former = (owner.formerInstances ?? []).flatMap((name) => [masqueradeChain(name), forwardChain(name)]);
  return [
    ...places.flatMap(([place, sets]) => [
      ...chainAndJumps(saved.get(place.table), family, place),
      ...bare(saved.get(place.table), family, place, sets, owner),
    ]),
    ...former.flatMap((place) => chainAndJumps(saved.get(place.table), family, place)),
  ];
}

function chainAndJumps(
  table: SavedTable | undefined,
  family: Family,
  place: TrafficChain,
): FirewallObserved[] {
  const rules = table?.get(place.name);
  const own: FirewallObserved[] = rules === undefined
    ? []
    : [{ ...chain(family, place.table, place.name, rules), standing: "ours" }];
  const jumps = (table?.get(place.from) ?? []).filter((rule) => leadsTo(rule, place.name));
  return [...own, ...jumps.map((rule, i) => jumpObject(family, place, rule, i + 1))];
}

/** True for a rule that jumps to this chain. */
export function leadsTo(rule: string, name: string): boolean {
  const words = ruleWords(rule);
  return words.some((word, i) => word === "-j" && words[i + 1] === name);
}

/** The first one has the key that is wanted. */
function jumpObject(
  family: Family,
  { table, from, name }: TrafficChain,
  rule: string,
  n: number,
): FirewallObserved {
  return { ...jump(family, table, from, n === 1 ? name : `${name} #${n}`, rule), standing: "ours" };
}

function bare(
  table: SavedTable | undefined,
  family: Family,
  place: TrafficChain,
  sets: RuleSets,
  { layout }: Owner,
): FirewallObserved[] {
  const inForce = layout === "legacy";
  const rules = knownRules(table?.get(place.from) ?? [], sets, inForce ? "each" : "whole");
  if (rules.length === 0) return [];
  const standing = inForce ? "ours" : "adoptable";
  return [{ ...bareRules(family, place.table, place.from, rules), standing }];
}
