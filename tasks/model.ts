/**
 * The model of who owns a subnet as a task: `deno task model [NAME]...`: every scenario with all of its states, or those named.
 * One line each; where one fails, the shortest way there, and code 1. All of them take half an hour and 8 GB.
 */
import { explore } from "../tests/model/explore.ts";
import { scenarios } from "../tests/model/scenarios.ts";
import { say } from "./run.ts";

const names = Deno.args.map(String);
const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown !== undefined) {
  say(`model "${unknown}": no such scenario; there are ${scenarios.map(({ name }) => name).join(", ")}`);
  Deno.exit(2);
}
let failed = 0;
for (const scenario of scenarios.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const { states, writes, failure } = explore(scenario);
  say(
    `${failure === null ? "ok    " : "FAILED"} ${scenario.name}: ${states} states, ${writes} writes at most`,
  );
  if (failure === null) continue;
  failed++;
  say(failure);
}
Deno.exit(failed === 0 ? 0 : 1);
