/**
 * The first run on a live node: what would be done, and nothing is. Reads configuration, leases and kernel, and makes the
 * plan that a start would apply; takes no lease, writes no file, changes no object.
 */
import { backendFor } from "../backend/registry.ts";
import type { Backend, Host } from "../backend/backend.ts";
import { trafficObjects } from "../backend/traffic_rules.ts";
import { Failure } from "../model/errors.ts";
import { families } from "../model/ip.ts";
import { describeSubnets, prefixesOf, publicIpOf, type Subnets } from "../model/lease.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { isFirewall } from "../model/objects.ts";
import { everything, type KindRules, networkAlone, type Operation, type Plan } from "../model/plan.ts";
import type { Prefix } from "../model/prefix.ts";
import { shownJson } from "../model/shown.ts";
import { describeExhausted } from "../store/acquire.ts";
import { type Taken, wouldTake } from "../store/choice.ts";
import type { Listing } from "../store/store.ts";
import { claimOf } from "./claim.ts";
import { describeRefusal, desire, formerly, ownerOf } from "../plan/desired.ts";
import { describeBlocked, describeObject } from "../plan/describe.ts";
import { makeHost, previousSubnets, requireSuited, settleDevices } from "./host.ts";
import type { FirewallOperation } from "../kernel/firewall/restore_text.ts";
import { restoreInputs } from "../kernel/firewall/apply.ts";
import { tellPrevious } from "./previous_file.ts";
import { planRound } from "../plan/round.ts";
import type { OverlayOptions } from "./ports.ts";
import type { OverlayPorts } from "./ports.ts";
import { takeOver } from "./take_over.ts";
import { UnderlayRoutes } from "../underlay/routes.ts";

export interface Preview {
  readonly subnets: Subnets;
  readonly origin: Taken["origin"];
  readonly backend: string;
  readonly plan: Plan;
  /** Peers that would be refused, and records that cannot be read, one sentence each. */
  readonly remarks: readonly string[];
}

/** @throws Failure where the configuration is missing or wrong, or this host cannot take part */
export async function preview(
  options: OverlayOptions,
  ports: OverlayPorts,
  signal: AbortSignal,
): Promise<Preview> {
  const { config, backend } = await configNow(ports, signal);
  const routes = new UnderlayRoutes();
  const before = prefixesOf(ports.subnetFile.previous.subnets);
  const chosen = await ports.chooseUnderlay({ network: config, subnets: before });
  const known = await ports.identity.look();
  const claimant = {
    host: known?.host ?? "",
    run: "",
    isNew: known === null || known.subnets === null,
    passed: [],
  };
  const host = makeHost(claimant.host, chosen, config, options, routes);
  const { instances: formerInstances, held } = await takeOver(host, backend, ports);
  using _names = held;
  const settled = await settleDevices({ ...host, formerInstances }, backend, ports.kernel);
  requireSuited(settled, backend);
  const listing = await ports.store.list(signal);
  const former = formerly(ports.subnetFile.previous);
  const { kernel, random, subnetFile } = ports;
  const stands = await kernel.read(ownerOf(settled, backend, former), networkAlone);
  const previous = previousSubnets(subnetFile.previous.subnets, stands, known?.subnets ?? null, settled);
  tellPrevious(subnetFile, previous, ports.log);
  const taken = wouldTake(
    listing,
    await claimOf(settled, backend, former, previous, claimant, kernel),
    random,
  );
  if ("exhausted" in taken) throw new Failure(describeExhausted(taken));
  const { subnets, origin } = taken;
  const self = { ...settled, subnets };
  await learnRoutes(self, backend, listing, ports, routes);
  const leases = [...listing.leases].sort((a, b) => a.created - b.created);
  const desired = desire(
    self,
    backend,
    leases,
    trafficObjects({ ...options, network: config, subnets, instance: self.instance }),
  );
  const owner = ownerOf(self, backend, former, options.layout);
  const observed = await ports.kernel.read(owner, everything);
  const { plan } = planRound({
    objects: desired.objects,
    observed,
    scope: everything,
    instance: self.instance,
    deletes: true,
    protectedSubnets: unreadableSubnets(listing),
  }, ports.kernel);
  const remarks = [
    ...(known === null ? [noId] : []),
    ...desired.refused.map(describeRefusal),
    ...listing.unreadable.map((u) => `record ${shownJson(u.key)} cannot be read: ${u.reason}`),
  ];
  return { subnets, origin, backend: backend.type, plan, remarks };
}

async function configNow(
  { store }: OverlayPorts,
  signal: AbortSignal,
): Promise<{ config: NetworkConfig; backend: Backend }> {
  for await (const reading of store.watchConfig(signal)) {
    if (reading.type === "problem") throw new Failure(`read the network configuration: ${reading.error}`);
    const backend = backendFor(reading.config);
    if ("problem" in backend) throw new Failure(`read the network configuration: ${backend.problem}`);
    return { config: reading.config, backend };
  }
  throw new Failure("read the network configuration: stopped before it was there");
}

async function learnRoutes(
  self: Host,
  backend: Backend,
  listing: Listing,
  ports: OverlayPorts,
  routes: UnderlayRoutes,
): Promise<void> {
  if (!backend.usesUnderlayRoutes(self.network.backend)) return;
  const publicIps = listing.leases.flatMap(({ record }) =>
    families.flatMap((f) => publicIpOf(record, f) ?? [])
  );
  await routes.learn(ports.kernel, publicIps);
}

function unreadableSubnets(listing: Listing): Prefix[] {
  return listing.unreadable.flatMap(({ subnets }) => subnets ? prefixesOf(subnets) : []);
}

const noId = "this host has no id yet: its first start makes one, from which the MAC of a new device follows";

const origins = {
  held: "held already",
  trial: "another host's, at our address: taken if that host does not object",
  previous: "from the previous subnet file, still free",
  free: "for example: any free one",
};

/** For people: what the host would be, a line for each operation, and exactly what iptables-restore would be given. */
export function describePreview(seen: Preview, rules: ReadonlyMap<string, KindRules>): string {
  const { plan } = seen;
  const count = plan.operations.length;
  return [
    `backend ${seen.backend}, subnet ${describeSubnets(seen.subnets)} (${origins[seen.origin]})`,
    count === 0 ? "nothing to do: everything stands as it should" : `${count} changes:`,
    ...plan.operations.map((operation) =>
      `  ${operation.verb.padEnd(8)} ${describeObject(operation, rules)}`
    ),
    ...plan.blocked.map((blocked) => `  blocked  ${describeBlocked(blocked)}`),
    ...seen.remarks.map((remark) => `  note     ${remark}`),
    ...firewallInput(plan),
    `${plan.unchanged} objects stand as they should; nothing was changed`,
    "",
  ].join("\n");
}

function isOnFirewall(operation: Operation): operation is Operation & FirewallOperation {
  return isFirewall(operation.object.kind);
}

function firewallInput(plan: Plan): string[] {
  const operations = plan.operations.filter(isOnFirewall);
  return [...restoreInputs(operations)].flatMap(({ program, input }) => [
    `input to ${program}:`,
    ...input.trimEnd().split("\n").map((line) => `  ${line}`),
  ]);
}
