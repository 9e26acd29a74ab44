/**
 * The sockets of one connection to etcd, plain or TLS, whichever protocol is spoken on them.
 *
 * - The runtime refuses an IP address as the TLS server name (RFC 6066 §3 allows names only). Here an address is not sent, but
 *   verified all the same: the certificate must carry it as an IP subject alternative name.
 * - Sockets are ended at once, and whoever closes can wait for it.
 * - TLS begins only on a connection that stands. The runtime never lets go of TLS that was begun on one which then failed: some
 *   30 KiB for each attempt, which is many of them where etcd is away for long.
 */
import { X509Certificate } from "node:crypto";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import {
  connect,
  type ConnectionOptions,
  type DetailedPeerCertificate,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import type { Endpoint } from "./endpoints.ts";

export class Sockets {
  readonly tls: SecureContext | null;
  readonly #host: string;
  readonly #open = new Set<Socket>();
  #closed = false;
  /** True once a TLS handshake has succeeded: what fails later is not about the server's certificate. */
  handshaken = false;

  /**
   * @param tls null for plain text
   * @param host name or address that the server's certificate must be valid for
   */
  constructor(tls: SecureContext | null, host: string) {
    this.tls = tls;
    this.#host = host;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Ends every socket, and every one that is kept later. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#open, (socket) => ended(socket)));
  }

  keep(socket: Socket): void {
    if (this.#closed) socket.destroy();
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
  }

  /**
   * TLS over a socket, once that is connected.
   *
   * @param protocol that is spoken inside, by its ALPN name
   * @throws what connecting or the handshake fails with
   */
  async secure(socket: Socket, secureContext: SecureContext, protocol: string): Promise<TLSSocket> {
    await connected(socket);
    const options: ConnectionOptions = {
      socket,
      host: this.#host,
      secureContext,
      ALPNProtocols: [protocol],
      // Said, so that NODE_TLS_REJECT_UNAUTHORIZED has no say.
      rejectUnauthorized: true,
      ...(isIP(this.#host) === 0 && { servername: this.#host }),
    };
    return await new Promise((resolve, reject) => {
      const secured = connect(options, () => {
        if (!secured.authorized) return reject(secured.authorizationError);
        this.handshaken = true;
        resolve(secured);
      });
      this.keep(secured);
      // Stays attached: an error that comes later must not be an unhandled one.
      secured.on("error", reject);
    });
  }
}

/**
 * What a server shows for itself, its own certificate first, unverified: only to say what is wrong with it. Nothing else is sent
 * on the connection, not even our certificate. Empty where it can't be had before `over` is aborted.
 */
export async function serverCertificates(endpoint: Endpoint, over: AbortSignal): Promise<X509Certificate[]> {
  const socket = connectTcp(endpoint.address);
  const open: Socket[] = [socket];
  const stop = () => open.forEach((each) => each.destroy());
  over.addEventListener("abort", stop, { once: true });
  try {
    await connected(socket);
    const name = isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {};
    const secured = connect({ socket, host: endpoint.host, rejectUnauthorized: false, ...name });
    open.push(secured);
    return await new Promise((resolve) => {
      secured.once("secureConnect", () => resolve(chainOf(secured.getPeerCertificate(true))));
      for (const each of open) each.on("error", () => resolve([])).once("close", () => resolve([]));
    });
  } catch {
    return [];
  } finally {
    over.removeEventListener("abort", stop);
    stop();
  }
}

/** Resolves when the connection stands. @throws what it fails with, or that it was dropped */
async function connected(socket: Socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    // Stays attached: an error that comes later must not be an unhandled one.
    socket.on("error", reject);
    socket.once("close", () => reject(new Error("Connection dropped")));
    if (socket.connecting) socket.once("connect", () => resolve());
    else resolve();
  });
  if (socket.destroyed) throw new Error("Connection dropped");
}

function chainOf(first: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<DetailedPeerCertificate>();
  for (let next = first; next?.raw !== undefined && !seen.has(next); next = next.issuerCertificate) {
    seen.add(next);
    chain.push(new X509Certificate(next.raw));
  }
  return chain;
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.destroy();
  });
}
