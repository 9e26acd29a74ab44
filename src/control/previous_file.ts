/** Says what is wrong with the subnet file that was found at the start, and what is used of it all the same. */
import { describeSubnets, prefixesOf, type Subnets } from "../model/lease.ts";
import { formatPrefix } from "../model/prefix.ts";
import type { Log } from "../observe/log.ts";
import type { SubnetFile } from "./ports.ts";

/** @param previous the subnets that will be asked for: the file's, and what else is known where it says nothing */
export function tellPrevious({ path, previous: file }: SubnetFile, previous: Subnets, log: Log): void {
  if (!file.problems?.length) return;
  for (const problem of file.problems) log.warn(`read subnet file "${path}": ${problem}`);
  const [subnets, networks] = [describeSubnets(file.subnets), file.networks.map(formatPrefix).join(", ")];
  const used = [...subnets ? [`subnet ${subnets}`] : [], ...networks ? [`network ${networks}`] : []];
  const from = describeSubnets(previous) === subnets
    ? prefixesOf(previous).length === 0 ? "; which subnet this host had is not known" : ""
    : `; our device says that our subnet was ${describeSubnets(previous)}`;
  log.warn(`used of subnet file "${path}": ${used.join(", ") || "nothing"}${from}`);
}
