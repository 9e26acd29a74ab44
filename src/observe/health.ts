/**
 * What the health endpoints say. Pure; the server is `http.ts`.
 *
 * `/healthz`: the process runs and its loop turns; nothing else can be wrong with it that a restart would mend. `/readyz`:
 * containers of this host reach the others, as far as we know; it goes back to not ready when that ends. The first line of a
 * body is upstream's, what follows says why.
 */
import { shorten } from "../model/shown.ts";
import type { HttpAnswer } from "./http_request.ts";
import { visible } from "./visible.ts";

/** Lines of each kind in an answer, and characters of a line. */
const MOST = 100;
const LONGEST = 1000;

/** Whether the host is ready, as the control loop judges it. */
export interface HealthReport {
  readonly ready: boolean;
  /** Why it is not; empty where it is. */
  readonly reasons: readonly string[];
  /** What is worth knowing in either case: an outage of the store, refused peers. */
  readonly notes: readonly string[];
}

/** The endpoints by path; `report` is asked at every request. */
export function healthRoutes(report: () => HealthReport): ReadonlyMap<string, () => HttpAnswer> {
  return new Map([
    ["/healthz", () => ({ status: 200, body: "flanneld is running" })],
    ["/readyz", () => readiness(report())],
  ]);
}

function readiness({ ready, reasons, notes }: HealthReport): HttpAnswer {
  const first = ready ? "flanneld is ready" : "flanneld is not ready yet";
  const more = [...upTo(reasons, "reasons"), ...upTo(notes, "notes").map((note) => `note: ${note}`)]
    .map((line) => visible(line.replace(/\s+/g, " ")));
  return { status: ready ? 200 : 503, body: [first, ...more].join("\n") };
}

/** A store full of nonsense must not make every probe's answer as large. */
function upTo(lines: readonly string[], what: string): string[] {
  const shown = lines.slice(0, MOST).map((line) => shorten(line, LONGEST));
  return lines.length > MOST ? [...shown, `and ${lines.length - MOST} more ${what}`] : shown;
}
