/**
 * The command line: a table of verbs. No verb (no word, or a first word that starts with a dash) runs the daemon, so that
 * this is a drop-in flanneld.
 */
import { Failure, LeaseLost } from "./src/model/errors.ts";
import { readFile } from "./src/cli/config_file.ts";
import { usage } from "./src/cli/help.ts";
import type { DaemonOptions } from "./src/cli/options.ts";
import { CommandLineError } from "./src/cli/parse_args.ts";
import { readOptions, wantsUpstreamExitCodes } from "./src/cli/read_options.ts";
import { type VerbIo, verbNamed, type VerbTable } from "./src/cli/verb.ts";
import { version } from "./src/cli/version.ts";

const verbs: VerbTable = {
  config: {
    summary: "explain, check, print or write the network configuration",
    load: () => import("./src/cli/config/config.ts"),
  },
  demo: {
    summary: "hosts, containers and an overlay network on this machine",
    load: () => import("./src/cli/demo/demo.ts"),
  },
  "docker-opts": {
    summary: "write dockerd's options from the subnet file",
    load: () => import("./src/cli/docker_opts.ts"),
  },
  migrate: {
    summary: "copy the network from etcd's v2 API to v3, or back",
    load: () => import("./src/cli/migrate.ts"),
  },
  version: { summary: "print the version", load: () => import("./src/cli/version.ts") },
  help: {
    summary: "print this text",
    load: () => Promise.resolve({ run: (io) => (io.out(usage("flanneld", verbs)), 0) }),
  },
};

const io: VerbIo = {
  args: Deno.args.slice(1),
  environment: Deno.env.toObject(),
  out: (text) => write(Deno.stdout, text),
  err: (text) => write(Deno.stderr, text),
};

function write(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
}

async function main(first: string | undefined): Promise<number> {
  if (first === undefined || first === "" || first.startsWith("-")) return await daemon();
  const verb = await verbNamed(first, verbs).load();
  return await verb.run(io);
}

async function daemon(): Promise<number> {
  const request = readOptions({ args: Deno.args, environment: io.environment, readFile });
  if (request.kind === "run") return await runDaemon(request.options);
  if (request.kind === "help") io.out(usage("flanneld", verbs));
  else io.err(`${version}\n`);
  return 0;
}

async function runDaemon(options: DaemonOptions): Promise<number> {
  const module = await import("./src/cli/daemon.ts");
  return await module.runDaemon(options);
}

/** A user's mistake is its message alone; anything else is ours, and comes with the place. */
function report(error: unknown): number {
  if (!(error instanceof Failure)) {
    io.err(`internal error: ${error instanceof Error ? error.stack : error}\n`);
    return 1;
  }
  io.err(`${error.message}\n`);
  if (!wantsUpstreamExitCodes({ args: Deno.args, environment: io.environment })) return error.exitCode;
  return error instanceof CommandLineError || error instanceof LeaseLost ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args[0]).catch(report));
