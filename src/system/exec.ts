/**
 * Running other programs: the firewall tools and the user's hooks.
 *
 * - No shell in between; a caller that wants one says so (`run("sh", ["-c", command])`).
 * - Whatever the program writes is collected as text. It has a default time limit, so that a hanging tool can't stop the
 *   caller for ever: SIGTERM first, SIGKILL a second later, and then its pipes are given up even where a grandchild holds them.
 * - A non-zero exit is a result, not an exception. What throws is a program that can't be started, a limit or an abort.
 */
import { Failure } from "../model/errors.ts";
import { osErrorText } from "./os_error.ts";

export interface RunOptions {
  /** Written to standard input, which is then closed; without it the input is empty. */
  readonly stdin?: string;
  /** Added to the daemon's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Milliseconds; 60 000 unless told. */
  readonly timeout?: number;
}

export interface RunResult {
  /** 128 + the signal's number where a signal ended it, as in a shell. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Run = (command: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>;

/** The program is not installed, or not on PATH. */
export class MissingProgram extends Failure {
  override readonly name = "MissingProgram";
}

/** Milliseconds between the polite signal and the other one. */
const grace = 1_000;

/**
 * Runs a program to its end.
 *
 * @throws MissingProgram where there is none; Failure where it can't be started or exceeds its time; the signal's reason
 * on abort
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const child = spawn(command, args, options);
  const limit = new Limit(child, command, options);
  const [status, stdout, stderr] = await Promise.all([
    child.status,
    collect(child.stdout, limit.end.signal),
    collect(child.stderr, limit.end.signal),
    feed(child.stdin, options.stdin ?? ""),
  ]).finally(() => limit[Symbol.dispose]());
  if (limit.reason !== undefined) throw limit.reason;
  return { code: status.code, stdout, stderr };
}

function spawn(command: string, args: readonly string[], options: RunOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(command, {
      args: [...args],
      env: { ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (thrown) {
    throw unstartable(command, thrown);
  }
}

/** Ends the child when its time is over or the caller aborts, and keeps the reason. */
class Limit implements Disposable {
  reason: unknown;
  /** Aborted when its pipes are not to be waited for any longer. */
  readonly end = new AbortController();
  readonly #child: Deno.ChildProcess;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #timer: ReturnType<typeof setTimeout>;

  constructor(child: Deno.ChildProcess, command: string, options: RunOptions) {
    const timeout = options.timeout ?? 60_000;
    this.#child = child;
    this.#signal = options.signal;
    this.#onAbort = () => this.#stop(options.signal?.reason);
    this.#timer = setTimeout(() => this.#stop(tooSlow(command, timeout)), timeout);
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  #stop(reason: unknown): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.#kill("SIGTERM");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#kill("SIGKILL");
      this.end.abort();
    }, grace);
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It is gone already: what we wanted.
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** Everything that comes out of a pipe until its end, or until `end` says not to wait any longer. */
async function collect(pipe: ReadableStream<Uint8Array>, end: AbortSignal): Promise<string> {
  const reader = pipe.getReader();
  const giveUp = () => void reader.cancel().catch(() => {});
  if (end.aborted) giveUp();
  end.addEventListener("abort", giveUp, { once: true });
  const decoder = new TextDecoder();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
  }
  end.removeEventListener("abort", giveUp);
  return text + decoder.decode();
}

/** A program that ends without reading its input is no failure of ours: its exit code tells. */
async function feed(pipe: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = pipe.getWriter();
  try {
    if (text !== "") await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    await writer.abort().catch(() => {});
  }
}

/** What each program is needed for, and where Debian has it. */
const programs: readonly { readonly name: RegExp; readonly purpose: string; readonly from: string }[] = [
  { name: /^ip6?tables(-|$)/, purpose: "masquerading and forward rules", from: "iptables" },
  { name: /^nft$/, purpose: "masquerading and forward rules in nftables mode", from: "nftables" },
  { name: /^charon$/, purpose: "the ipsec backend", from: "strongswan-charon" },
  { name: /^ethtool$/, purpose: "checksum offload settings", from: "ethtool" },
  { name: /^(ba|da)?sh$/, purpose: "the hooks of the extension backend", from: "dash" },
  { name: /^(nsenter|unshare|setpriv)$/, purpose: "the demo's namespaces", from: "util-linux" },
  { name: /^mount$/, purpose: "the demo's namespaces", from: "mount" },
  { name: /^ip$/, purpose: "the demo's hosts", from: "iproute2" },
  { name: /^ping$/, purpose: "the demo's traffic", from: "iputils-ping" },
  { name: /^iperf3$/, purpose: "the demo's traffic", from: "iperf3" },
];

/** Starts a program that runs on. @throws Failure where it can't be started */
export function startProgram(program: string, options: Deno.CommandOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(program, options).spawn();
  } catch (thrown) {
    throw unstartable(program, thrown);
  }
}

/** Why a program does not start. */
export function unstartable(command: string, thrown: unknown): Failure {
  const name = command.slice(command.lastIndexOf("/") + 1);
  const known = programs.find((program) => program.name.test(name));
  const needed = known === undefined ? "" : ` (needed for ${known.purpose})`;
  if (!(thrown instanceof Deno.errors.NotFound)) {
    return new Failure(
      `run "${command}"${needed}: ${osErrorText(thrown)}; check the file and its permissions`,
    );
  }
  const remedy = known === undefined ? "check PATH" : `install Debian's package ${known.from}, or check PATH`;
  return new MissingProgram(`run "${command}"${needed}: not found; ${remedy}`);
}

function tooSlow(command: string, timeout: number): Failure {
  return new Failure(
    `run "${command}": no end after ${timeout / 1000} s, stopped; see whether another program holds it up`,
  );
}
