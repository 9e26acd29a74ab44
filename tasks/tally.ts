/** Counting results: from deno's JUnit report, from the C tests' lines, and summed up for the closing line. Pure. */

export interface Skipped {
  readonly file: string;
  readonly name: string;
  /** Tests say it at the end of their name: `a node reboots [needs qemu]`. */
  readonly reason: string;
}

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly Skipped[];
  /** Names of what failed, for the summary. */
  readonly failures: readonly string[];
}

export const nothing: Tally = { passed: 0, failed: 0, skipped: [], failures: [] };

export function add(a: Tally, b: Tally): Tally {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: [...a.skipped, ...b.skipped],
    failures: [...a.failures, ...b.failures],
  };
}

/** One failure that no report knows of: a module that does not load, a process that was killed. */
export function oneFailure(what: string): Tally {
  return { ...nothing, failed: 1, failures: [what] };
}

/**
 * Every test case of a JUnit report; steps count like tests.
 *
 * @param module the file that was run, where it was one: the report names the file that called `Deno.test`, maybe a helper
 */
export function readJunit(xml: string, module?: string): Tally {
  let tally = nothing;
  for (
    const [, attributes = "", body = ""] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)
  ) {
    const file = module ?? attribute(attributes, "classname").replace(/^\.\//, "");
    tally = add(tally, readCase(file, attribute(attributes, "name"), body));
  }
  return tally;
}

function readCase(file: string, name: string, body: string): Tally {
  if (/<skipped\b/.test(body)) return { ...nothing, skipped: [{ file, name, reason: reasonIn(name) }] };
  if (/<(failure|error)\b/.test(body)) return oneFailure(`${file}: ${name}`);
  return { ...nothing, passed: 1 };
}

function reasonIn(name: string): string {
  return /\[([^\]]+)\]\s*$/.exec(name)?.[1] ?? "no reason given";
}

function attribute(attributes: string, name: string): string {
  const text = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity) => entities[entity]!);
}

/** The lines `ok NAME` and `not ok NAME` of `make test`; its exit code counts where there are none. */
export function readLines(output: string, code: number): Tally {
  if (/Nothing to be done for/.test(output)) return oneFailure("native: make test has nothing to run");
  const passed = output.match(/^ok\b/gm)?.length ?? 0;
  const failures = [...output.matchAll(/^not ok\b\s*(.*)$/gm)].map((match) => `native: ${match[1]}`);
  const unexplained = code !== 0 && failures.length === 0 ? 1 : 0;
  if (unexplained > 0) failures.push(`native: make test ended with code ${code}`);
  const whole = passed === 0 && failures.length === 0 ? 1 : 0;
  return { passed: passed + whole, failed: failures.length, skipped: [], failures };
}

/** `3 passed, 0 failed`, and the skipped where there are any. */
export function closingLine(tally: Tally): string {
  const skipped = tally.skipped.length === 0 ? "" : `, ${tally.skipped.length} skipped`;
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}
