/**
 * `flanneld config set`: writes a configuration to etcd, if it is right, and over another one only where that was asked for. Whose
 * subnets it leaves no room for is said before.
 */
import { compatible } from "../../model/allocate.ts";
import { Failure, messageOf, UsageError } from "../../model/errors.ts";
import { describeSubnets } from "../../model/lease.ts";
import { parseNetworkConfig } from "../../model/parse_config.ts";
import type { Log } from "../../observe/log.ts";
import type { ConfigPlace } from "../../store/config_place.ts";
import { StoreUnavailable } from "../../store/store.ts";
import { systemClock } from "../../system/clock.ts";
import { systemRandom } from "../../system/random.ts";
import { openConfigPlace, openStore, type StoreDeps } from "../open_store.ts";
import type { VerbIo } from "../verb.ts";
import { explain } from "./explain.ts";
import { printSummary } from "./print.ts";
import type { ConfigWords } from "./words.ts";

/** A configuration, and the file or key that it comes from. */
export interface Found {
  readonly name: string;
  readonly text: string;
  /** Why it can't stand there, or null. */
  readonly objection?: string | null;
}

/** @throws UsageError, Failure: then nothing was written */
export async function setConfig(words: ConfigWords, { name, text }: Found, io: VerbIo): Promise<number> {
  const { options, mtu } = words;
  if (options.store.type !== "etcd") {
    const file = options.netConfigPath;
    throw new UsageError(
      `config set "${name}": this store keeps no configuration, it is read from "${file}"; write that file`,
    );
  }
  const explanation = explain(text, mtu);
  const { problems, notes } = explanation;
  for (const note of notes) io.err(`note: ${note}\n`);
  if (problems.length > 0) {
    throw new Failure(
      `check the network configuration "${name}": ${problems.join("; ")}; nothing was written`,
    );
  }
  await using place = await openConfigPlace(options, storeDeps(io)).catch(explained);
  const objection = place.objection(parseNetworkConfig(text));
  if (objection !== null) {
    throw new Failure(
      `write the network configuration "${place.name}": ${objection}; nothing was written`,
    );
  }
  await replace(place, words, text.trim(), io).catch(explained);
  io.out(`${place.name}: ${printSummary(explanation)}`);
  return 0;
}

async function replace(place: ConfigPlace, words: ConfigWords, text: string, io: VerbIo): Promise<void> {
  const before = await place.read();
  if (before?.text === text) return;
  if (before !== null) {
    for (const homeless of await withoutRoom(words, text, io)) io.err(`note: ${homeless}\n`);
    if (!words.force) {
      throw new Failure(
        `write the network configuration "${place.name}": another one stands there; look at it with ` +
          "flanneld config get, replace it with --force",
      );
    }
  }
  if (await place.write(text, before)) return;
  throw new Failure(
    `write the network configuration "${place.name}": somebody else has written it just now; ` +
      "look at it with flanneld config get, and try again",
  );
}

/** What the place says of a configuration that stands there; null where it can't be read anyhow. */
export function objectionOf(place: ConfigPlace, text: string): string | null {
  try {
    return place.objection(parseNetworkConfig(text));
  } catch {
    return null;
  }
}

/** How many hosts are named one by one. */
const NAMED = 5;

/** One sentence for each host whose subnet the configuration does not have. */
async function withoutRoom({ options }: ConfigWords, text: string, io: VerbIo): Promise<string[]> {
  const config = parseNetworkConfig(text);
  await using store = await openStore(options, { ...storeDeps(io), previous: { v4: null, v6: null } });
  const { leases } = await store.list();
  const homeless = leases.filter(({ subnets }) => !compatible(subnets, config));
  const named = homeless.slice(0, NAMED).map(({ subnets }) =>
    `a host has ${
      describeSubnets(subnets)
    }, for which this has no room: it keeps its network and is not ready ` +
    "until it is restarted"
  );
  const more = homeless.length - named.length;
  return more > 0 ? [...named, `and ${more} hosts more`] : named;
}

/** What a store needs of its surroundings, with warnings on stderr. */
export function storeDeps(io: VerbIo): Omit<StoreDeps, "previous"> {
  const line = (text: string) => io.err(`${text}\n`);
  const log: Log = { debug: () => {}, info: () => {}, warn: line, error: line };
  return { clock: systemClock(), random: systemRandom, log };
}

/** For people a store that is out of reach is a failure like any other. */
export function explained(error: unknown): never {
  throw error instanceof StoreUnavailable ? new Failure(messageOf(error)) : error;
}
