/**
 * Who this host is: its id, what it remembers of its subnet, and the number of this process.
 *
 * The id is random, made when a lease is first asked for, and on the disk before it is used. It stands in a file for each
 * instance in the state directory, with a copy beside the subnet file: where the state directory can't be written, the copy
 * serves until the next reboot. Never derived from a machine's id, MAC or address: those are copied with an image, or move.
 *
 * Contents, one JSON value: `{"Host":"7f3a…","Subnets":"10.1.15.0-24"}`; without Subnets the id has never held any.
 */
import type { Random } from "../model/clock.ts";
import { Failure, messageOf } from "../model/errors.ts";
import { isHostId } from "../model/identity.ts";
import { isJsonObject } from "../model/json.ts";
import type { Subnets } from "../model/lease.ts";
import { formatLeaseKey, parseAnyLeaseKey } from "../model/lease_codec.ts";
import type { Log } from "../observe/log.ts";
import type { Claimant } from "../store/store.ts";

/** Where an identity is kept; one place may fail without the other. */
export interface IdentityPlace {
  /** For messages. */
  readonly path: string;
  /** The text that is there; null where there is none. @throws where it can't be read */
  read(): Promise<string | null>;
  /** @throws Failure where it can't be written */
  write(text: string): Promise<void>;
}

/** What is known of a host from before. */
export interface Remembered {
  readonly host: string;
  /** Those that it held last; null where this id has never held any. */
  readonly subnets: Subnets | null;
}

/** Where the overlay gets it from: an id is made no earlier than a lease is asked for. */
export interface IdentitySource {
  /** Reads who we are, or makes a new id and writes it down. @throws Failure where another process has it in use */
  open(): Promise<Identity>;
  /** What `open` would read; nothing is made or written. Null where there is none. */
  look(): Promise<Remembered | null>;
}

export class Identity {
  readonly #places: readonly IdentityPlace[];
  readonly #random: Random;
  readonly #log: Log;
  /** Complaints that were made: each once. */
  readonly #told = new Set<string>();
  /** Subnets that this process has lost or left to others, by `formatLeaseKey`. */
  readonly #passed = new Map<string, Subnets>();
  #host: string;
  #subnets: Subnets | null;
  /** Of this process; another one after the machine was copied while it ran. */
  run: string;

  private constructor(
    places: readonly IdentityPlace[],
    random: Random,
    log: Log,
    { host, subnets }: Remembered,
  ) {
    this.#places = places;
    this.#random = random;
    this.#log = log;
    this.#host = host;
    this.#subnets = subnets;
    this.run = newRun(random);
  }

  /** Reads who we are, or makes a new id and writes it down. `places`: the first that has one counts. */
  static async open(places: readonly IdentityPlace[], random: Random, log: Log): Promise<Identity> {
    const known = await recall(places, log);
    const self = new Identity(places, random, log, known ?? { host: newHost(random), subnets: null });
    await self.#save();
    return self;
  }

  /** What a start would find, and nothing made or written; null where this host has no id yet. */
  static look(places: readonly IdentityPlace[], log: Log): Promise<Remembered | null> {
    return recall(places, log);
  }

  get host(): string {
    return this.#host;
  }

  /** No subnet was ever held under this id. */
  get isNew(): boolean {
    return this.#subnets === null;
  }

  /** The last that was held. */
  get subnets(): Subnets | null {
    return this.#subnets;
  }

  /** This process leaves the subnet to whoever has it. */
  pass(subnets: Subnets): void {
    this.#passed.set(formatLeaseKey(subnets), subnets);
  }

  /** Who takes a subnet now. */
  claimant(): Claimant {
    return { host: this.#host, run: this.run, isNew: this.isNew, passed: [...this.#passed.values()] };
  }

  /** The subnet is ours, beyond trial. */
  async hold(subnets: Subnets): Promise<void> {
    this.#passed.delete(formatLeaseKey(subnets));
    if (this.#subnets !== null && formatLeaseKey(this.#subnets) === formatLeaseKey(subnets)) return;
    this.#subnets = subnets;
    await this.#save();
  }

  /** From now on under another id, which is on the disk when this resolves. */
  async rename(host: string): Promise<void> {
    this.#host = host;
    await this.#save();
  }

  newHost(): string {
    return newHost(this.#random);
  }

  newRun(): string {
    return newRun(this.#random);
  }

  /** In every place that can be written. One that can't costs a trial at some start, and is told once. */
  async #save(): Promise<void> {
    const members = {
      Host: this.#host,
      ...(this.#subnets !== null && { Subnets: formatLeaseKey(this.#subnets) }),
    };
    const text = `${JSON.stringify(members)}\n`;
    const failures = new Map<IdentityPlace, string>();
    for (const place of this.#places) {
      try {
        if (await place.read().catch(() => null) !== text) await place.write(text);
      } catch (thrown) {
        failures.set(place, messageOf(thrown));
      }
    }
    // Without the copy alone nothing is lost.
    const why = failures.get(this.#places[0]!);
    if (why === undefined) return;
    const after = failures.size < this.#places.length ? "a reboot" : "each restart";
    this.#tell(`${why}; this host is known by its address after ${after}, as with flannel`);
  }

  #tell(text: string): void {
    if (!this.#told.has(text)) this.#log.warn(text);
    this.#told.add(text);
  }
}

async function recall(places: readonly IdentityPlace[], log: Log): Promise<Remembered | null> {
  for (const place of places) {
    try {
      const text = await place.read();
      if (text !== null) return parse(text, place.path);
    } catch (thrown) {
      log.warn(`${messageOf(thrown)}; going on with its copy, or with a new id`);
    }
  }
  return null;
}

/** @throws Failure where it is not what we write */
function parse(text: string, path: string): Remembered {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Cut off, or somebody else's: said below.
  }
  const { Host: host, Subnets: key } = isJsonObject(value as never) ? value as Record<string, unknown> : {};
  if (!isHostId(host)) {
    throw new Failure(
      `read the host's id from "${path}": it is damaged`,
    );
  }
  return { host, subnets: typeof key === "string" ? parseAnyLeaseKey(key) : null };
}

/** 128 bits. */
function newHost(random: Random): string {
  return hex(random, 4);
}

/** 64 bits. */
function newRun(random: Random): string {
  return hex(random, 2);
}

function hex(random: Random, words: number): string {
  return Array.from({ length: words }, () => random.int(2 ** 32).toString(16).padStart(8, "0")).join("");
}
