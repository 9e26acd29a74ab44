/** Flags of old releases that flannel itself no longer has: what to tell those who still give them. */

export interface RemovedFlag {
  /** What replaces it, as the end of a sentence. */
  readonly instead: string;
  /** True where ignoring it does no harm: a warning. False where the daemon would do something else than was asked for. */
  readonly harmless: boolean;
  /** A switch never takes the next word. */
  readonly takesValue: boolean;
}

const logging = "the log goes to stderr; redirect it, or read it in the journal";
const clientServer = "the client and server mode is gone; give every host the store itself, -etcd-endpoints";

/** One row for several names. */
function rows(
  names: string,
  instead: string,
  harmless: boolean,
  takesValue: boolean,
): [string, RemovedFlag][] {
  return names.split(" ").map((name) => [name, { instead, harmless, takesValue }]);
}

export const removedFlags: ReadonlyMap<string, RemovedFlag> = new Map([
  ...rows("logtostderr alsologtostderr", logging, true, false),
  ...rows(
    "skip_headers skip_log_headers add_dir_header one_output",
    "-log-format sets the form",
    true,
    false,
  ),
  ...rows("stderrthreshold log_dir log_file log_file_max_size", logging, true, true),
  ...rows(
    "networks",
    "run one daemon per network, each with its own -etcd-prefix and -subnet-file",
    false,
    true,
  ),
  ...rows("subnet-dir", "run one daemon per network, each with its own -subnet-file", false, true),
  ...rows("listen remote remote-keyfile remote-certfile remote-cafile", clientServer, false, true),
]);
