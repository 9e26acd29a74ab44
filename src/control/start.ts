/**
 * From nothing to a host that holds a lease: configuration, interface, device, lease, in this order. The device comes
 * before the lease because its MAC is published and because a host that cannot make it must not take a subnet.
 */
import { backendFor } from "../backend/registry.ts";
import type { Backend, Host } from "../backend/backend.ts";
import { Failure, messageOf } from "../model/errors.ts";
import { member } from "../model/json.ts";
import { describeSubnets, type Lease, prefixesOf } from "../model/lease.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { makesDevices } from "../model/objects.ts";
import { networkAlone, type Observed } from "../model/plan.ts";
import { Lasting } from "../observe/lasting.ts";
import type { ConfigReading } from "../store/store.ts";
import { claimOf } from "./claim.ts";
import { describeNetworks } from "./config_change.ts";
import { ConfigNotes } from "./config_notes.ts";
import { baseObjects, formerly, ownerOf } from "../plan/desired.ts";
import { describeBlocked, describeDone, operationFields, peerFields } from "../plan/describe.ts";
import { planRound } from "../plan/round.ts";
import type { Identity } from "./identity.ts";
import { makeHost, previousSubnets, requireSuited, settleDevices } from "./host.ts";
import type { OverlayOptions, OverlayPorts } from "./ports.ts";
import { tellPrevious } from "./previous_file.ts";
import { takeOver } from "./take_over.ts";
import { UnderlayRoutes } from "../underlay/routes.ts";

/** A host that holds a lease, and what it goes on with. */
export interface Started {
  readonly self: Host;
  readonly identity: Identity;
  readonly backend: Backend;
  readonly lease: Lease;
  readonly routes: UnderlayRoutes;
  readonly notes: ConfigNotes;
  /** The names that our place had before, to be let go of when nothing of theirs is left. */
  readonly formerNames: Disposable;
  /** The configuration readings that follow the one we started with. */
  readonly readings: AsyncIterator<ConfigReading>;
}

/**
 * Waits for a usable configuration as long as it takes, then takes a lease.
 *
 * @throws Failure where this host cannot take part (no such interface, no permission, no free subnet …)
 */
export async function start(
  options: OverlayOptions,
  ports: OverlayPorts,
  signal: AbortSignal,
): Promise<Started> {
  const readings = ports.store.watchConfig(signal)[Symbol.asyncIterator]();
  const notes = new ConfigNotes(ports.log);
  ports.stage?.("waiting for the network configuration");
  const { config, backend } = await firstConfig(readings, notes, ports, signal);
  ports.log.info(`Found network config - Backend type: ${backend.type}`, {
    backend: backend.type,
    network: describeNetworks(config),
  });
  if (member(config.backend.members, "Type") === undefined) ports.log.warn(noBackend);
  ports.stage?.("making the device");
  const before = prefixesOf(ports.subnetFile.previous.subnets);
  const chosen = await orFailure(
    "choose the external interface",
    ports.chooseUnderlay({ network: config, subnets: before }),
  );
  const routes = new UnderlayRoutes();
  const identity = await ports.identity.open();
  const host = makeHost(identity.host, chosen, config, options, routes);
  const { instances: formerInstances, held } = await orFailure(
    "read the kernel's state",
    takeOver(host, backend, ports),
  );
  using names = held;
  const self = await orFailure(
    "read the kernel's state",
    settleDevices({ ...host, formerInstances }, backend, ports.kernel),
  );
  requireSuited(self, backend);
  const observed = await makeDevices(self, backend, ports);
  const previous = previousSubnets(ports.subnetFile.previous.subnets, observed, identity.subnets, self);
  tellPrevious(ports.subnetFile, previous, ports.log);
  const former = formerly(ports.subnetFile.previous);
  const claim = await orFailure(
    "read the kernel's state",
    claimOf(self, backend, former, previous, identity.claimant(), ports.kernel),
  );
  ports.stage?.("taking a lease");
  const lease = await ports.store.acquire(claim, signal);
  ports.log.info(`our subnet is ${describeSubnets(lease.subnets)}`, peerFields(lease));
  const formerNames = names.move();
  return {
    self: { ...self, subnets: lease.subnets },
    identity,
    backend,
    lease,
    routes,
    notes,
    formerNames,
    readings,
  };
}

/** Upstream's default; its documentation says vxlan. */
const noBackend = 'the network configuration names no Backend: udp is taken, as flannel does; "Backend": ' +
  '{"Type": "vxlan"} is faster wherever VXLAN can be had';

/** The first reading that is a configuration we can run; what is wrong with others is said. */
async function firstConfig(
  readings: AsyncIterator<ConfigReading>,
  notes: ConfigNotes,
  { log, clock }: OverlayPorts,
  signal: AbortSignal,
): Promise<{ config: NetworkConfig; backend: Backend }> {
  const waiting = new Lasting(log, clock, "error");
  while (true) {
    const { value, done } = await readings.next();
    signal.throwIfAborted();
    if (done) throw new Failure("read the network configuration: the store stopped answering for good");
    if (value.type === "problem" && value.refused) {
      throw new Failure(`read the network configuration: ${value.error}`);
    }
    const problem = value.type === "problem" ? value.error : usable(value.config);
    if (value.type === "config") notes.tell(value, typeof problem === "string" ? null : problem.backend);
    if (typeof problem !== "string") {
      waiting.over("network configuration: there is a good one");
      return problem;
    }
    const text = `Couldn't fetch network config: ${problem}; waiting for it to change`;
    waiting.is(problem, text, { error: problem });
  }
}

function usable(config: NetworkConfig): { config: NetworkConfig; backend: Backend } | string {
  const backend = backendFor(config);
  return "problem" in backend ? backend.problem : { config, backend };
}

/** Makes our devices, so that what keeps us from it is known before a subnet is taken. What stood before. */
async function makeDevices(
  self: Host,
  backend: Backend,
  { kernel, log, subnetFile }: OverlayPorts,
): Promise<Observed[]> {
  const devices = baseObjects(self, backend).filter(makesDevices);
  const owner = ownerOf(self, backend, formerly(subnetFile.previous));
  const observed = await orFailure(
    "read the kernel's state",
    kernel.read(owner, networkAlone),
  );
  const { plan } = planRound(
    { objects: devices, observed, scope: networkAlone, instance: self.instance, deletes: false },
    kernel,
  );
  const [blocked] = plan.blocked;
  if (blocked !== undefined) throw new Failure(describeBlocked(blocked));
  for (const { operation, error } of await kernel.apply(plan.operations)) {
    if (error !== null) throw new Failure(error);
    log.info(describeDone(operation, kernel.rules), operationFields(operation));
  }
  return observed;
}

/** What the kernel does not answer ends the start with a sentence: it is this machine's trouble, not ours. */
async function orFailure<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(`${what}: ${messageOf(error)}`);
  }
}
