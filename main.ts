/**
 * The command line: a table of verbs. No verb (no word, or a first word that starts with a dash) runs the daemon, so that
 * this is a drop-in flanneld.
 */
import { readFile } from "./src/cli/config_file.ts";
import { earlyLog, openLog, tellEnd, tellUncaught } from "./src/cli/early_log.ts";
import { usage } from "./src/cli/help.ts";
import { readOptions, wantsUpstreamExitCodes } from "./src/cli/read_options.ts";
import { asksHelp, helpOn, type VerbIo, verbNamed, type VerbTable } from "./src/cli/verb.ts";
import { version } from "./src/cli/version.ts";
import { visible } from "./src/observe/visible.ts";
import { writeStderr, writeStdout } from "./src/system/output.ts";

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
  version: {
    summary: "print the version and what it is made of",
    load: () => import("./src/cli/version_verb.ts"),
  },
  help: {
    summary: "print this text, or a command's: help COMMAND",
    load: () => Promise.resolve({ run: help, help: usage("flanneld", verbs) }),
  },
};

const io: VerbIo = {
  args: Deno.args.slice(1),
  environment: Deno.env.toObject(),
  occupied: async (config, subnetFile) => {
    const { occupiedHere } = await import("./src/cli/config/here.ts");
    return await occupiedHere(config, subnetFile);
  },
  out: writeStdout,
  err: writeStderr,
};

async function help({ args, out }: VerbIo): Promise<number> {
  out(args.length === 0 ? usage("flanneld", verbs) : await helpOn(args, verbs));
  return 0;
}

async function runVerb(name: string): Promise<number> {
  const verb = await verbNamed(name, verbs).load();
  if (!asksHelp(io.args)) return await verb.run(io);
  // `config help set` as `help config set`.
  const words = io.args[0] === "help" ? io.args.slice(1) : [];
  io.out(await helpOn([name, ...words], verbs));
  return 0;
}

async function runDaemon(): Promise<number> {
  const inputs = { args: Deno.args, environment: io.environment, readFile };
  let log = earlyLog(inputs);
  let upstream = wantsUpstreamExitCodes(inputs);
  try {
    const request = readOptions(inputs);
    if (request.kind === "help") io.out(usage("flanneld", verbs));
    if (request.kind === "version") io.err(`${version}\n`);
    if (request.kind !== "run") return 0;
    log = openLog(request.options, io.environment);
    upstream = request.options.upstreamExitCodes;
    tellUncaught(log);
    const daemon = await import("./src/cli/daemon.ts");
    return await daemon.runDaemon(request.options, log);
  } catch (error) {
    return tellEnd(error, log, upstream);
  }
}

/** A verb's messages are for people, and may have several lines. */
function tellPeople(error: unknown): number {
  const lines = (text: string) => io.err(text.split("\n").map(visible).join("\n") + "\n");
  const upstream = wantsUpstreamExitCodes({ args: Deno.args, environment: io.environment });
  return tellEnd(error, { error: lines }, upstream);
}

if (import.meta.main) {
  const [first = ""] = Deno.args;
  const daemon = first === "" || first.startsWith("-");
  Deno.exit(await (daemon ? runDaemon() : runVerb(first).catch(tellPeople)));
}
