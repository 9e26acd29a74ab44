/**
 * `flanneld docker-opts`: dockerd's options from the subnet file, with the options and the output of mk-docker-opts.sh, for
 * hosts where the script is not at hand. `-d -` prints instead of writing.
 */
import { dockerOptions } from "../files/docker_opts.ts";
import { parseEnv } from "../files/env_text.ts";
import { Failure } from "../model/errors.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { osErrorText } from "../system/os_error.ts";
import type { VerbIo } from "./verb.ts";
import { refuseRest, type Table, takeFlags } from "./verb_flags.ts";

export const help = `Usage: flanneld docker-opts [OPTION]...
  -f FILE  read the subnet file FILE (default /run/flannel/subnet.env)
  -d FILE  write to FILE, - for standard output (default /run/docker_opts.env)
  -i       only the individual options, one variable each
  -c       only the combined option
  -k KEY   name of the combined variable (default DOCKER_OPTS)
  -m       leave --ip-masq out
`;

type Option = "f" | "d" | "i" | "c" | "m" | "k";
const options: Table<Option> = {
  f: "value",
  d: "value",
  i: "switch",
  c: "switch",
  m: "switch",
  k: "value",
};

/** @throws UsageError for an option that is not one, Failure where a file cannot be read or written */
export async function run({ args, environment, out }: VerbIo): Promise<number> {
  const { values, on, rest } = takeFlags("docker-opts", args.flatMap(apart), options);
  refuseRest("docker-opts", rest, options);
  const key = values.get("k") ?? "DOCKER_OPTS";
  const to = values.get("d") ?? "/run/docker_opts.env";
  const text = dockerOptions(parseEnv(await read(values.get("f") ?? "/run/flannel/subnet.env")), {
    individual: on.has("i") || !on.has("c"),
    combined: on.has("c") || !on.has("i"),
    key,
    ipMasq: !on.has("m"),
    before: environment[key] ?? "",
  });
  if (to === "-") out(text);
  else await writeFileAtomic(to, text, { what: "docker's options" });
  return 0;
}

/** The script's getopts also takes `-ic`, and `-fFILE`. */
function apart(word: string): string[] {
  const [, letter = "", more = ""] = /^-([fdicmk])([^=].*)$/s.exec(word) ?? [];
  if (letter === "") return [word];
  return options[letter as Option] === "value"
    ? [`-${letter}=${more}`]
    : [`-${letter}`, ...apart(`-${more}`)];
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
