/**
 * Flows of one packet each, as a program and as a process of a test: `serve ADDRESS PORT` answers every datagram, `send
 * ADDRESS PORT` starts a new flow every few milliseconds, each from a port of its own, so that the firewall decides anew for
 * every one. Towards the world outside an answer means that the flow was masqueraded; one that has none after a while was not.
 */
import { createSocket } from "node:dgram";
import type { Place } from "./netns.ts";
import { poll, type Process } from "./process.ts";

/** Milliseconds between two flows, and until one counts as lost. */
const INTERVAL = 4;
const PATIENCE = 2_000;

export interface FlowReport {
  readonly sent: number;
  readonly answered: number;
}

/** Flows that go on until they are stopped. */
export class Flows {
  constructor(readonly process: Process) {}

  /** Waits until `count` more were answered. */
  async answers(count: number): Promise<void> {
    const goal = this.#answered() + count;
    await poll(`${count} more flows to be answered`, 20_000, () => this.#answered() >= goal);
  }

  async stop(): Promise<FlowReport> {
    await this.process.stop("SIGTERM");
    return JSON.parse(this.process.lines.at(-1)!);
  }

  #answered(): number {
    return Number(this.process.lines.at(-1) ?? 0);
  }
}

/** Starts flows from a place to a server that is started in another. */
export async function startFlows(from: Place, server: Place, address: string, port = 7007): Promise<Flows> {
  const program = [Deno.execPath(), "run", "-A", new URL(import.meta.url).pathname];
  await server.start("answer flows", [...program, "serve", address, String(port)]).line(/ready/);
  return new Flows(from.start("flows", [...program, "send", address, String(port)]));
}

function say(line: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function serve(address: string, port: number): void {
  const socket = createSocket("udp4");
  // There is no way back to one that was not masqueraded: that is the point.
  socket.on("message", (message, { port, address }) => socket.send(message, port, address, () => {}));
  socket.bind(port, address, () => say("ready"));
}

function send(address: string, port: number): void {
  let [sent, answered] = [0, 0];
  const waiting = new Set<number>();
  const flow = () => {
    const socket = createSocket("udp4");
    const id = sent++;
    waiting.add(id);
    const end = () => waiting.delete(id) && socket.close();
    socket.on("message", () => {
      if (end() && ++answered % 10 === 0) say(answered);
    });
    setTimeout(end, PATIENCE);
    socket.send("flow", port, address);
  };
  const timer = setInterval(flow, INTERVAL);
  Deno.addSignalListener("SIGTERM", async () => {
    clearInterval(timer);
    await poll("the last answers", 2 * PATIENCE, () => waiting.size === 0);
    say(JSON.stringify({ sent, answered }));
    Deno.exit(0);
  });
}

if (import.meta.main) {
  const [what, address, port] = Deno.args as [string, string, string];
  (what === "serve" ? serve : send)(address, Number(port));
}
