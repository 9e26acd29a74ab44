/**
 * The words of `flanneld config`: an action, its own options, a file, and the daemon's flags where the store is meant. Ours may
 * stand anywhere; the rest is read by the daemon's own rules.
 */
import { UsageError } from "../../model/errors.ts";
import { didYouMean } from "../../model/nearest.ts";
import { quotedWord } from "../hide.ts";
import type { DaemonOptions } from "../options.ts";
import { parseArgs } from "../parse_args.ts";
import { type Inputs, readDaemonOptions } from "../read_options.ts";
import { takeFlags } from "../verb_flags.ts";

export const actions = ["explain", "check", "get", "set"] as const;
export type Action = (typeof actions)[number];

export interface ConfigWords {
  readonly action: Action;
  /** `-` for standard input; null where the store is meant. */
  readonly file: string | null;
  readonly json: boolean;
  readonly force: boolean;
  /** Of the network between the hosts, in bytes. */
  readonly mtu: number;
  /** Where the store is, among others. */
  readonly options: DaemonOptions;
}

export const help = `Usage: flanneld config explain [FILE] [OPTION]...
       flanneld config check   [FILE] [OPTION]...
       flanneld config get            [OPTION]...
       flanneld config set      FILE  [OPTION]...

  explain  what a network configuration gives: subnets, addresses, MTU, defaults
  check    whether it is right, in one line
  get      print the one that is stored
  set      check one and write it to etcd

FILE is JSON, - for standard input. Without it the stored configuration is read, by the daemon's flags: -etcd-endpoints,
-etcd-cafile, -store ...

  --mtu N  MTU of the network between the hosts (default 1500)
  --json   explain, check: for programs
  --force  set: replace another configuration

Exit codes: 0 right or done, 1 wrong or failed, 2 wrong usage.
`;

const own = { json: "switch", force: "switch", mtu: "value" } as const;

/** @throws UsageError */
export function readWords(inputs: Inputs): ConfigWords {
  const taken = takeFlags("config", inputs.args, own);
  const [action, ...words] = taken.rest;
  if (!isAction(action)) throw notAnAction(action);
  const { flags, files } = split(words);
  if (files.length > 1) {
    throw new UsageError(
      `config ${action} ${quotedWord(files[1]!)}: one file at a time; remove it, or put its dash in front`,
    );
  }
  const options = readDaemonOptions({ ...inputs, args: flags, ownFlags: Object.keys(own) });
  const file = files[0] ?? null;
  checkFile(action, file);
  const [json, force] = [taken.on.has("json"), taken.on.has("force")];
  return { action, file, json, force, mtu: mtu(taken.values.get("mtu") ?? "1500"), options };
}

function mtu(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value >= 68 && value <= 65535) return value;
  throw new UsageError(`config --mtu ${quotedWord(text)}: not an MTU; give bytes from 68 to 65535`);
}

/** A file may stand in front of the daemon's flags or behind them. */
function split(words: readonly string[]): { flags: readonly string[]; files: readonly string[] } {
  const leading = words.findIndex((word) => word.startsWith("-") && word !== "-");
  const before = leading < 0 ? words : words.slice(0, leading);
  const after = words.slice(before.length);
  const behind = parseArgs(after, Object.keys(own)).ignored;
  return { flags: after.slice(0, after.length - behind.length), files: [...before, ...behind] };
}

function checkFile(action: Action, file: string | null): void {
  if (action === "get" && file !== null) {
    throw new UsageError(`config get ${quotedWord(file)}: no file is read; give the store's flags alone`);
  }
  if (action === "set" && file === null) {
    throw new UsageError("config set: no file given; give one, or - for standard input");
  }
}

function isAction(word: string | undefined): word is Action {
  return actions.some((action) => action === word);
}

function notAnAction(word: string | undefined): UsageError {
  const all = `give one of ${actions.join(", ")} (see flanneld config --help)`;
  if (word === undefined) return new UsageError(`config: no action given; ${all}`);
  const hint = didYouMean(word, actions) || `; ${all}`;
  return new UsageError(`config ${quotedWord(word)}: no such action${hint}`);
}
