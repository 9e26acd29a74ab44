/**
 * `flanneld config`: explains, checks, prints and writes the network configuration. It stands in a file or in etcd; nothing is
 * written but by `set`, and that only where nobody else has written meanwhile.
 */
import { Failure } from "../../model/errors.ts";
import { parseNetworkConfig } from "../../model/parse_config.ts";
import { osErrorText } from "../../system/os_error.ts";
import { readFile } from "../config_file.ts";
import { openConfigPlace } from "../open_store.ts";
import type { VerbIo } from "../verb.ts";
import { explain } from "./explain.ts";
import { notDrawn } from "./not_drawn.ts";
import { printExplanation, printJson, printSummary } from "./print.ts";
import { explained, type Found, objectionOf, setConfig, storeDeps } from "./set.ts";
import { type ConfigWords, readWords } from "./words.ts";

export { actions, help } from "./words.ts";

/** @throws UsageError; Failure where the configuration cannot be read or written, or is wrong */
export async function run(io: VerbIo): Promise<number> {
  const words = readWords({ args: io.args, environment: io.environment, readFile });
  for (const warning of words.options.warnings) io.err(`${warning}\n`);
  switch (words.action) {
    case "explain":
    case "check":
      return await tell(words, await read(words, io), io);
    case "get":
      return get(await read(words, io), io);
    case "set":
      return await setConfig(words, await read(words, io), io);
  }
}

async function tell(
  { action, json, mtu, options }: ConfigWords,
  { name, text, objection }: Found,
  io: VerbIo,
): Promise<number> {
  const of = explain(text, mtu);
  const notes = [...of.notes, ...of.problems.length === 0 ? await here(text, options.subnetFile, io) : []];
  const explanation = { ...of, notes, problems: [...of.problems, ...objection ? [objection] : []] };
  const { problems } = explanation;
  if (json) io.out(printJson(explanation, name));
  else if (action === "explain") io.out(printExplanation(explanation));
  else if (problems.length === 0) io.out(printSummary(explanation));
  if (!json) { for (const note of notes) io.err(`note: ${note}\n`); }
  if (!json) {
    for (const problem of problems) io.err(`check the network configuration "${name}": ${problem}\n`);
  }
  return problems.length === 0 ? 0 : 1;
}

async function here(text: string, subnetFile: string, io: VerbIo): Promise<string[]> {
  const config = parseNetworkConfig(text);
  return notDrawn(config, await io.occupied?.(config, subnetFile) ?? []);
}

function get({ text }: Found, io: VerbIo): number {
  io.out(text.endsWith("\n") ? text : `${text}\n`);
  return 0;
}

/** From the file that was named, else from where the daemon would take it. */
async function read({ file, options }: ConfigWords, io: VerbIo): Promise<Found> {
  if (file !== null) return await readFound(file);
  if (options.store.type === "etcd") return await readStored(options, io);
  const text = options.networkConfigText;
  return text === undefined ? await readFound(options.netConfigPath) : { name: "[network]", text };
}

async function readStored(options: ConfigWords["options"], io: VerbIo): Promise<Found> {
  await using place = await openConfigPlace(options, storeDeps(io)).catch(explained);
  const stored = await place.read().catch(explained);
  if (stored === null) throw new Failure(place.absent);
  return { name: place.name, text: stored.text, objection: objectionOf(place, stored.text) };
}

async function readFound(path: string): Promise<Found> {
  try {
    if (path !== "-") return { name: path, text: await Deno.readTextFile(path) };
    return { name: "standard input", text: await new Response(Deno.stdin.readable).text() };
  } catch (error) {
    throw new Failure(`read the network configuration "${path}": ${osErrorText(error)}; give a file of JSON`);
  }
}
