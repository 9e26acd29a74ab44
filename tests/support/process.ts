/**
 * Commands and long-lived processes of the tests.
 *
 * - `run` and `output` are for commands that end by themselves; they never outlive their deadline.
 * - `Process` is for servers: every line it prints is kept, can be waited for, and is shown when a test fails.
 * - Waiting is always for a condition with a deadline, never for a time to pass. Signals go to the process's own pid.
 */

/** How often `poll` looks, in milliseconds. */
const POLL_INTERVAL = 25;
/** The longest that a command of a test may take, in milliseconds. */
const COMMAND_DEADLINE = 60_000;
/** How much of a process's output is shown after a failure, in lines. */
const TAIL = 40;

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Start from an empty environment instead of the test's own. */
  readonly clearEnv?: boolean;
  /** Text for standard input; none gives an empty input. */
  readonly input?: string;
  /** Milliseconds, one minute unless told. */
  readonly deadline?: number;
}

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export async function output(command: readonly string[], options: CommandOptions = {}): Promise<Output> {
  const child = spawn(command, options, "piped");
  const deadline = setTimeout(() => kill(child, "SIGKILL"), options.deadline ?? COMMAND_DEADLINE);
  try {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.input ?? "")).catch(() => {});
    await writer.close().catch(() => {});
    const ended = await child.output();
    return { code: ended.code, stdout: decode(ended.stdout), stderr: decode(ended.stderr) };
  } finally {
    clearTimeout(deadline);
  }
}

/**
 * Runs a command that must succeed and returns its standard output.
 *
 * @throws Error with the command and what it printed
 */
export async function run(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const ended = await output(command, options);
  if (ended.code === 0) return ended.stdout;
  throw new Error(`run ${quote(command)}: exit code ${ended.code}\n${ended.stdout}${ended.stderr}`);
}

/**
 * Asks `probe` until it gives something other than false, null or undefined, and returns that.
 *
 * @param what the condition in words, for the failure
 * @throws Error after `ms` milliseconds
 */
export async function poll<T>(
  what: string,
  ms: number,
  probe: () => T | Promise<T>,
): Promise<Exclude<T, false | null | undefined>> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await probe();
    if (found !== false && found !== null && found !== undefined) {
      return found as Exclude<T, false | null | undefined>;
    }
    if (performance.now() > end) throw new Error(`wait for ${what}: not seen within ${ms} ms`);
    await pause(POLL_INTERVAL);
  }
}

/** A server started by a test. */
export class Process implements AsyncDisposable {
  readonly pid: number;
  /** Standard output and standard error, in the order in which they came. */
  readonly lines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #drained: Promise<unknown>;
  /** What each stream has printed of a line that is not complete yet. */
  readonly #partial: [string, string] = ["", ""];
  #ended: Deno.CommandStatus | null = null;

  constructor(readonly name: string, command: readonly string[], options: CommandOptions = {}) {
    this.#child = spawn(command, options, "null");
    this.pid = this.#child.pid;
    this.#drained = Promise.all([this.#collect(this.#child.stdout, 0), this.#collect(this.#child.stderr, 1)]);
    this.#child.status.then((status) => this.#ended = status);
  }

  get running(): boolean {
    return this.#ended === null;
  }

  /** All that was printed, incomplete lines at the end included. */
  get text(): string {
    return [...this.lines, ...this.#partial].join("\n");
  }

  /**
   * The first line from number `from` on that matches.
   *
   * @throws Error when the process ends first, or after `ms` milliseconds
   */
  async line(pattern: RegExp, ms = 20_000, from = 0): Promise<string> {
    return await poll(`${pattern} from ${this.name}`, ms, async () => {
      const found = this.#find(pattern, from);
      if (found !== undefined || this.running) return found;
      await this.#drained;
      const last = this.#find(pattern, from);
      if (last === undefined) throw new Error(`wait for ${pattern}: ${this.name} ended first`);
      return last;
    });
  }

  signal(signal: Deno.Signal): void {
    kill(this.#child, signal);
  }

  /** The exit code, once the process has ended and all who hold its output have closed it; 128 + n after signal n. */
  async ended(ms = 20_000): Promise<number> {
    await poll(`the end of ${this.name}`, ms, () => !this.running);
    await this.#drained;
    return this.#ended!.code;
  }

  /** Sends a signal and waits for the end; returns the exit code. */
  async stop(signal: Deno.Signal = "SIGTERM", ms = 20_000): Promise<number> {
    this.signal(signal);
    return await this.ended(ms);
  }

  /** The last lines, under the process's name. */
  tail(): string {
    const state = this.#ended === null ? "running" : `ended with ${this.#ended.code}`;
    return [`--- ${this.name} (${state})`, ...this.lines.slice(-TAIL)].join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.#child.status;
  }

  #find(pattern: RegExp, from: number): string | undefined {
    return this.lines.slice(from).find((line) => pattern.test(line));
  }

  async #collect(stream: ReadableStream<Uint8Array>, which: 0 | 1): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const parts = (this.#partial[which] + decoder.decode(bytes, { stream: true })).split("\n");
      this.#partial[which] = parts.pop()!;
      this.lines.push(...parts);
    }
    if (this.#partial[which] !== "") this.lines.push(this.#partial[which]);
    this.#partial[which] = "";
  }
}

/** A command as one would type it. */
export function quote(command: readonly string[]): string {
  return command.map((word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
    .join(" ");
}

/** Prints a line of a test's own: figures that were measured, what a failure left behind. */
export function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text + "\n"));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function spawn(
  command: readonly string[],
  options: CommandOptions,
  stdin: "piped" | "null",
): Deno.ChildProcess {
  const [program, ...args] = command;
  return new Deno.Command(program!, {
    args,
    stdin,
    stdout: "piped",
    stderr: "piped",
    env: { ...options.env },
    clearEnv: options.clearEnv ?? false,
  }).spawn();
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // Deno says so where the process has ended already.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
