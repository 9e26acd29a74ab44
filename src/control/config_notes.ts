/** Says what of a network configuration nobody reads, once for each configuration that has such members. */
import type { Backend } from "../backend/backend.ts";
import { unreadMembers } from "../backend/unread_members.ts";
import type { Log } from "../observe/log.ts";
import type { ConfigReading } from "../store/store.ts";

export class ConfigNotes {
  #said = "";

  constructor(readonly log: Log) {}

  tell({ unread, config }: ConfigReading & { readonly type: "config" }, backend: Backend | null): void {
    const notes = unreadMembers(unread, config.backend.members, backend);
    const text = notes.join("; ");
    if (text !== "" && text !== this.#said) this.log.warn(`network configuration: ${text}`);
    this.#said = text;
  }
}
