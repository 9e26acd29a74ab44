/**
 * What packets need, kind by kind: what fails of the rest is told, and never keeps a host from being ready.
 *
 * | kind                            | packets need it                                                                 |
 * |---------------------------------|---------------------------------------------------------------------------------|
 * | tunnel, link, address           | yes: they are the host's own end                                                |
 * | neighbour, fdb, nexthop, route, | yes: they lead to a peer                                                        |
 * | peer                            |                                                                                 |
 * | chain, jump, rules              | yes: without them packets meet a policy that drops, or leave with their address |
 * | sysctl                          | no: `accept_ra` keeps strangers' advertisements off a device that never hears any |
 *
 * What is only surplus, and a mark by which an object is recognised as ours, is never needed.
 */
import type { Operation } from "../model/plan.ts";
import { differences } from "./diff.ts";

/** Fields that only say whose an object is. */
const marks: ReadonlySet<string> = new Set(["alias", "protocol"]);

export function packetsNeed({ verb, object, before }: Operation): boolean {
  if (verb === "delete" || object.kind === "sysctl") return false;
  return verb !== "modify" || before === undefined ||
    differences(object, before).some(({ field }) => !marks.has(field));
}
