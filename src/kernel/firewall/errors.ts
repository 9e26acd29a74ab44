/** What iptables said, for people: one line, with the rule that it means and a way out. */
import { Failure } from "../../model/errors.ts";
import type { RunResult } from "../../system/exec.ts";

/** A kernel without IPv6 or without the tables: there is nothing to list, and no failure in that. */
const noTables =
  /table does not exist|address family not supported|protocol not supported|unsupported protocol/i;

/** Null where the listing is complete. */
export function listError(program: string, result: RunResult): Failure | null {
  if (result.code === 0 || noTables.test(result.stderr)) return null;
  return new Failure(`list firewall rules with "${program}": ${said(result)}; ${wayOut(result.stderr)}`);
}

/** Null where the restore took effect. */
export function restoreError(program: string, input: string, result: RunResult): string | null {
  if (result.code === 0) return null;
  const line = /\bline:? (\d+)/.exec(result.stderr)?.[1];
  const rule = line === undefined ? "" : input.split("\n")[Number(line) - 1] ?? "";
  const where = rule === "" || rule === "COMMIT" ? "" : ` at '${rule}'`;
  return `change firewall rules with "${program}": ${said(result)}${where}; ${wayOut(result.stderr)}`;
}

/** The words of the message without the program's name and version and its hint at --help. */
function said({ code, stderr }: RunResult): string {
  const lines = stderr.split("\n").filter((line) => !/^(Try `|# Warning|Error occurred at line)/.test(line));
  const text = lines.join(" ").replace(/ip6?tables\S*( v[\d.]+)?( \(\w+\))?: ?/g, "").replace(/\s+/g, " ")
    .trim();
  return text === "" ? `exit code ${code}` : text.replace(/\.$/, "");
}

const remedies: readonly { readonly when: RegExp; readonly then: string }[] = [
  { when: /permission denied|operation not permitted|must be root/i, then: "run as root with CAP_NET_ADMIN" },
  { when: /xtables lock/i, then: "another program holds the lock, it will be tried again" },
  { when: /incompatible/i, then: "remove what nft added to the tables of iptables, or use another variant" },
  {
    when: /initialize nft|protocol not supported/i,
    then: "load the kernel's nf_tables, or use another variant (-iptables-variant=legacy)",
  },
  {
    when: /n(ot|able to|'t) initialize (ip6?tables )?table/i,
    then: "run as root with CAP_NET_ADMIN and CAP_NET_RAW, and load the kernel's ip_tables",
  },
  { when: /table does not exist|couldn't load/i, then: "load the kernel's netfilter modules" },
];

function wayOut(text: string): string {
  return remedies.find(({ when }) => when.test(text))?.then ?? "compare with what iptables-save prints";
}
