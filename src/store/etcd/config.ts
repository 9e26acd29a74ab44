/**
 * The network configuration in etcd: the value of `<prefix>/config`, now and after every change.
 *
 * What keeps us from reading it is told once for each cause, until it can be read again; trying goes on meanwhile.
 */
import { Failure } from "../../model/errors.ts";
import type { ConfigPlace, StoredConfig } from "../config_place.ts";
import type { ConfigSource, ConfigText } from "../config_source.ts";
import type { EtcdReader, StoredKey } from "./reader.ts";
import { follow, type FollowDeps } from "./follow.ts";

/** A key that has text. */
export interface StoredText extends StoredKey {
  /** Null where no text stands there but a directory. */
  readonly value: string | null;
}

/** @param absent what to say where the key is absent: it ends with the command that makes it */
export function etcdConfigSource<K extends StoredText>(
  deps: FollowDeps<K>,
  key: string,
  absent: string,
): ConfigSource {
  return { name: key, watch: (signal) => watch(deps, key, absent, signal) };
}

async function* watch<K extends StoredText>(
  deps: FollowDeps<K>,
  key: string,
  absent: string,
  signal: AbortSignal,
): AsyncGenerator<ConfigText> {
  const textOf = (kv: K | undefined): ConfigText => {
    if (typeof kv?.value === "string") return { type: "text", text: kv.value };
    if (kv === undefined) return { type: "problem", error: absent, state: "absent" };
    return { type: "problem", error: isDirectory(key), state: "wrong" };
  };
  const told = new Set<string>();
  let last: ConfigText | null = null;
  for await (const followed of follow(deps, { key, end: null }, signal)) {
    if (followed.type === "failed") {
      const { error, refused } = followed;
      if (!told.has(error)) yield { type: "problem", error, ...(refused && { refused }) };
      told.add(error);
      continue;
    }
    told.clear();
    if (followed.type === "snapshot") last = textOf(followed.kvs[0]);
    if (followed.type === "changes") {
      const { type, kv } = followed.events.at(-1)!;
      last = textOf(type === "put" ? kv : undefined);
    }
    // After an outage too: what stood before it stands again.
    if (last !== null) yield last;
  }
}

function isDirectory(key: string): string {
  return `read "${key}" in etcd: it is a directory; remove it with all that is in it, and write the configuration there`;
}

/** Writes text for ever where the key is at the revision `expect` (0: absent); otherwise tells what stands there. */
export type WriteText = (
  text: string,
  expect: number,
) => Promise<{ readonly succeeded: boolean; readonly current?: { readonly value: string | null } | null }>;

/** The key, for commands. Owns `remote` and closes it. */
export class EtcdConfigPlace<K extends StoredText> implements ConfigPlace {
  readonly name: string;
  readonly absent: string;
  readonly #remote: EtcdReader<K>;
  readonly #write: WriteText;

  constructor(
    remote: EtcdReader<K>,
    write: WriteText,
    name: string,
    absent: string,
    readonly objection: ConfigPlace["objection"] = () => null,
  ) {
    this.name = name;
    this.absent = absent;
    this.#remote = remote;
    this.#write = write;
  }

  async read(): Promise<StoredConfig | null> {
    const { kvs: [kv] } = await this.#remote.range({ key: this.name, end: null });
    if (kv === undefined) return null;
    if (kv.value === null) throw new Failure(isDirectory(this.name));
    return { text: kv.value, version: String(kv.modRevision) };
  }

  async write(text: string, over: StoredConfig | null): Promise<boolean> {
    const { succeeded, current } = await this.#write(text, over === null ? 0 : Number(over.version));
    // A write that was sent twice has met itself.
    return succeeded || current?.value === text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remote.close();
  }
}
