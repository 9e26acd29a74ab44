/**
 * `parseArgs` of `@std/cli`, over the tokens of `node:util`.
 *
 * The part that is here: boolean, string, collect, negatable, default, alias, stopEarly, unknown and "--". Limits: option names
 * with dots make no nested objects, `boolean: true` is not there, aliases are filled in on the result as in the original.
 */
import { parseArgs as nodeParseArgs } from "node:util";

export interface ParseOptions<B extends string, S extends string, C extends string> {
  readonly boolean?: B | readonly B[];
  /** `_` keeps the positional words that look like numbers as strings. */
  readonly string?: S | readonly S[];
  /** Repetitions add up to an array instead of the last one winning. */
  readonly collect?: C | readonly C[];
  /** Booleans that `--no-NAME` switches off. */
  readonly negatable?: string | readonly string[];
  readonly default?: Readonly<Record<string, unknown>>;
  readonly alias?: Readonly<Record<string, string | readonly string[]>>;
  /** The first positional word ends the options. */
  readonly stopEarly?: boolean;
  /** Called for what is not declared; false leaves it out. */
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  /** Keep what follows `--` apart. */
  readonly "--"?: boolean;
}

export type Args<B extends string, S extends string, C extends string> =
  & { [K in Exclude<B, C>]: boolean }
  & { [K in Exclude<S, C | "_">]: string | undefined }
  & { [K in C]: string[] }
  & { _: (string | number)[]; "--"?: string[]; [name: string]: unknown };

/** The words as options by name, the positional ones under `_`. */
export function parseArgs<B extends string = never, S extends string = never, C extends string = never>(
  args: readonly string[],
  options: ParseOptions<B, S, C> = {},
): Args<B, S, C> {
  const reader = new Reader(args, options);
  reader.read();
  return reader.result() as Args<B, S, C>;
}

type Token = {
  kind: string;
  index: number;
  name?: string;
  value?: string | undefined;
};
type AnyOptions = ParseOptions<string, string, string>;

class Reader {
  readonly #values = new Map<string, unknown>();
  readonly #words: (string | number)[] = [];
  #after: string[] = [];
  readonly #booleans: ReadonlySet<string>;
  readonly #strings: ReadonlySet<string>;
  readonly #collected: ReadonlySet<string>;
  readonly #negatable: ReadonlySet<string>;
  /** Every alias, and every name, to its name. */
  readonly #names = new Map<string, string>();

  constructor(readonly args: readonly string[], readonly options: AnyOptions) {
    for (const [name, aliases] of Object.entries(options.alias ?? {})) {
      for (const alias of list(aliases)) this.#names.set(alias, name);
    }
    const set = (names: string | readonly string[] | undefined) =>
      new Set(list(names).map((name) => this.#name(name)));
    this.#booleans = set(options.boolean);
    this.#strings = set(options.string);
    this.#collected = set(options.collect);
    this.#negatable = set(options.negatable);
  }

  read(): void {
    const tokens = this.#tokens();
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at]!;
      if (token.kind === "option-terminator") {
        this.#terminated(token.index + 1);
        return;
      }
      if (token.kind === "positional" && this.options.stopEarly) {
        for (const word of this.args.slice(token.index)) this.#word(word);
        return;
      }
      if (token.kind === "positional") this.#word(token.value!);
      else if (this.#option(token, tokens[at + 1])) at++;
    }
  }

  result(): Record<string, unknown> {
    const out: Record<string, unknown> = { _: this.#words };
    for (const name of this.#booleans) out[name] = this.#collected.has(name) ? [] : false;
    for (const name of this.#collected) out[name] = [];
    for (const [name, value] of Object.entries(this.options.default ?? {})) out[this.#name(name)] = value;
    for (const [name, value] of this.#values) out[name] = value;
    for (const [alias, name] of this.#names) if (Object.hasOwn(out, name)) out[alias] = out[name];
    if (this.options["--"]) out["--"] = this.#after;
    return out;
  }

  #tokens(): Token[] {
    const options: Record<string, { type: "boolean" | "string"; short?: string }> = {};
    for (const name of [...this.#names.keys(), ...this.#booleans, ...this.#strings]) {
      const type = this.#strings.has(this.#name(name)) ? "string" : "boolean";
      options[name] = name.length === 1 ? { type, short: name } : { type };
    }
    const args = [...this.args];
    return nodeParseArgs({ args, options, strict: false, allowPositionals: true, tokens: true }).tokens;
  }

  /** @returns whether the next word was its value */
  #option(token: Token, next: Token | undefined): boolean {
    const written = token.name!;
    const positive = this.#name(written.replace(/^no-/, ""));
    if (written.startsWith("no-") && this.#negatable.has(positive)) {
      this.#set(positive, false);
      return false;
    }
    const name = this.#name(written);
    if (this.#booleans.has(name)) this.#set(name, token.value !== "false");
    else if (this.#strings.has(name)) this.#set(name, token.value ?? "");
    else return this.#undeclared(name, written, token, next);
    return false;
  }

  #undeclared(name: string, written: string, token: Token, next: Token | undefined): boolean {
    const follows = token.value === undefined && next?.kind === "positional";
    const text = follows ? next.value : token.value;
    const value = text === undefined ? true : numberOr(text);
    const known = Object.hasOwn(this.options.alias ?? {}, name) || this.#collected.has(name);
    if (
      !known && this.options.unknown?.(this.args[token.index] ?? `--${written}`, written, value) === false
    ) return follows;
    this.#set(name, value);
    return follows;
  }

  #set(name: string, value: unknown): void {
    const before = this.#values.get(name);
    const kept = Array.isArray(before) ? before : [];
    this.#values.set(name, this.#collected.has(name) ? [...kept, value] : value);
  }

  #word(word: string): void {
    if (this.options.unknown?.(word) === false) return;
    this.#words.push(this.#strings.has("_") ? word : numberOr(word));
  }

  #terminated(from: number): void {
    const rest = this.args.slice(from);
    if (this.options["--"]) this.#after = rest;
    else for (const word of rest) this.#word(word);
  }

  #name(name: string): string {
    return this.#names.get(name) ?? name;
  }
}

function list(names: string | readonly string[] | undefined): readonly string[] {
  return names === undefined ? [] : typeof names === "string" ? [names] : names;
}

/** Words that are numbers become numbers, as in the original. */
function numberOr(text: string): string | number {
  return /^(0x[0-9a-f]+|[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)$/i.test(text) ? Number(text) : text;
}
