/**
 * The place where a store keeps the network configuration, for commands: read once, written once, and never over what nobody
 * has looked at. A daemon follows a `ConfigSource` instead.
 */

import type { NetworkConfig } from "../model/network_config.ts";

export interface ConfigPlace extends AsyncDisposable {
  /** For messages: the key. */
  readonly name: string;
  /** What to say where nothing stands there. */
  readonly absent: string;
  /** Why this place is none for such a configuration, or null. */
  objection(config: NetworkConfig): string | null;
  /** Null where nothing stands there. Rejects with StoreUnavailable, or with Failure where the store refuses us. */
  read(): Promise<StoredConfig | null>;
  /** Writes where `over` still stands there (null: where nothing does); false where it does not. Rejects like `read`. */
  write(text: string, over: StoredConfig | null): Promise<boolean>;
}

export interface StoredConfig {
  /** As written, right or wrong. */
  readonly text: string;
  readonly version: string;
}
