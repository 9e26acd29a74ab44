/**
 * The traffic that runs through a fault scenario: a ping every 10 ms from one container to another, and one long TCP
 * connection. What became of it is printed; where nothing has touched the data path, nothing may be missing.
 */
import { assertEquals } from "@std/assert";
import { type ConnectionReport, LongConnection } from "./long_connection.ts";
import { containerOn } from "./overlay.ts";
import { say } from "./process.ts";
import type { Host, PlainContainer, Topology } from "./topology.ts";
import { type ContinuousPing, type PingReport, reachable, startPing } from "./traffic.ts";

/** Milliseconds between two echo requests. */
const INTERVAL = 10;

export interface TrafficReport {
  readonly ping: PingReport;
  readonly connection: ConnectionReport;
}

export class SteadyTraffic {
  private constructor(
    readonly from: PlainContainer,
    readonly to: PlainContainer,
    readonly ping: ContinuousPing,
    readonly connection: LongConnection,
  ) {}

  /** A new container on each of the two hosts, and traffic from the first to the second. */
  static async start(net: Topology, a: Host, b: Host): Promise<SteadyTraffic> {
    const [from, to] = [await containerOn(net, a), await containerOn(net, b)];
    await reachable(from, to.address);
    const connection = await LongConnection.open(from, to);
    const ping = startPing(from, to.address, INTERVAL);
    await ping.answers(10);
    return new SteadyTraffic(from, to, ping, connection);
  }

  /** Waits for answers and lines that come in from now on. */
  async flows(): Promise<void> {
    await Promise.all([this.ping.answers(20), this.connection.lines(3)]);
  }

  /** Does something to the network; the longest time without an answer meanwhile, in milliseconds. */
  async gapDuring(body: () => Promise<void>): Promise<number> {
    const ping = startPing(this.from, this.to.address, INTERVAL);
    await ping.answers(5);
    await body();
    await ping.answers(5);
    return (await ping.stop()).gap;
  }

  async stop(): Promise<TrafficReport> {
    const [ping, connection] = await Promise.all([this.ping.stop(), this.connection.close()]);
    return { ping, connection };
  }

  /** Ends the traffic of a scenario in which the data path was never cut: everything must have arrived. */
  async stopWhole(what: string): Promise<void> {
    await this.flows();
    const report = await this.stop();
    say(`${what}: ${describe(report)}`);
    assertEquals(report.ping.lost, [], `${what}: pings were lost`);
    assertConnected(what, report);
  }

  /** Ends the traffic of a scenario in which the data path was cut: the connection must have got over it. */
  async stopRepaired(what: string): Promise<void> {
    await this.flows();
    const report = await this.stop();
    say(`${what}: ${describe(report)}; ${report.ping.gap} ms without an answer at most`);
    assertConnected(what, report);
  }
}

function describe({ ping, connection }: TrafficReport): string {
  const lines = connection.broken ?? `${connection.received} of ${connection.sent} lines`;
  return `${ping.received} of ${ping.sent} pings answered, ${lines} over one connection`;
}

function assertConnected(what: string, { connection }: TrafficReport): void {
  assertEquals(connection.broken, null, `${what}: the connection broke`);
  assertEquals(connection.received, connection.sent, `${what}: lines are missing`);
}
