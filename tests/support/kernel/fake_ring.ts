/**
 * What the fake kernel tells one process of single objects, as the real one does: routes, nexthop objects, neighbours, a tunnel's peers and
 * FDB entries one by one, in order, own changes included; of devices and addresses only that there was something.
 */
import type { KernelChanges } from "../../../src/kernel/kernel.ts";
import { type Kind, type Obj, ROUTE_PROTOCOL } from "../../../src/model/objects.ts";
import type { Observed, Told } from "../../../src/model/plan.ts";

/** How an object looks to who asks; null for what is nobody's business to it. */
export type Judge = (object: Obj) => Observed | null;

interface Change {
  readonly was: Obj | undefined;
  readonly now: Obj | undefined;
}

const single: ReadonlySet<Kind> = new Set(["route", "nexthop", "neighbour", "fdb", "peer"]);

export class FakeRing {
  #changes: Change[] = [];
  #isAll = true;
  #underlay = false;

  add(was: Obj | undefined, now: Obj | undefined): void {
    const { kind, fields } = (now ?? was)!;
    if (single.has(kind)) this.#changes.push({ was, now });
    if (kind === "link" || kind === "address" || kind === "tunnel") this.#isAll = false;
    if (kind === "link" || kind === "address" || kind === "route" && fields.protocol !== ROUTE_PROTOCOL) {
      this.#underlay = true;
    }
  }

  /** Something has happened of which nothing more is told. */
  happened(kinds: ReadonlySet<Kind | "lost">): void {
    if (kinds.has("lost") || kinds.has("link") || kinds.has("address")) this.#isAll = false;
    if (["lost", "link", "address", "route"].some((kind) => kinds.has(kind as Kind))) this.#underlay = true;
  }

  /** What is in it is never told. */
  lose(): void {
    this.#changes = [];
    this.#isAll = true;
  }

  take(judge: Judge): KernelChanges {
    const told = this.#changes.map(({ was, now }): Told => {
      const { kind, key } = (now ?? was)!;
      const replaces = was !== undefined && now !== undefined;
      return { kind, key, now: now === undefined ? null : judge(now), ...(was && { was }), replaces };
    });
    const answer = { told: this.#isAll ? told : null, underlay: this.#underlay };
    this.#changes = [];
    this.#isAll = true;
    this.#underlay = false;
    return answer;
  }
}
