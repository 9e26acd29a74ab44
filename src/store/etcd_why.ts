/** Why a connection to a member could not be made, where the error that came of it does not say so itself. */
import { within } from "./deadline.ts";
import type { Endpoint } from "./etcd_endpoints.ts";
import type { EndpointError } from "./etcd_errors.ts";
import type { ConnectOptions } from "./etcd_failover.ts";
import type { Sockets } from "./etcd_sockets.ts";

/** Milliseconds for a look at the server's certificates. */
const LOOK_MS = 1_500;

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
    return await within(clock, LOOK_MS, signal, look).catch(() => null);
  }
  const { own } = tls;
  if (own === null) return null;
  const whose = `our certificate in -etcd-certfile ${JSON.stringify(own.path)}`;
  return tls.dates.trouble(endpoint, whose, own.certificate, now);
}
