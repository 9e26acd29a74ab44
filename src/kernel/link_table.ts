/** The devices of one read-back, by name and by index: netlink speaks in indexes, objects in names. */
import type { LinkRecord } from "../../ffi/records.ts";

export class LinkTable {
  readonly #byName = new Map<string, LinkRecord>();
  readonly #byIndex = new Map<number, LinkRecord>();

  constructor(readonly records: readonly LinkRecord[]) {
    for (const record of records) {
      this.#byName.set(record.name, record);
      this.#byIndex.set(record.index, record);
    }
  }

  named(name: string): LinkRecord | undefined {
    return this.#byName.get(name);
  }

  /** The name of a device; null for index 0 (none) and for one that has gone. */
  nameOf(index: number): string | null {
    return this.#byIndex.get(index)?.name ?? null;
  }

  /** The index of a device; null where there is none of that name. */
  indexOf(name: string): number | null {
    return this.#byName.get(name)?.index ?? null;
  }
}
