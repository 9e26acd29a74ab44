/**
 * Certificates whose time is over or has not come yet: the server's, fetched for the purpose, and our own.
 *
 * The TLS library says of the server's no more than that it can't be verified, and etcd says nothing of ours. Both may be the
 * fault of this host's clock, which often is wrong for a while after boot: so it is told, and tried again.
 */
import type { X509Certificate } from "node:crypto";
import type { Endpoint } from "./endpoints.ts";
import { EndpointError } from "./errors.ts";
import { serverCertificates } from "./sockets.ts";

/** Milliseconds by which the clock may have gone on before the time that is told of it is another one. */
const DAY_MS = 86_400_000;

export class CertificateDates {
  /** The clock's time when a certificate was first found to be outside its own, by fingerprint: a message stays the same. */
  readonly #noticed = new Map<string, number>();

  /**
   * @param whose for the message: `the server's certificate`
   * @param now wall clock, milliseconds
   * @returns null where the dates are right
   */
  trouble(
    endpoint: Endpoint,
    whose: string,
    certificate: X509Certificate,
    now: number,
  ): EndpointError | null {
    const { fingerprint256: name, validFrom, validTo } = certificate;
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    if (!(now < from) && !(now > to)) {
      this.#noticed.delete(name);
      return null;
    }
    const noticed = this.#noticed.get(name) ?? -Infinity;
    const told = Math.abs(now - noticed) < DAY_MS ? noticed : now;
    this.#noticed.set(name, told);
    const clock = `this host's clock says ${when(told)}`;
    return now > to
      ? error(endpoint, `${whose} has expired: it was valid until ${when(to)}, and ${clock}`, "renew it, or ")
      : error(endpoint, `${whose} is not valid before ${when(from)}, and ${clock}`, "");
  }

  /** What is wrong with the dates of the certificates that a server shows; null where nothing is or it shows none. */
  async ofServer(endpoint: Endpoint, now: number, over: AbortSignal): Promise<EndpointError | null> {
    for (const certificate of await serverCertificates(endpoint, over)) {
      const trouble = this.trouble(endpoint, "the server's certificate", certificate, now);
      if (trouble !== null) return trouble;
    }
    return null;
  }
}

function error({ text }: Endpoint, state: string, remedy: string): EndpointError {
  return new EndpointError(text, state, `${remedy}set this host's clock`, false);
}

/** `2026-11-28 04:27:00 UTC`. */
function when(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
