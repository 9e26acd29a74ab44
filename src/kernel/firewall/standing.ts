/**
 * Whose the firewall objects in a listing are.
 *
 * Ours: our instance's chains (by name) and the jumps to them from where we put them; a second jump is ours too, with a key of
 * its own, so that it goes away. Adoptable: the four masquerade rules that flannel 0.11 and before put straight into
 * POSTROUTING for one of our networks, where they stand complete and in order, as nobody else writes them. All else, chains
 * of other instances included, is not returned: it can't be in our way.
 */
import { forwardChain, masqueradeChain, type TrafficChain } from "../../model/firewall.ts";
import type { Family } from "../../model/ip.ts";
import { chain, jump } from "../../model/objects.ts";
import type { Observed } from "../../model/plan.ts";
import { containsPrefix, familyOf, formatPrefix, parsePrefix, type Prefix } from "../../model/prefix.ts";
import type { Owner } from "../kernel.ts";
import { ruleWords, type SavedRules, type SavedTable } from "./save_text.ts";

/** Ours and adoptable among the rules of one family. */
export function firewallObjects(saved: SavedRules, family: Family, owner: Owner): Observed[] {
  const chains = [masqueradeChain(owner.instance), forwardChain(owner.instance)];
  return [
    ...chains.flatMap((place) => chainAndJumps(saved.get(place.table), family, place)),
    ...owner.networks.filter((network) => familyOf(network) === family && family === 4)
      .flatMap((network) => bareRules(saved.get("nat"), network)),
  ];
}

function chainAndJumps(table: SavedTable | undefined, family: Family, place: TrafficChain): Observed[] {
  const rules = table?.get(place.name);
  const own: Observed[] = rules === undefined
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
function jumpObject(family: Family, { table, from, name }: TrafficChain, rule: string, n: number): Observed {
  return { ...jump(family, table, from, n === 1 ? name : `${name} #${n}`, rule), standing: "ours" };
}

/** The rules of flannel 0.11 for this network; none unless all four stand there, one after the other. */
function bareRules(nat: SavedTable | undefined, network: Prefix): Observed[] {
  const rules = nat?.get("POSTROUTING") ?? [];
  const n = formatPrefix(network);
  const start = rules.indexOf(`-s ${n} -d ${n} -j RETURN`);
  const found = rules.slice(start, start + 4);
  if (start < 0 || !isBareSet(found, network)) return [];
  return found.map((rule) => ({ ...jump(4, "nat", "POSTROUTING", rule, rule), standing: "adoptable" }));
}

function isBareSet(rules: readonly string[], network: Prefix): boolean {
  const n = formatPrefix(network);
  const own = new RegExp(`^! -s ${RegExp.escape(n)} -d (\\S+) -j RETURN$`).exec(rules[2] ?? "");
  const subnet = parsePrefix(own?.[1] ?? "");
  const [, masqueradeOut = "", , masqueradeIn = ""] = rules.map((rule) =>
    rule.replace(/ --random-fully$/, "")
  );
  return masqueradeOut === `-s ${n} ! -d 224.0.0.0/4 -j MASQUERADE` &&
    subnet !== null && containsPrefix(network, subnet) &&
    masqueradeIn === `! -s ${n} -d ${n} -j MASQUERADE`;
}
