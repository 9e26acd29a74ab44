/**
 * Which rules in a built-in chain are ours by their text: those that flannel 0.11, or we with its layout, write for a network
 * and a subnet that are or were ours.
 *
 * - `each`: with that layout in force every rule of such a text is ours, so that a set with a gap is mended, not doubled.
 * - `whole`: otherwise only a whole set is, one rule right after the other, as nobody else writes it. A single rule may well
 *   be an administrator's (`-s NETWORK -j ACCEPT` in front of a DROP), and a rule that stands outside of a set as well is left
 *   alone: removing goes by text, and would hit the first one.
 */
import { bareForward, bareMasquerade } from "../../model/firewall.ts";
import { containsPrefix, type Prefix } from "../../model/prefix.ts";

export type Recognition = "each" | "whole";

/** Sets of rules, each in its order. */
export type RuleSets = readonly (readonly string[])[];

/** Masquerading; in both spellings, since the other one may have been written with an older iptables or other flags. */
export function masqueradeSets(networks: readonly Prefix[], subnets: readonly Prefix[]): RuleSets {
  return networks.flatMap((network) =>
    subnets.filter((subnet) => containsPrefix(network, subnet)).flatMap((subnet) =>
      [true, false].map((randomFully) => bareMasquerade(network, subnet, randomFully))
    )
  );
}

export function forwardSets(networks: readonly Prefix[]): RuleSets {
  return networks.map(bareForward);
}

/** Those of `rules` that are ours, in their order. */
export function knownRules(rules: readonly string[], sets: RuleSets, how: Recognition): string[] {
  const texts = new Set(sets.flat());
  if (how === "each") return rules.filter((rule) => texts.has(rule));
  const inside = rules.map(() => false);
  for (const set of sets) {
    for (const start of rules.keys()) {
      if (set.every((rule, i) => rules[start + i] === rule)) inside.fill(true, start, start + set.length);
    }
  }
  const elsewhere = new Set(rules.filter((_, i) => !inside[i]));
  return rules.filter((rule, i) => inside[i] && !elsewhere.has(rule));
}
