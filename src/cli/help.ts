/**
 * The texts made from the flag table: what `-help` prints, in the layout of Go's PrintDefaults that flannel's users know, and
 * the reference page docs/flags.md. Pure.
 */
import { type Flag, flags, type Group, type Value, variableOf } from "./flags.ts";
import { removedFlags } from "./removed_flags.ts";
import type { VerbTable } from "./verb.ts";

/** Commands first, then every flag by name. */
export function usage(program: string, verbs: VerbTable): string {
  const width = Math.max(...Object.keys(verbs).map((name) => name.length));
  const commands = Object.entries(verbs).map(([name, verb]) => `  ${name.padEnd(width)}  ${verb.summary}`);
  const byName = [...flags].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    `Usage: ${program} [OPTION]...`,
    `       ${program} COMMAND [OPTION]...`,
    "",
    "Without a command: run the daemon. Each option may also come from the environment, -ip-masq as FLANNELD_IP_MASQ=true,",
    "or from the TOML file of -config-file.",
    "",
    "Commands:",
    ...commands,
    "",
    "Options of the daemon:",
    ...byName.map(printDefault),
    "",
  ].join("\n");
}

function printDefault(flag: Flag): string {
  const word = typeWord(flag);
  const choices = flag.choices === undefined ? "" : `: ${flag.choices.join(", ")}`;
  const shown = isZero(flag) ? "" : ` (default ${quoted(flag.default)})`;
  const state = flag.built === false ? " (not in this release)" : "";
  return `  -${flag.name}${word === "" ? "" : " " + word}\n    \t${flag.help}${choices}${shown}${state}`;
}

function typeWord(flag: Flag): string {
  if (flag.kind === "bool") return "";
  if (flag.kind === "list" || ["v", "vmodule", "log_backtrace_at"].includes(flag.name)) return "value";
  return flag.kind;
}

/** Defaults that go without saying, as upstream. */
function isZero(flag: Flag): boolean {
  const zeros: readonly Value[] = [0, false, "", ":0"];
  return flag.kind === "list" || zeros.includes(flag.default);
}

function quoted(value: Value): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** docs/flags.md, before formatting. */
export function flagsPage(): string {
  const groups = [...new Set(flags.map((flag) => flag.group))];
  return [
    "# Flags of `flanneld`",
    "",
    "<!-- Written by `deno task docs` from src/cli/flags.ts; change it there. -->",
    "",
    ...intro,
    ...groups.flatMap(section),
    ...notBuilt(),
    ...dropped(),
  ].join("\n");
}

const intro = [
  "A setting comes from the first of these that has it: the flag, the environment variable, the TOML file of",
  "`-config-file` (the key is the flag's name), the default.",
  "",
  "- One dash or two; `-name=value` or `-name value`. A switch takes its value only with `=`: `-ip-masq=false`.",
  "- Words after the flags are an error; flannel ignores them silently, and with them every flag that follows.",
  "- An empty variable counts as unset, and so does an empty element of a list, `-iface=`. A bad variable is",
  "  passed over with a warning.",
  "- Exit codes: 0 asked to stop, 1 failed, 2 wrong usage. `-upstream-exit-codes` gives flannel's instead.",
  "- What is said, and in which form (`-log-format`): [log.md](log.md).",
  "- _Since_ is the release of flannel that brought the flag; _denim_: flannel has none.",
  "",
];

function section(group: Group): string[] {
  const rows = flags.filter((flag) => flag.group === group).map(row);
  return [
    `## ${group}`,
    "",
    "| flag | type | default | since | what it does |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ];
}

function row(flag: Flag): string {
  const shown = flag.kind === "list" || flag.default === "" ? "" : `\`${flag.default}\``;
  const type = flag.choices?.map((choice) => `\`${choice}\``).join(", ") ?? flag.kind;
  const notes = [
    flag.built === false ? "**not in this release**" : "",
    flag.unbuilt === undefined ? "" : `**not in this release: ${flag.unbuilt.join(", ")}**`,
    flag.ignored === undefined ? "" : `no effect: ${flag.ignored}`,
    flag.secret ? "never logged" : "",
  ].filter((note) => note !== "");
  const text = [flag.help, ...notes].join("; ").replaceAll("|", "\\|");
  return `| \`-${flag.name}\`<br>\`${variableOf(flag)}\` | ${type} | ${shown} | ${flag.since} | ${text} |`;
}

function notBuilt(): string[] {
  const names = flags.filter((flag) => flag.built === false).map((flag) => `\`-${flag.name}\``);
  if (names.length === 0) return [];
  return [
    "## Not in this release",
    "",
    `Parsed, and refused with exit code 2 when they ask for something: ${names.join(", ")}.`,
    "",
  ];
}

/** Those that flannel itself once had. */
function dropped(): string[] {
  const groups = Map.groupBy(removedFlags, ([, { instead, harmless }]) => `${harmless} ${instead}`);
  const rows = [...groups.values()].map((group) => {
    const names = group.map(([name]) => `\`-${name}\``).join(", ");
    const [, { instead, harmless }] = group[0]!;
    return `| ${names} | ${
      harmless ? "passed over with a warning" : "refused with exit code 2"
    } | ${instead} |`;
  });
  return [
    "## Dropped by flannel",
    "",
    "Flags of its old releases, for unit files that were written for them:",
    "",
    "| flag | here | instead |",
    "| --- | --- | --- |",
    ...rows,
    "",
  ];
}
