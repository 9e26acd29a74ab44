/**
 * One host's firewall in a network namespace of its own: the driver on the real iptables, every restore input that it was
 * given, and `iptables` as its administrator types it.
 */
import { assertEquals } from "@std/assert";
import { trafficObjects, type TrafficOptions } from "../../src/backend/traffic_rules.ts";
import { diff } from "../../src/plan/diff.ts";
import type { Driver } from "../../src/kernel/driver.ts";
import { iptablesDriver } from "../../src/kernel/firewall/iptables.ts";
import { firewallTools } from "../../src/kernel/firewall/tools.ts";
import type { Owner } from "../../src/model/owner.ts";
import type { Variant } from "../../src/model/firewall.ts";
import type { Obj } from "../../src/model/objects.ts";
import type { Observed, Operation, Outcome, Plan } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { type Run, run } from "../../src/system/exec.ts";
import { trafficOptions } from "./firewall_wishes.ts";
import { createNamespace, type Namespace } from "./netns.ts";

interface Setting extends Partial<Owner> {
  readonly variant: Variant;
  /** Looks at the variant that is not in use, too. */
  readonly both?: boolean;
}

export class Firewall {
  readonly inputs: string[] = [];
  readonly driver: Driver;
  readonly run: Run;
  readonly variant: Variant;
  readonly owner: Owner;

  constructor(readonly place: Namespace, { variant, both = false, ...owner }: Setting) {
    this.variant = variant;
    this.owner = { ...dualStackOwner, ...owner };
    this.run = (command, args, options) => {
      if (options?.stdin !== undefined) this.inputs.push(options.stdin);
      return run(place.enter[0]!, [...place.enter.slice(1), command, ...args], options);
    };
    this.driver = iptablesDriver({ run: this.run, variant, ...(both ? { other: otherThan(variant) } : {}) });
  }

  read(): Promise<Observed[]> {
    return this.driver.read(this.owner, noLinks);
  }

  async plan(desired: readonly Obj[]): Promise<Plan> {
    const rules = new Map(this.driver.rules.map((kind) => [kind.kind, kind]));
    return diff(desired, await this.read(), { rules, mayDelete: () => true });
  }

  apply(operations: readonly Operation[]): Promise<Outcome[]> {
    return this.driver.apply(operations, noLinks);
  }

  /** Plans and applies; every operation must take effect, and nothing may be left to do. Gives what was done. */
  async settle(desired: readonly Obj[]): Promise<string[]> {
    const { operations } = await this.plan(desired);
    const outcomes = await this.apply(operations);
    assertEquals(outcomes.filter((outcome) => outcome.error !== null), []);
    assertEquals((await this.plan(desired)).operations, []);
    return operations.map(({ verb, object }) => `${verb} ${object.kind} ${object.key}`);
  }

  /** `iptables <words>`; `sh` splits them, so that quotes work as users write them. */
  iptables(words: string, family: 4 | 6 = 4): Promise<string> {
    return this.place.sh(`${firewallTools(family, this.variant).main} ${words}`);
  }
}

const dualStackOwner: Owner = {
  instance: "default",
  devices: [],
  networks: [parsePrefix("10.5.0.0/16")!, parsePrefix("fd00:1::/48")!],
  subnets: [parsePrefix("10.5.72.0/24")!, parsePrefix("fd00:1:0:48::/64")!],
  layout: "chains",
  vnis: new Map(),
};

const noLinks = () => Promise.reject(new Error("the firewall has no links"));

export function otherThan(variant: Variant): Variant {
  return variant === "nft" ? "legacy" : "nft";
}

/** One test for each variant. */
export function firewallTest(name: string, test: (firewall: Firewall) => Promise<void>): void {
  for (const variant of ["nft", "legacy"] as const) {
    Deno.test(`${variant}: ${name}`, async () => {
      await using place = await createNamespace(`fw-${variant}-${Deno.pid}-${serial++}`);
      await test(new Firewall(place, { variant }));
    });
  }
}

let serial = 0;

/** The wishes of a dual-stack host. */
export function wanted(changes: Partial<TrafficOptions> = {}): Obj[] {
  return trafficObjects(trafficOptions(changes));
}
