/**
 * `flanneld docker-opts`: dockerd's options from the subnet file, with the options and the output of mk-docker-opts.sh, for
 * hosts where the script is not at hand. `-d -` prints instead of writing.
 */
import { parseArgs } from "@std/cli";
import { dockerOptions } from "../files/docker_opts.ts";
import { parseEnv } from "../files/env_text.ts";
import { Failure, UsageError } from "../model/errors.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { osErrorText } from "../system/os_error.ts";
import type { VerbIo } from "./verb.ts";

const help = `Usage: flanneld docker-opts [OPTION]...
  -f FILE  read the subnet file FILE (default /run/flannel/subnet.env)
  -d FILE  write to FILE, - for standard output (default /run/docker_opts.env)
  -i       only the individual options, one variable each
  -c       only the combined option
  -k KEY   name of the combined variable (default DOCKER_OPTS)
  -m       leave --ip-masq out
`;

/** @throws UsageError for an option that is not one, Failure where a file cannot be read or written */
export async function run({ args, environment, out }: VerbIo): Promise<number> {
  if (args.some((word) => word === "-h" || word === "--help")) {
    out(help);
    return 0;
  }
  const parsed = parseArgs([...args], {
    string: ["f", "d", "k"],
    boolean: ["i", "c", "m"],
    default: { f: "/run/flannel/subnet.env", d: "/run/docker_opts.env", k: "DOCKER_OPTS" },
    unknown: refuse,
  });
  const { f: from, d: to, k: key } = parsed as unknown as { f: string; d: string; k: string };
  const text = dockerOptions(parseEnv(await read(from)), {
    individual: parsed.i === true || parsed.c !== true,
    combined: parsed.c === true || parsed.i !== true,
    key,
    ipMasq: parsed.m !== true,
    before: environment[key] ?? "",
  });
  if (to === "-") out(text);
  else await writeFileAtomic(to, text, { what: "docker's options" });
  return 0;
}

async function read(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new Failure(
      `read the subnet file "${path}": ${osErrorText(error)}; is flanneld ready? -f names another file`,
    );
  }
}

function refuse(word: string): never {
  throw new UsageError(`docker-opts "${word}": no such option\n${help.trimEnd()}`);
}
