/**
 * What systemd is to a unit of Type=notify: a datagram socket that waits for READY=1.
 * Path sockets and abstract ones (a name that begins with @) through socat, since Deno has no stable datagram socket.
 */
import type { Place } from "./netns.ts";
import { poll, type Process } from "./process.ts";

export class NotifySocket {
  /** @param address for NOTIFY_SOCKET */
  private constructor(readonly address: string, private readonly listener: Process) {}

  /** @param address a path, or @name for an abstract socket in the place's network namespace */
  static async listen(place: Place, address: string): Promise<NotifySocket> {
    const target = address.startsWith("@") ? `ABSTRACT-RECV:${address.slice(1)}` : `UNIX-RECV:${address}`;
    const listener = place.start(`notify ${address}`, ["socat", "-u", target, "-"]);
    await poll(`the socket ${address}`, 5000, async () => {
      return (await place.run(["cat", "/proc/net/unix"])).split("\n").some((line) =>
        line.endsWith(` ${address}`)
      );
    });
    return new NotifySocket(address, listener);
  }

  /** All that was received so far. */
  get received(): string {
    return this.listener.text;
  }

  /** Resolves with the first datagram that says READY=1. */
  async ready(ms = 30_000): Promise<void> {
    await poll(`READY=1 on ${this.address}`, ms, () => this.listener.text.includes("READY=1"));
  }
}
