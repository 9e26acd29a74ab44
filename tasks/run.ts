/** Running other programs from the project's tasks. */
import { dirname } from "node:path";

/** The top of the project: every task works from here, wherever it was called. */
export const top: string = dirname(import.meta.dirname!);

/** Writes one line for people. */
export function say(line: string): void {
  // deno-lint-ignore no-console
  console.log(line);
}

/** `deno` for a child: the very one that runs this task. */
export const deno: string = Deno.execPath();

export interface Result {
  readonly code: number;
  readonly output: string;
}

/** Where a program runs, unless at the top, and variables that are added, or with `clearEnv` are all there is. */
export interface CaptureOptions {
  readonly cwd?: string;
  readonly clearEnv?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

const stopping = new AbortController();

/**
 * From now on SIGINT, SIGTERM and SIGHUP end the children of `capture`, and it starts no more of them: the task unwinds, and takes
 * away what it has made. @returns aborted then, with an Error that names the signal
 */
export function unwindOnSignals(): AbortSignal {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, () => stopping.abort(new Error(`stopped by ${name}`)));
  }
  return stopping.signal;
}

/** Whether a signal has come since then. */
export function isStopping(): boolean {
  return stopping.signal.aborted;
}

/** Takes a directory away, also under the hands of a stopped compiler's last children, which still write to it. */
export function removeTree(directory: string): void {
  for (let tries = 0; tries < 10; tries++) {
    try {
      return Deno.removeSync(directory, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
    }
  }
}

/** Runs a program to its end and keeps what it printed. Code 127 where there is no such program. */
export async function capture(command: readonly string[], options: CaptureOptions = {}): Promise<Result> {
  stopping.signal.throwIfAborted();
  const [program = "", ...args] = command;
  try {
    const { signal } = stopping;
    const ended = await new Deno.Command(program, { args, cwd: top, ...options, stdin: "null", signal })
      .output();
    signal.throwIfAborted();
    const decoder = new TextDecoder();
    return { code: ended.code, output: decoder.decode(ended.stdout) + decoder.decode(ended.stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { code: 127, output: `${program}: not found\n` };
  }
}

/**
 * Runs a program with our own output.
 *
 * @param deadline milliseconds after which it is interrupted (a test process then names what it was at), and killed soon after
 * @returns the exit code, or null where the deadline ended it
 */
export async function inherit(command: readonly string[], deadline: number): Promise<number | null> {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, { args, cwd: top, stdin: "null" }).spawn();
  let late = false;
  const interrupt = setTimeout(() => {
    late = true;
    child.kill("SIGINT");
  }, deadline);
  const kill = setTimeout(() => child.kill("SIGKILL"), deadline + 10_000);
  const { code } = await child.status;
  clearTimeout(interrupt);
  clearTimeout(kill);
  return late ? null : code;
}

/** The files of the project, relative to its top: what git knows, or everything where this is no checkout. */
export async function projectFiles(): Promise<string[]> {
  const listed = await capture(["git", "ls-files", "--cached", "--others", "--exclude-standard"]);
  const names = listed.code === 0 ? listed.output.split("\n").filter((name) => name !== "") : walk("");
  return [...new Set(names)].filter(exists).sort();
}

function walk(directory: string): string[] {
  const entries = [...Deno.readDirSync(`${top}/${directory}`)];
  return entries.filter((entry) => !/^(\.git|build|node_modules)$/.test(entry.name)).flatMap((entry) => {
    const path = directory + entry.name;
    return entry.isDirectory ? walk(path + "/") : [path];
  });
}

/** False for what git still lists but is gone, and for directories. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(`${top}/${path}`).isFile;
  } catch {
    return false;
  }
}
