/** Why a connection to a member could not be made, where the error that came of it does not say so itself. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { deadline, DeadlineExceeded } from "../../async/deadline.ts";
import type { Endpoint } from "./endpoints.ts";
import { EndpointError, neverAnswered } from "./errors.ts";
import type { ConnectOptions } from "./failover.ts";
import type { Sockets } from "./sockets.ts";

/** Milliseconds for a look at the server's certificates, and at its name. */
const LOOK_MS = 1_500;

/** A better error than `failure`, where there is one: a name that nobody resolves, dates of a certificate that are wrong. */
export async function whyNot(
  failure: EndpointError,
  endpoint: Endpoint,
  sockets: Sockets,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<EndpointError> {
  const better = neverAnswered(failure)
    ? await unresolved(endpoint, options, signal)
    : await wrongDates(endpoint, sockets, options, signal);
  return better ?? failure;
}

/** Resolving a name may take longer than we wait for a connection: a DNS that is silent must not look like a silent etcd. */
async function unresolved(
  { address, host, text }: Endpoint,
  { clock }: ConnectOptions,
  signal: AbortSignal,
): Promise<EndpointError | null> {
  if ("path" in address || isIP(host) !== 0) return null;
  try {
    await deadline(clock, LOOK_MS, signal, () => lookup(host));
    return null;
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    return thrown instanceof DeadlineExceeded
      ? new EndpointError(
        text,
        "the host name does not resolve, as the DNS does not answer",
        "check this host's DNS, or give an address",
        false,
      )
      : new EndpointError(text, "host name not found", "check the name and the DNS", false);
  }
}

/** What is wrong with the dates of a certificate, the server's or ours; null where nothing is. */
export async function wrongDates(
  endpoint: Endpoint,
  { handshaken }: Sockets,
  { tls, clock }: ConnectOptions,
  signal: AbortSignal,
): Promise<EndpointError | null> {
  if (!endpoint.tls) return null;
  const now = clock.wall();
  if (!handshaken) {
    const look = (over: AbortSignal) => tls.dates.ofServer(endpoint, now, over);
    return await deadline(clock, LOOK_MS, signal, look).catch(() => null);
  }
  const { own } = tls;
  if (own === null) return null;
  const whose = `our certificate in -etcd-certfile ${JSON.stringify(own.path)}`;
  return tls.dates.trouble(endpoint, whose, own.certificate, now);
}
