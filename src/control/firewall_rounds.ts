/** The rounds of the firewall: a few chains, read back and planned as a whole each time. */
import type { Kernel } from "../kernel/kernel.ts";
import { idOf, type Obj, type ObjectId, sameFields } from "../model/objects.ts";
import type { Owner } from "../model/owner.ts";
import { firewallAlone } from "../model/plan.ts";
import { planRound } from "../plan/round.ts";
import type { Before } from "../plan/rolling.ts";
import type { PeerNames } from "./round_peers.ts";
import type { Asked } from "./round_report.ts";
import type { Round } from "./rounds.ts";

export interface WantedFirewall {
  readonly objects: readonly Obj[];
  readonly owner: Owner;
  /** True once the store's whole snapshot was seen: only then is anything deleted. */
  readonly inSync: boolean;
}

export interface FirewallPorts {
  readonly kernel: Kernel;
  wanted(): WantedFirewall;
  /** After each round. */
  finished(round: Round, asked: Asked): void;
}

/** No rule of ours serves a single peer. */
const nobody: PeerNames = { peerOf: () => undefined, peerAt: () => undefined, goneFrom: () => undefined };

export class FirewallRounds {
  readonly #ports: FirewallPorts;
  /** What stood as wanted after the last round, by id. */
  #stood: ReadonlyMap<ObjectId, Obj> = new Map();

  constructor(ports: FirewallPorts) {
    this.#ports = ports;
  }

  /** One look at the firewall. @throws where it can't be read: nothing is known then, so nothing is done */
  async look(): Promise<Round> {
    const { kernel } = this.#ports;
    const { objects, owner, inSync } = this.#ports.wanted();
    const observed = await kernel.read(owner, firewallAlone);
    const input = { objects, observed, scope: firewallAlone, instance: owner.instance, deletes: inSync };
    const { plan } = planRound(input, kernel);
    const outcomes = plan.operations.length === 0 ? [] : await kernel.apply(plan.operations);
    const failed = outcomes.filter((outcome) => outcome.error !== null);
    const round = { scope: firewallAlone, inSync, plan, failed };
    this.#ports.finished(round, {
      failed,
      names: nobody,
      before: (object) => this.#before(object),
      userOf: () => undefined,
    });
    const open = new Set([...failed.map((f) => f.operation), ...plan.blocked].map((o) => idOf(o.object)));
    this.#stood = new Map(objects.flatMap((o) => open.has(idOf(o)) ? [] : [[idOf(o), o]]));
    return round;
  }

  #before(object: Obj): Before {
    const was = this.#stood.get(idOf(object));
    return was === undefined ? "new" : sameFields(was, object) ? "same" : "otherwise";
  }
}
