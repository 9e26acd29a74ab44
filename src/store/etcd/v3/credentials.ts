/**
 * How a gRPC channel to etcd gets its connection: on our own sockets (`../sockets.ts`). grpc-js's own way sends every host as
 * the TLS server name, which fails for addresses, and a channel that it closed lets its socket linger.
 *
 * Works on grpc-js's internal SecureConnector contract, so that the version of grpc-js is pinned.
 */
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import type { Sockets } from "../sockets.ts";

type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

export class LinkCredentials extends ChannelCredentials {
  readonly #sockets: Sockets;

  constructor(sockets: Sockets) {
    super();
    this.#sockets = sockets;
  }

  override _isSecure(): boolean {
    return this.#sockets.tls !== null;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    call: CallCredentials = CallCredentials.createEmpty(),
  ): Connector {
    const sockets = this.#sockets;
    return {
      connect: async (socket) => {
        sockets.keep(socket);
        // A closed channel that has failed to connect tries once more.
        if (sockets.closed) throw new Error("Connection dropped");
        if (sockets.tls === null) return { socket, secure: false };
        return { socket: await sockets.secure(socket, sockets.tls, "h2"), secure: true };
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => call,
      destroy: () => {},
    };
  }
}
