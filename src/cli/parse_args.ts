/**
 * The command line, by the rules of Go's flag package: one dash or two, `=` or the next word, booleans never take the next
 * word, the last of several scalars wins, lists accumulate, the first word that is no flag ends it.
 *
 * One difference: flannel silently ignores every word after the first that is no flag (`-ip-masq true -iface eth1` loses the
 * interface). Here that is an error that names the words.
 */
import { UsageError } from "../model/errors.ts";
import { type Flag, flagNamed, flags, type Value } from "./flags.ts";
import { parseWord } from "./flag_values.ts";
import { quotedWord, shownWord, shownWords } from "./hide.ts";
import { didYouMean } from "../model/nearest.ts";
import { type RemovedFlag, removedFlags } from "./removed_flags.ts";

/** The command line itself is wrong; flannel exits 0 for these, see `--upstream-exit-codes`. */
export class CommandLineError extends UsageError {}

export interface CommandLine {
  readonly values: ReadonlyMap<string, Value>;
  /** `-h` or `-help` came before any error. */
  readonly help: boolean;
  /** What follows the flags; empty unless the user made a mistake. */
  readonly ignored: readonly string[];
  /** The boolean right before the ignored words, where there is one: the usual mistake. */
  readonly lastBool: string | null;
  readonly warnings: readonly string[];
}

/** @param others names that an unknown flag may also have meant. @throws CommandLineError in upstream's words, with the way out */
export function parseArgs(args: readonly string[], others: readonly string[] = []): CommandLine {
  const parser = new Parser(args, others);
  parser.run();
  return parser;
}

class Parser implements CommandLine {
  readonly values = new Map<string, Value>();
  readonly warnings: string[] = [];
  help = false;
  lastBool: string | null = null;
  #rest: string[];

  constructor(args: readonly string[], readonly others: readonly string[]) {
    this.#rest = [...args];
  }

  get ignored(): readonly string[] {
    return this.#rest;
  }

  run(): void {
    while (!this.help) {
      const word = this.#rest[0];
      if (word === undefined || word.length < 2 || !word.startsWith("-")) return;
      this.#rest.shift();
      if (word === "--") {
        this.lastBool = null;
        return;
      }
      this.#flag(word);
    }
  }

  #flag(word: string): void {
    const body = word.slice(word.startsWith("--") ? 2 : 1);
    if (body === "" || /^[-=]/.test(body)) {
      throw new CommandLineError(withHelp(`bad flag syntax: ${shownWord(word)}`));
    }
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const inline = equals < 0 ? undefined : body.slice(equals + 1);
    const flag = flagNamed(name);
    if (flag !== undefined) this.#set(flag, inline);
    else if (name === "h" || name === "help") this.help = true;
    else this.#unknown(name, inline);
  }

  #set(flag: Flag, inline: string | undefined): void {
    this.lastBool = flag.kind === "bool" && inline === undefined ? flag.name : null;
    const word = flag.kind === "bool" ? inline ?? "true" : inline ?? this.#next(flag.name);
    const parsed = parseWord(flag, word);
    if ("reason" in parsed) throw new CommandLineError(withHelp(invalid(flag, word, parsed.reason)));
    const before = this.values.get(flag.name);
    const value = flag.kind === "list" && before !== undefined
      ? [...before as string[], ...parsed.value as string[]]
      : parsed.value;
    this.values.set(flag.name, value);
  }

  /** The next word, whatever it looks like. */
  #next(name: string): string {
    const word = this.#rest.shift();
    if (word === undefined) throw new CommandLineError(withHelp(`flag needs an argument: -${name}`));
    const looksLike = /^--?([^=]+)/.exec(word)?.[1];
    if (looksLike !== undefined && flagNamed(looksLike) !== undefined) {
      this.warnings.push(
        `set flag -${name}: its value is now "${shownWord(word)}", which looks like the next flag`,
      );
    }
    return word;
  }

  #unknown(name: string, inline: string | undefined): void {
    const removed = removedFlags.get(name);
    if (removed === undefined) {
      const hint = didYouMean(name, [...flags.map((flag) => flag.name), ...this.others], "-");
      throw new CommandLineError(withHelp(`flag provided but not defined: -${shownWord(name)}${hint}`));
    }
    this.#removed(name, inline, removed);
  }

  #removed(name: string, inline: string | undefined, removed: RemovedFlag): void {
    if (!removed.harmless) {
      const text = `flag provided but not defined: -${name}: an old release had it; ${removed.instead}`;
      throw new CommandLineError(withHelp(text));
    }
    if (inline === undefined && removed.takesValue) this.#next(name);
    this.lastBool = null;
    this.warnings.push(`flag -${name}: ignored, flannel dropped it long ago; ${removed.instead}`);
  }
}

function invalid(flag: Flag, word: string, reason: string): string {
  const quoted = quotedWord(flag.secret ? "…" : word);
  if (flag.kind === "bool") return `invalid boolean value ${quoted} for -${flag.name}: ${reason}`;
  return `invalid value ${quoted} for flag -${flag.name}: ${reason}`;
}

function withHelp(message: string): string {
  return message.endsWith("?") ? `${message} (see flanneld -help)` : `${message}; see flanneld -help`;
}

/** Why the words after the flags are refused, and what was probably meant. */
export function describeIgnored(line: CommandLine): string {
  const words = shownWords(line.ignored);
  const [first] = line.ignored;
  const value = line.lastBool !== null && first !== undefined && /^[01tTfF]|^true$|^false$/i.test(first)
    ? `; write -${line.lastBool}=${first}, a switch takes its value with =`
    : "; remove them, or put every flag before them";
  return `read command line: words after the flags would be ignored: ${words}${value}`;
}
