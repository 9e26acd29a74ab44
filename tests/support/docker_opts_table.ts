/** The table of what mk-docker-opts.sh writes, tests/golden/docker_opts.txt, for the script, the verb and upstream's scripts. */

export interface DockerOptsRun {
  /** File and options, for messages. */
  readonly name: string;
  readonly options: readonly string[];
  readonly subnetFile: string;
  /** The whole output; null where the call has to fail and write nothing. */
  readonly output: string | null;
  /** All of stderr. */
  readonly errors: string;
}

/** What the environment of every run holds. */
export const dockerOptsEnvironment = { SET: "--debug -H fd://" };

export function dockerOptsTable(): DockerOptsRun[] {
  const text = Deno.readTextFileSync(new URL("../golden/docker_opts.txt", import.meta.url));
  const blocks = text.trimEnd().split("\n\n").map((block) => {
    const [head = "", ...lines] = block.split("\n");
    return { words: head.split(" "), body: lines.map((line) => `${line}\n`).join("") };
  });
  const files = new Map(blocks.filter(({ words }) => words[0] === "file").map((b) => [b.words[1], b.body]));
  return blocks.filter(({ words }) => words[0] === "run").map(({ words: [, file, ...options], body }) => {
    const failure = /^exit 1: (.*\n)$/.exec(body)?.[1];
    return {
      name: [file, ...options].join(" "),
      options,
      subnetFile: files.get(file)!,
      output: failure === undefined ? body : null,
      errors: failure ?? "",
    };
  });
}
