/** The parts that stores with rows of text have in common: a feed of changes that is distrusted, and a source of configuration. */
import { type ConfigSource, readConfig } from "../config_source.ts";
import type { StoreParts } from "../table_store.ts";
import { type ChangeFeed, follow } from "./change_feed.ts";
import { guarded } from "./watch_guard.ts";

export interface RowStoreParts extends Omit<StoreParts, "config" | "events"> {
  /** A feed for one reader, whose hints end with `signal`. */
  feed(signal: AbortSignal): ChangeFeed;
  readonly config: ConfigSource;
}

export function rowStoreParts({ feed, config, ...parts }: RowStoreParts): StoreParts {
  return {
    ...parts,
    config: (signal) => readConfig(config, signal),
    events: (signal) => follow(guarded(feed(signal), parts.deps), parts.deps, signal),
  };
}
