/**
 * A TCP forwarder that a test can shut: what a cable pulled out looks like from both sides, while the server lives on.
 *
 * - `cut`: connections are ended.
 * - `shut`: and new ones are refused.
 * - `hang`: connections stay and new ones are taken, but nothing passes any more.
 */
export class Gate implements AsyncDisposable {
  readonly port: number;
  readonly #target: Deno.ConnectOptions;
  #listener: Deno.TcpListener | null;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #tasks = new Set<Promise<void>>();
  #hung = Promise.withResolvers<void>();
  #hanging = false;

  /** @param url of the server: `http://127.0.0.1:2379` */
  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#target = { hostname, port: Number(port) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#hung.resolve();
    this.#track(this.#accept(this.#listener));
  }

  /** Ends all connections and refuses new ones. */
  shut(): void {
    this.#listener?.close();
    this.#listener = null;
    this.cut();
  }

  open(): void {
    this.#listener ??= Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#track(this.#accept(this.#listener));
  }

  hang(): void {
    if (this.#hanging) return;
    this.#hanging = true;
    this.#hung = Promise.withResolvers();
  }

  unhang(): void {
    this.#hanging = false;
    this.#hung.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unhang();
    this.shut();
    await Promise.all(this.#tasks);
  }

  cut(): void {
    for (const connection of this.#open) {
      try {
        connection.close();
      } catch {
        // Closed by the other side already.
      }
    }
    this.#open.clear();
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    try {
      for await (const from of listener) this.#track(this.#forward(from));
    } catch {
      // The listener was closed.
    }
  }

  async #forward(from: Deno.TcpConn): Promise<void> {
    this.#open.add(from);
    try {
      const to = await Deno.connect(this.#target) as Deno.TcpConn;
      this.#open.add(to);
      await Promise.all([this.#pump(from, to), this.#pump(to, from)]);
    } catch {
      from.close();
    }
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        await this.#hung.promise;
        for (let written = 0; written < n;) written += await to.write(buffer.subarray(written, n));
      }
    } catch {
      // One side was closed: so is the other.
    }
    for (const connection of [from, to]) {
      if (!this.#open.delete(connection)) continue;
      connection.close();
    }
  }

  #track(task: Promise<void>): void {
    this.#tasks.add(task);
    task.finally(() => this.#tasks.delete(task));
  }
}
