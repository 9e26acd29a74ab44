/**
 * A TCP stream that goes on while something is done to the network, with the proof of what has arrived. It is held to some
 * 25 MB/s, so that the machine has time for what is being done. Programs: socat, ss, sha256sum.
 */
import type { Place } from "./netns.ts";
import { poll, type Process } from "./process.ts";
import { type Endpoint, listening } from "./traffic.ts";

/** Long enough for TCP to come back from several losses of the same segment. Milliseconds. */
const DEADLINE = 20_000;

export interface BulkReport {
  /** SHA-256 of what was sent. */
  readonly sent: string;
  readonly received: string;
}

export class Bulk {
  private constructor(
    private readonly from: Place,
    private readonly to: Place,
    private readonly port: number,
    private readonly sender: Process,
    private readonly receiver: Process,
  ) {}

  static async start(from: Place, to: Endpoint, port: number): Promise<Bulk> {
    const receiver = to.start(`bulk ${port}`, [
      "sh",
      "-c",
      `exec socat -u TCP-LISTEN:${port},reuseaddr SYSTEM:sha256sum`,
    ]);
    await listening(to, port);
    const target = `TCP:${to.address}:${port},connect-timeout=10`;
    const sender = from.start(`bulk ${port}`, ["sh", "-ec", SEND, "sh", stem(port), target]);
    const bulk = new Bulk(from, to, port, sender, receiver);
    await bulk.goesOn();
    return bulk;
  }

  /** Waits until so many bytes more have arrived. */
  async goesOn(bytes = 1_000_000): Promise<void> {
    const goal = await this.#arrived() + bytes;
    await poll(
      `more of the stream to port ${this.port}`,
      DEADLINE,
      async () => await this.#arrived() >= goal,
    );
  }

  /** Ends it and compares. */
  async stop(): Promise<BulkReport> {
    await this.from.run(["touch", `${stem(this.port)}.stop`]);
    const [received, sent] = await Promise.all([this.receiver, this.sender].map(sum));
    return { sent: sent!, received: received! };
  }

  async #arrived(): Promise<number> {
    const text = await this.to.run(["ss", "-Htni", "state", "established", `sport = :${this.port}`]);
    return Number(/bytes_received:(\d+)/.exec(text)?.[1] ?? 0);
  }
}

/** Blocks, until there is a file that says to stop; the last bytes make the length an odd one. */
const SEND = `
mkfifo "$1.copy"
head -c 262144 /dev/urandom > "$1.block"
sha256sum < "$1.copy" &
{ while [ ! -e "$1.stop" ]; do cat "$1.block"; sleep 0.01; done; head -c 77 /dev/urandom; } |
  tee "$1.copy" | socat -u - "$2"
wait
`;

/** Of the sender's files. */
function stem(port: number): string {
  return `/run/bulk-${port}`;
}

async function sum(process: Process): Promise<string> {
  return (await process.line(/^[0-9a-f]{64}/, DEADLINE)).slice(0, 64);
}
