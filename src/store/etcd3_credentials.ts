/**
 * How a gRPC channel to etcd gets its connection, plain or TLS. grpc-js's own way does not do for two reasons:
 *
 * - It sends every host as the TLS server name, and the runtime refuses an IP address there (RFC 6066 §3 allows names only).
 *   Here an address is not sent, but verified all the same: the certificate must carry it as an IP subject alternative name.
 * - A closed channel lets its socket linger. Here sockets are ended at once, and whoever closes can wait for it.
 *
 * Works on grpc-js's internal SecureConnector contract, so that the version of grpc-js is pinned.
 */
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import { isIP, type Socket } from "node:net";
import { connect, type ConnectionOptions, type SecureContext } from "node:tls";

type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;
type Connected = Awaited<ReturnType<Connector["connect"]>>;

export class LinkCredentials extends ChannelCredentials {
  readonly #tls: SecureContext | null;
  readonly #host: string;
  readonly #sockets = new Set<Socket>();
  #closed = false;
  /** True once a TLS handshake has succeeded: what fails later is not about the server's certificate. */
  handshaken = false;

  /**
   * @param tls null for plain text
   * @param host name or address that the server's certificate must be valid for
   */
  constructor(tls: SecureContext | null, host: string) {
    super();
    this.#tls = tls;
    this.#host = host;
  }

  /** Ends every connection, and every later one: a closed channel that has failed to connect tries once more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#sockets, (socket) => ended(socket)));
  }

  override _isSecure(): boolean {
    return this.#tls !== null;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    call: CallCredentials = CallCredentials.createEmpty(),
  ): Connector {
    return {
      connect: async (socket) => {
        this.#keep(socket);
        if (this.#closed) throw new Error("Connection dropped");
        return this.#tls === null ? { socket, secure: false } : await this.#secure(socket, this.#tls);
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => call,
      destroy: () => {},
    };
  }

  #secure(socket: Socket, secureContext: SecureContext): Promise<Connected> {
    const options: ConnectionOptions = {
      socket,
      host: this.#host,
      secureContext,
      ALPNProtocols: ["h2"],
      ...(isIP(this.#host) === 0 && { servername: this.#host }),
    };
    return new Promise((resolve, reject) => {
      const secured = connect(options, () => {
        if (!secured.authorized) return reject(secured.authorizationError);
        this.handshaken = true;
        resolve({ socket: secured, secure: true });
      });
      this.#keep(secured);
      // Stays attached: an error that comes later must not be an unhandled one.
      secured.on("error", reject);
    });
  }

  #keep(socket: Socket): void {
    if (this.#closed) socket.destroy();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.destroy();
  });
}
