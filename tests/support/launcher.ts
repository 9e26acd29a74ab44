/**
 * Binaries of the launcher kind with a small program in Deno's place (native/launcher/test/program.c), for tests of the launcher
 * itself: made in milliseconds, and they tell how they were started. The launcher runs under AddressSanitizer and
 * UndefinedBehaviorSanitizer.
 */
import { type Pack, type PackFile, writePack } from "../../tasks/compile_pack.ts";
import { output, run } from "./process.ts";

const native = new URL("../../native/launcher", import.meta.url).pathname;

const SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all";

/** What the program said of its start. */
export interface Started {
  readonly code: number;
  readonly stderr: string;
  /** The values of the lines that begin with this word. */
  readonly all: (word: string) => string[];
}

interface Parts {
  readonly launcher: Uint8Array;
  readonly program: Uint8Array;
}

/** Built once for all tests of a process. */
const built = new Map<string, Promise<Parts>>();

interface BuildOptions {
  readonly compiler: string;
  /** Without the sanitizers, which can't be linked statically. */
  readonly static: boolean;
}

async function build(options: BuildOptions): Promise<Parts> {
  const scratch = await Deno.makeTempDir({ prefix: "denim-launcher-" });
  const [launcher, program] = [`${scratch}/launcher`, `${scratch}/program`];
  const sanitizers = options.static ? [] : [`CFLAGS=-O1 -g ${SANITIZERS}`, "LINK="];
  const variables = [`BUILD=${scratch}`, `CC=${options.compiler}`, ...sanitizers];
  try {
    await run(["make", "--silent", "--no-print-directory", "-C", native, ...variables]);
    await run([options.compiler, "-D_GNU_SOURCE", "-static", "-o", program, `${native}/test/program.c`]);
    return { launcher: Deno.readFileSync(launcher), program: Deno.readFileSync(program) };
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

export class LauncherBench implements Disposable {
  readonly directory: string = Deno.makeTempDirSync({ prefix: "denim-launcher-" });
  /** Where binaries extract to. */
  readonly base: string = `${this.directory}/base`;
  readonly program: Uint8Array;
  readonly #launcher: Uint8Array;

  private constructor(launcher: Uint8Array, program: Uint8Array) {
    this.#launcher = launcher;
    this.program = program;
  }

  static async create(options: BuildOptions = { compiler: "cc", static: false }): Promise<LauncherBench> {
    const key = JSON.stringify(options);
    if (!built.has(key)) built.set(key, build(options));
    const { launcher, program } = await built.get(key)!;
    return new LauncherBench(launcher, program);
  }

  /** Writes a binary. @returns its path */
  binary(name = "flanneld", options: Partial<Pack> & { readonly program?: Uint8Array } = {}): string {
    const text = new TextEncoder().encode("// the modules\n".repeat(1000));
    const files: PackFile[] = [
      { name: "flanneld", mode: 0o500, bytes: options.program ?? this.program },
      { name: "main.js", mode: 0o400, bytes: text },
    ];
    const pack = { version: "v1.0.0", needs: "glibc 2.27 or later", files, ...options };
    const path = `${this.directory}/${name}`;
    writePack(path, this.#launcher, pack);
    return path;
  }

  /** Runs a command that starts a binary, with DENIM_EXTRACT_DIR unless the environment is given. */
  async start(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<Started> {
    const ended = await output(command, {
      env: env ?? { DENIM_EXTRACT_DIR: this.base, PATH: Deno.env.get("PATH") ?? "" },
      clearEnv: true,
    });
    const lines = ended.stdout.split("\n");
    const all = (word: string) =>
      lines.filter((line) => line.startsWith(word + " ")).map((line) => line.slice(word.length + 1));
    return { code: ended.code, stderr: ended.stderr, all };
  }

  /** Directories below the base: one for each build. */
  extractions(): string[] {
    Deno.mkdirSync(this.base, { recursive: true });
    return [...Deno.readDirSync(this.base)].filter((entry) => entry.isDirectory).map(({ name }) => name)
      .sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}
