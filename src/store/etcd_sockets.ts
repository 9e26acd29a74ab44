/**
 * The sockets of one connection to etcd, plain or TLS, whichever protocol is spoken on them.
 *
 * - The runtime refuses an IP address as the TLS server name (RFC 6066 §3 allows names only). Here an address is not sent, but
 *   verified all the same: the certificate must carry it as an IP subject alternative name.
 * - Sockets are ended at once, and whoever closes can wait for it.
 */
import { isIP, type Socket } from "node:net";
import { connect, type ConnectionOptions, type SecureContext, type TLSSocket } from "node:tls";

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
   * TLS over a socket.
   *
   * @param protocol that is spoken inside, by its ALPN name
   * @throws what the handshake fails with
   */
  secure(socket: Socket, secureContext: SecureContext, protocol: string): Promise<TLSSocket> {
    const options: ConnectionOptions = {
      socket,
      host: this.#host,
      secureContext,
      ALPNProtocols: [protocol],
      // Said, so that NODE_TLS_REJECT_UNAUTHORIZED has no say.
      rejectUnauthorized: true,
      ...(isIP(this.#host) === 0 && { servername: this.#host }),
    };
    return new Promise((resolve, reject) => {
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

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.destroy();
  });
}
