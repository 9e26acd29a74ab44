/** An explanation as text for people and as JSON for programs. Pure. */
import type { Explanation, FamilyFacts, MemberFacts } from "./explain.ts";

/** Ends in a newline; empty where the configuration could not be read. */
export function printExplanation({ families, members, backend, underlayMtu }: Explanation): string {
  if (backend === null) return "";
  const blocks = [
    ...families.map((facts) => printFamily(facts, underlayMtu)),
    ["Members", ...members.map(printMember)],
    [`Backend ${backend.type}${backend.isDefault ? " (default)" : ""}`, ...backend.members.map(printMember)],
  ];
  return blocks.map((lines) => lines.join("\n")).join("\n\n") + "\n";
}

function printFamily(facts: FamilyFacts, underlayMtu: number): string[] {
  const { family, network, subnets, first, last, addresses, containers, mtu } = facts;
  const taken = family === 4 ? "the first, the bridge's and the last" : "the first and the bridge's";
  const inside = mtu === null ? "unknown" : mtu;
  return [
    `Network ${network}`,
    `  subnets     ${subnets}, one for each host: ${first} to ${last}`,
    `  addresses   ${addresses} in each; ${containers} for containers, all but ${taken}`,
    `  containers  ${subnets * containers} on all hosts together`,
    `  MTU         ${inside}, where the network between the hosts has ${underlayMtu}`,
  ];
}

function printMember({ name, value, isDefault, means }: MemberFacts): string {
  const remarks = [...(means === undefined ? [] : [means]), ...(isDefault ? ["default"] : [])];
  const remark = remarks.length === 0 ? "" : ` (${remarks.join("; ")})`;
  return `  ${name.padEnd(14)}  ${value}${remark}`;
}

/** One line: `10.1.0.0/16: 81 subnets of /24, vxlan`. */
export function printSummary({ families, backend }: Explanation): string {
  const networks = families.map(({ network, subnets, first }) =>
    `${network}: ${subnets} subnets of /${first.split("/")[1]}`
  );
  return [...networks, backend!.type].join(", ") + "\n";
}

/**
 * The same, with lists of members as objects. Counts are numbers of any size: an IPv6 subnet has more addresses than fit into 53
 * bits.
 */
export function printJson(explanation: Explanation, source: string): string {
  const { problems, notes, families, members, backend, underlayMtu } = explanation;
  const defaults = [...members, ...(backend?.members ?? [])].filter((each) => each.isDefault);
  const value = {
    source,
    valid: problems.length === 0,
    problems,
    notes,
    underlayMtu,
    families: families.map((facts) => ({
      ...facts,
      subnets: exact(facts.subnets),
      addresses: exact(facts.addresses),
      containers: exact(facts.containers),
    })),
    members: asObject(members),
    backend: backend && { type: backend.type, members: asObject(backend.members) },
    defaulted: [...defaults.map(({ name }) => name), ...(backend?.isDefault ? ["Backend"] : [])],
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function asObject(members: readonly MemberFacts[]): Record<string, unknown> {
  return Object.fromEntries(members.map(({ name, value }) => [name, value]));
}

function exact(value: bigint): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(value.toString());
}
