/**
 * Whether this host is ready, and why not. Ready means: our lease is valid as last confirmed, the store was read whole
 * once, the last read-back is what packets need (`needed.ts`), subnet.env is written. A store that is out of reach leaves us ready,
 * because the network works on and the probes of a whole fleet must not fail at once; it is told as a fact.
 * A foreign object in the way of one peer is told too, but does not make the host unready: only its owner can clear it.
 * Nobody waits for peers, and what is wrong with their records is a note; but where our own configuration leaves none of
 * those that are there, the containers of this host are cut off.
 */
import { describeSubnets } from "../model/lease.ts";
import { shownJson } from "../model/shown.ts";
import type { Outcome } from "../model/plan.ts";
import { TRIAL_MS } from "./holding.ts";
import type { RefusedPeer } from "../plan/peers.ts";
import { describeBlocked, isDirect } from "../plan/describe.ts";
import { packetsNeed } from "../plan/needed.ts";
import type { Part, Round } from "./rounds.ts";

export interface Readiness {
  readonly ready: boolean;
  /** One sentence each; empty where ready. */
  readonly reasons: readonly string[];
  /** What is worth knowing beside: outage, refused peers, obstacles. */
  readonly notes: readonly string[];
}

export interface Situation {
  readonly leaseHeld: boolean;
  /** It was another host's, who may still object. */
  readonly onTrial: boolean;
  readonly inSync: boolean;
  readonly subnetFileWritten: boolean;
  /** Why it could not be written, or null. */
  readonly subnetFileTrouble: string | null;
  /** The last round of each scope; null before the first. */
  readonly network: Round | null;
  readonly firewall: Round | null;
  /** Why what stands could not be read the last time; null where it could. */
  readonly unread: Readonly<Record<Part, string | null>>;
  /** A sentence. */
  readonly outage: string | null;
  /** How many peers have their objects. */
  readonly peers: number;
  readonly refused: readonly RefusedPeer[];
  /** What this host's own address plan has against it, one sentence each. */
  readonly warnings: readonly string[];
  readonly unreadable: readonly string[];
  /** Peers that a restored store lacks, kept for now. */
  readonly missing: number;
  /** A configuration that our subnet does not fit, in words. */
  readonly unfit: string | null;
  /** Living hosts that publish our address, one sentence each. */
  readonly rivals: readonly string[];
}

export function judgeReadiness(now: Situation): Readiness {
  const reasons = [
    ...(now.leaseHeld ? [] : ["our lease was lost; another is being taken"]),
    ...(now.onTrial
      ? [`our lease is on trial: the host that had it may object within ${TRIAL_MS / 1000} s`]
      : []),
    ...(now.inSync ? [] : ["the leases of the store were not read yet"]),
    ...(now.unfit === null ? [] : [now.unfit]),
    ...now.rivals,
    ...failures("network", now),
    ...failures("firewall", now),
    ...(now.subnetFileWritten || now.onTrial ? [] : [unwritten(now.subnetFileTrouble)]),
    ...cutOff(now),
  ];
  return { ready: reasons.length === 0, reasons, notes: notes(now) };
}

function unwritten(trouble: string | null): string {
  return `the subnet file is not written${trouble === null ? " yet" : `: ${trouble}`}`;
}

function failures(scope: Part, now: Situation): string[] {
  const [round, unread] = [now[scope], now.unread[scope]];
  if (unread !== null) return [`read back the ${scope}: ${unread}`];
  if (round === null) return [`the ${scope} was not set up yet`];
  return summed(round.failed.filter(({ operation }) => packetsNeed(operation)));
}

/** What fails and is not needed for packets to flow. */
function lesser(round: Round | null): string[] {
  return summed(round?.failed.filter(({ operation }) => !packetsNeed(operation)) ?? []);
}

function summed(failed: readonly Outcome[]): string[] {
  const [first] = failed;
  if (first === undefined) return [];
  const more = failed.length > 1 ? ` (and ${failed.length - 1} more)` : "";
  return [`${first.error}${more}`];
}

/** No peer is left, though some would be but for our own configuration. */
function cutOff({ peers, refused }: Situation): string[] {
  const ours = refused.filter(({ byConfiguration }) => byConfiguration);
  const [first] = ours;
  if (peers > 0 || first === undefined) return [];
  const more = ours.length > 1 ? ` (and ${ours.length - 1} more)` : "";
  return [
    `our own configuration refuses every peer: ${
      describeSubnets(first.lease.subnets)
    }: ${first.reason}${more}`,
  ];
}

function notes(now: Situation): string[] {
  const blocked = [...now.network?.plan.blocked ?? [], ...now.firewall?.plan.blocked ?? []];
  const withheld = now.network?.plan.withheld.length ?? 0;
  return [
    ...(now.outage === null ? [] : [now.outage]),
    ...now.warnings,
    ...lesser(now.network),
    ...lesser(now.firewall),
    ...blocked.filter(isDirect).map(describeBlocked),
    ...now.refused.map(({ lease, reason }) => `peer ${describeSubnets(lease.subnets)} is refused: ${reason}`),
    ...now.unreadable.map((key) => `the record ${shownJson(key)} cannot be read`),
    ...(now.missing === 0 ? [] : [`${now.missing} peers that the restored store lacks are kept for now`]),
    ...(withheld === 0 ? [] : [`${withheld} deletions wait for a second look at the store`]),
  ];
}
