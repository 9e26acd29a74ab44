/**
 * Who wants which object, while those who want come and go: what is asked for by nobody any more, or for the first time, is told
 * by its id. The base (our own devices and rules) has what it wants; of several peers all want the very same, or are refused.
 */
import { idOf, type Obj, type ObjectId, sameFields } from "../model/objects.ts";

export class Claimants<T> {
  readonly #base: ReadonlyMap<ObjectId, Obj>;
  readonly #standing = new Map<ObjectId, Obj>();
  /** By the object that several of them want, or one. */
  readonly #by = new Map<ObjectId, Set<T>>();
  /** By id what was wanted before the first change since the last question. */
  #changed = new Map<ObjectId, Obj | null>();

  constructor(base: readonly Obj[]) {
    this.#base = new Map(base.map((object) => [idOf(object), object]));
    for (const [id, object] of this.#base) {
      this.#standing.set(id, object);
      this.#changed.set(id, null);
    }
  }

  /** What is wanted, by id. */
  get objects(): ReadonlyMap<ObjectId, Obj> {
    return this.#standing;
  }

  /** What has changed since this was asked last: by id what was wanted before, null for nothing. */
  takeChanged(): ReadonlyMap<ObjectId, Obj | null> {
    const changed = this.#changed;
    this.#changed = new Map();
    return changed;
  }

  /** One of those who want it; undefined where it is the base's, or nobody's. */
  claimantOf(id: ObjectId): T | undefined {
    return this.#by.get(id)?.values().next().value;
  }

  /** True where the base has it otherwise. */
  contradictsBase(object: Obj): boolean {
    const there = this.#base.get(idOf(object));
    return there !== undefined && !sameFields(there, object);
  }

  /** Whoever else has one of these has it like this, or has been released before. */
  claim(objects: readonly Obj[], by: T): void {
    for (const object of objects) {
      const id = idOf(object);
      if (this.#base.has(id)) continue;
      const claimants = this.#by.get(id);
      if (claimants !== undefined) {
        claimants.add(by);
        continue;
      }
      this.#note(id);
      this.#by.set(id, new Set([by]));
      this.#standing.set(id, object);
    }
  }

  release(objects: readonly Obj[], by: T): void {
    for (const object of objects) {
      const id = idOf(object);
      const claimants = this.#by.get(id);
      if (!claimants?.delete(by) || claimants.size > 0) continue;
      this.#note(id);
      this.#by.delete(id);
      this.#standing.delete(id);
    }
  }

  #note(id: ObjectId): void {
    if (!this.#changed.has(id)) this.#changed.set(id, this.#standing.get(id) ?? null);
  }
}
