/**
 * One TCP connection that stays open through a scenario: numbered lines go one way, one every 50 ms, and what arrives is
 * compared with what was sent. TCP repeats what the network drops, so a line is missing or out of order only where the
 * connection broke.
 * Programs: socat.
 */
import { poll, type Process } from "./process.ts";
import { type Endpoint, listening } from "./traffic.ts";
import type { Place } from "./netns.ts";

export interface ConnectionReport {
  readonly sent: number;
  /** How many of the lines that were sent arrived, in order and without a gap, from the first on. */
  readonly received: number;
  /** Why the connection ended before it was told to; null where it did not. */
  readonly broken: string | null;
}

/** $1 is the file that ends it, $2 the server. What is sent is on standard error, too. */
const SEND = `
i=0
while [ ! -e "$1" ]; do i=$((i + 1)); echo "line $i"; sleep 0.05; done | tee /dev/stderr | socat -u - "TCP:$2"`;

export class LongConnection {
  private constructor(
    private readonly from: Place,
    private readonly client: Process,
    private readonly server: Process,
    private readonly end: string,
  ) {}

  /** Connects and waits for the first lines. */
  static async open(from: Place, to: Endpoint, port = 7001): Promise<LongConnection> {
    const server = to.start(`lines on ${port}`, ["socat", "-u", `TCP-LISTEN:${port},reuseaddr`, "-"]);
    await listening(to, port);
    const end = `/run/end-${port}`;
    const client = from.start(`lines to ${to.address}`, [
      "sh",
      "-c",
      SEND,
      "sh",
      end,
      `${to.address}:${port}`,
    ]);
    const connection = new LongConnection(from, client, server, end);
    await connection.lines(3);
    return connection;
  }

  /** Waits until `count` more lines came in. */
  async lines(count: number, ms = 20_000): Promise<void> {
    const goal = numbers(this.server).length + count;
    await poll(`${count} lines over ${this.client.name}`, ms, () => {
      if (!this.client.running) throw new Error(`send lines: ${this.#why()}`);
      return numbers(this.server).length >= goal;
    });
  }

  /** Closes the connection in order, waits for what is on its way, and counts. */
  async close(): Promise<ConnectionReport> {
    const broken = this.client.running && this.server.running ? null : this.#why();
    await this.from.run(["touch", this.end]);
    if (broken !== null) this.client.signal("SIGTERM");
    await this.client.ended();
    if (broken !== null) this.server.signal("SIGTERM");
    await this.server.ended();
    const [sent, arrived] = [numbers(this.client), numbers(this.server)];
    const gap = arrived.findIndex((number, i) => number !== i + 1);
    return { sent: sent.length, received: gap < 0 ? arrived.length : gap, broken };
  }

  #why(): string {
    const said = [...this.client.lines, ...this.server.lines].filter((line) => !line.startsWith("line "));
    return said.at(-1) ?? "it ended without a word";
  }
}

function numbers(process: Process): number[] {
  return process.lines.flatMap((line) => /^line (\d+)$/.exec(line)?.[1] ?? []).map(Number);
}
