/** A host's id in memory: it outlives processes as a file does. */
import { createHash } from "node:crypto";
import { Identity, type IdentityPlace, type IdentitySource } from "../../src/control/identity.ts";
import type { Random } from "../../src/model/clock.ts";
import type { Log } from "../../src/observe/log.ts";
import type { Subnets } from "../../src/model/lease.ts";
import type { Claimant } from "../../src/store/store.ts";

export class MemoryPlace implements IdentityPlace {
  /** Every id that was ever here. */
  readonly ids = new Set<string>();
  #text: string | null = null;

  constructor(readonly path = "host-id") {}

  get text(): string | null {
    return this.#text;
  }

  set text(text: string | null) {
    this.#text = text;
    const id = /[0-9a-f]{32}/.exec(text ?? "")?.[0];
    if (id !== undefined) this.ids.add(id);
  }

  read(): Promise<string | null> {
    return Promise.resolve(this.text);
  }

  write(text: string): Promise<void> {
    this.text = text;
    return Promise.resolve();
  }
}

export function identityIn(places: readonly IdentityPlace[], random: Random, log: Log): IdentitySource {
  return {
    open: () => Identity.open(places, random, log),
    look: () => Identity.look(places, log),
  };
}

/** A claimant of its own for each name, the same one for the same name. */
export function claimant(name: string, passed: readonly Subnets[] = []): Claimant {
  const host = hex(name, 32);
  return { host, run: hex(name, 16), isNew: true, passed };
}

/** That many digits that follow from the text. */
function hex(text: string, digits: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, digits);
}
