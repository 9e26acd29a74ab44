/**
 * Reading the members of a `Backend` section: names in any case, `null` as absent, one sentence for what is wrong.
 * A backend declares its members once as a table; checking and reading both go through it.
 */
import { type JsonObject, member } from "../model/json.ts";
import { shownJson } from "../model/shown.ts";

export interface NumberMember {
  readonly type: "number";
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** What 0 stands for, where it is not a number like others. */
  readonly zero?: string;
}
export interface BooleanMember {
  readonly type: "boolean";
  readonly default: boolean;
}
export interface WordMember {
  readonly type: "word";
  readonly default: string;
  readonly words: readonly string[];
}
type Rule = NumberMember | BooleanMember | WordMember;
export type Members = Readonly<Record<string, Rule>>;

/** The values that a table of members gives. */
export type Values<M extends Members> = {
  readonly [Name in keyof M]: M[Name] extends NumberMember ? number
    : M[Name] extends WordMember ? M[Name]["words"][number]
    : boolean;
};

/** The first member that breaks its rule, as a sentence; null where none does. */
export function checkMembers(section: JsonObject, table: Members): string | null {
  for (const [name, rule] of Object.entries(table)) {
    const value = member(section, name) ?? rule.default;
    if (!fits(value, rule)) return `Backend.${name} ${shownJson(value)}: must be ${wanted(rule)}`;
  }
  return null;
}

/** The values, with defaults for what is absent or breaks its rule (`checkMembers` has refused the latter). */
export function readMembers<M extends Members>(section: JsonObject, table: M): Values<M> {
  const entries = Object.entries(table).map(([name, rule]) => {
    const value = member(section, name);
    return [name, fits(value, rule) ? value : rule.default];
  });
  return Object.fromEntries(entries) as Values<M>;
}

function wanted(rule: Rule): string {
  if (rule.type === "boolean") return "true or false";
  if (rule.type === "word") return `one of ${rule.words.map((word) => JSON.stringify(word)).join(", ")}`;
  return `a whole number from ${rule.min} to ${rule.max}`;
}

function fits(value: unknown, rule: Rule): boolean {
  if (rule.type === "boolean") return typeof value === "boolean";
  if (rule.type === "word") return rule.words.includes(value as string);
  return Number.isInteger(value) && (value as number) >= rule.min && (value as number) <= rule.max;
}
