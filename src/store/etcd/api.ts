/**
 * Which of etcd's two APIs has our network: they are two spaces of keys that know nothing of each other.
 *
 *     v3 has a configuration ──────────────────────────► v3
 *     it has none: the server has no v2 API ───────────► v3
 *                  v2 has a configuration ─────────────► v2
 *                  neither has one ────────────────────► said once, asked again until one has
 *     the server is older than v3, or reached through
 *     a proxy without HTTP/2: v2 has a configuration ──► v2
 *
 * While etcd can't be reached nothing is chosen.
 */
import type { Clock } from "../../model/clock.ts";
import { Failure, messageOf } from "../../model/errors.ts";
import type { Log } from "../../observe/log.ts";
import { Backoff } from "../../async/backoff.ts";
import { deadline, DeadlineExceeded } from "../../async/deadline.ts";
import { ApiNotOffered, ApiNotReached } from "./errors.ts";
import { etcdKeys } from "./keys.ts";
import { untilAvailable } from "../outage.ts";
import { v2Keys } from "./v2/v2_store.ts";
import type { V2Remote } from "./v2/remote.ts";
import type { V3Remote } from "./v3/remote.ts";
import { StoreUnavailable } from "../store.ts";

export interface ApiChoice {
  readonly api: "v2" | "v3";
  /** For the log, after "because": `it has a configuration`. */
  readonly why: string;
}

export interface ApiDeps {
  readonly v2: V2Remote;
  readonly v3: V3Remote;
  readonly prefix: string;
  readonly clock: Clock;
  readonly log?: Log;
}

/** Milliseconds to wait for the other API's answer once v3's is known. */
const OTHER_MS = 1_000;

/**
 * Asks until it is clear; without a signal once, and where there is no configuration anywhere it is v3.
 *
 * @throws Failure where etcd refuses us; the signal's reason on abort; without a signal StoreUnavailable
 */
export async function chooseApi(deps: ApiDeps, signal: AbortSignal | null): Promise<ApiChoice> {
  const backoff = new Backoff(1_000, 5_000, null);
  for (let round = 0;; round++) {
    const look = () => lookOnce(deps, signal ?? undefined);
    const found = signal === null ? await look() : await untilAvailable(look, deps, signal);
    if ("api" in found) return found;
    if (signal === null) return { api: found.offered, why: "neither has a configuration" };
    if (round === 0) deps.log?.error(`Couldn't fetch network config: ${found.problem}; waiting for one`);
    await deps.clock.sleep(backoff.next(), signal);
  }
}

/** Nobody has a configuration that can be read. */
interface Unclear {
  readonly problem: string;
  /** The API to use where nobody waits for one. */
  readonly offered: "v2" | "v3";
}

async function lookOnce(
  deps: ApiDeps,
  signal: AbortSignal | undefined,
): Promise<ApiChoice | Unclear> {
  const second = has(deps.v2, v2Keys(deps.prefix).config, signal);
  second.catch(() => {});
  const first = await lookInV3(deps, signal);
  if (first === true) {
    if (await known(second, deps.clock, signal)) warnOfOther(deps);
    return { api: "v3", why: "it has a configuration" };
  }
  try {
    const state = first === false ? "v3 has no configuration" : "the server does not offer v3";
    if (await second) return { api: "v2", why: `${state} and v2 has one` };
    return first === false ? neither(deps) : onlyV2(deps);
  } catch (thrown) {
    if (first !== false) throw first;
    if (thrown instanceof ApiNotOffered) return { api: "v3", why: "the server does not offer v2" };
    if (!(thrown instanceof Failure)) throw thrown;
    return { problem: `v3 has none, and v2 can't be read: ${thrown.message}`, offered: "v3" };
  }
}

/** Whether v3 has a configuration, or why there is no v3 at all. */
async function lookInV3(
  { v2, v3, prefix }: ApiDeps,
  signal: AbortSignal | undefined,
): Promise<boolean | ApiNotOffered | StoreUnavailable> {
  try {
    return await has(v3, etcdKeys(prefix).config, signal);
  } catch (thrown) {
    if (thrown instanceof ApiNotOffered || thrown instanceof ApiNotReached) return thrown;
    if (!(thrown instanceof StoreUnavailable)) throw thrown;
    if (/^[0-2]\./.test(await v2.release(signal).catch(() => ""))) return thrown;
    throw thrown;
  }
}

async function has(
  remote: V3Remote | V2Remote,
  key: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return (await remote.range({ key, end: null }, signal)).count > 0;
}

/** False where it is not known in time. */
async function known(
  answer: Promise<boolean>,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    return await deadline(clock, OTHER_MS, signal, () => answer);
  } catch (thrown) {
    if (thrown instanceof DeadlineExceeded || thrown instanceof Failure) return false;
    if (thrown instanceof StoreUnavailable) return false;
    signal?.throwIfAborted();
    throw new Error(`ask etcd's v2 API: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function warnOfOther({ prefix, log }: ApiDeps): void {
  log?.warn(
    `etcd's v2 API has a configuration at "${
      etcdKeys(prefix).config
    }" too: hosts that use it are not seen; ` +
      "--etcd-api says which one to use",
  );
}

function onlyV2({ prefix }: ApiDeps): Unclear {
  const { config } = v2Keys(prefix);
  return {
    offered: "v2",
    problem:
      `flannel config not found in etcd store: "${config}" is absent in v2, and the server does not offer ` +
      `v3; create it, as in ETCDCTL_API=2 etcdctl set ${config} '{"Network": "10.1.0.0/16", "Backend": ` +
      `{"Type": "vxlan"}}'`,
  };
}

function neither({ prefix }: ApiDeps): Unclear {
  const { config } = etcdKeys(prefix);
  return {
    offered: "v3",
    problem:
      `flannel config not found in etcd store: "${config}" is absent in v3 and in v2; create it, as in ` +
      `ETCDCTL_API=3 etcdctl put ${config} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`,
  };
}
