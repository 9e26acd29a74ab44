/** Members of a network configuration that nobody reads: typing errors, mostly. Pure. */
import type { JsonObject } from "../model/json.ts";
import { didYouMean } from "../model/nearest.ts";
import { knownMembers } from "../model/parse_config.ts";
import { shownJson } from "../model/shown.ts";
import type { Backend } from "./backend.ts";

/**
 * One sentence for each.
 *
 * @param unread those that stand beside `Backend`
 * @param section `Backend` itself
 * @param backend null where there is no such backend: then nothing is known of the section
 */
export function unreadMembers(
  unread: readonly string[],
  section: JsonObject,
  backend: Backend | null,
): string[] {
  const own = backend === null ? null : ["Type", ...Object.keys(backend.members)];
  const strangers = Object.keys(section).filter((name) => own !== null && !has(own, name));
  return [
    ...unread.map((name) => sentence(name, knownMembers)),
    ...strangers.map((name) => sentence(name, own!, "Backend.")),
  ];
}

function has(names: readonly string[], name: string): boolean {
  return names.some((each) => each.toLowerCase() === name.toLowerCase());
}

function sentence(name: string, known: readonly string[], before = ""): string {
  return `member ${shownJson(before + name)}: nobody reads it${didYouMean(name, known, before)}`;
}
