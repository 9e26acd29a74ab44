/**
 * The words of `flanneld config`: an action, its own options, a file, and the daemon's flags where the store is meant. Ours may
 * stand anywhere; the rest is read by the daemon's own rules.
 */
import { UsageError } from "../../model/errors.ts";
import { didYouMean } from "../../model/nearest.ts";
import type { DaemonOptions } from "../options.ts";
import { parseArgs } from "../parse_args.ts";
import { type Inputs, readOptions } from "../read_options.ts";

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

/** @returns null where help is asked for. @throws UsageError */
export function readWords(inputs: Inputs): ConfigWords | null {
  const { rest, own } = takeOwn(inputs.args);
  const [action = "", ...words] = rest;
  if (own.help || action === "help") return null;
  if (!isAction(action)) throw new UsageError(`config "${action}": ${notAnAction(action)}`);
  const { flags, files } = split(words);
  if (files.length > 1) {
    throw new UsageError(
      `config ${action} "${files[1]}": one file at a time; remove it, or put its dash in front`,
    );
  }
  const request = readOptions({ ...inputs, args: flags });
  if (request.kind !== "run") return null;
  const file = files[0] ?? null;
  checkFile(action, file);
  return { action, file, json: own.json, force: own.force, mtu: own.mtu, options: request.options };
}

interface Own {
  readonly json: boolean;
  readonly force: boolean;
  readonly help: boolean;
  readonly mtu: number;
}

function takeOwn(words: readonly string[]): { rest: string[]; own: Own } {
  const own = { json: false, force: false, help: false, mtu: 1500 };
  const rest: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const [, name, value] = /^--?(json|force|help|h|mtu)(?:=(.*))?$/.exec(word) ?? [];
    if (name === "mtu") own.mtu = mtu(value ?? words[++i] ?? "");
    else if (name === undefined || value !== undefined) rest.push(word);
    else own[name === "h" ? "help" : name as "json" | "force" | "help"] = true;
  }
  return { rest, own };
}

function mtu(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value >= 68 && value <= 65535) return value;
  throw new UsageError(`config --mtu "${text}": not an MTU; give bytes from 68 to 65535`);
}

/** A file may stand in front of the daemon's flags or behind them. */
function split(words: readonly string[]): { flags: readonly string[]; files: readonly string[] } {
  const leading = words.findIndex((word) => word.startsWith("-") && word !== "-");
  const before = leading < 0 ? words : words.slice(0, leading);
  const after = words.slice(before.length);
  const behind = parseArgs(after).ignored;
  return { flags: after.slice(0, after.length - behind.length), files: [...before, ...behind] };
}

function checkFile(action: Action, file: string | null): void {
  if (action === "get" && file !== null) {
    throw new UsageError(`config get "${file}": no file is read; give the store's flags alone`);
  }
  if (action === "set" && file === null) {
    throw new UsageError(`config set "": no file; give one, or - for standard input`);
  }
}

function isAction(word: string): word is Action {
  return actions.some((action) => action === word);
}

function notAnAction(word: string): string {
  const hint = didYouMean(word, actions) || `; give one of ${actions.join(", ")}`;
  return `no such action${hint}\nrun flanneld config -help for all of them`;
}
