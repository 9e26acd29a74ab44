/**
 * dockerd's options from subnet.env: the text that `dist/mk-docker-opts.sh` writes, byte for byte, for the verb `docker-opts`.
 * Pure. Of the variables only `FLANNEL_SUBNET`, `FLANNEL_MTU` and `FLANNEL_IPMASQ` count.
 */
import { Failure, UsageError } from "../model/errors.ts";

export interface DockerOptionsChoice {
  /** One variable for each option. */
  readonly individual: boolean;
  /** One variable with all of them. */
  readonly combined: boolean;
  /** Name of the combined variable. */
  readonly key: string;
  /** False leaves `--ip-masq` out. */
  readonly ipMasq: boolean;
  /** What the combined variable holds already; it comes first. */
  readonly before?: string;
}

export const dockerOptionsDefault: DockerOptionsChoice = {
  individual: true,
  combined: true,
  key: "DOCKER_OPTS",
  ipMasq: true,
};

/**
 * The lines for dockerd's environment file.
 *
 * @param env the variables of subnet.env
 * @throws Failure where a variable holds something else than flanneld writes; UsageError for a key that is no name
 */
export function dockerOptions(
  env: ReadonlyMap<string, string>,
  choice: DockerOptionsChoice = dockerOptionsDefault,
): string {
  if (!/^[A-Za-z_]\w*$/.test(choice.key)) {
    throw new UsageError(`docker-opts -k "${choice.key}": not a variable name; use letters, digits and _`);
  }
  const options = [
    ...plainOption(env, "BIP", "bip", "FLANNEL_SUBNET"),
    ...(choice.ipMasq ? masqueradeOption(env) : []),
    ...plainOption(env, "MTU", "mtu", "FLANNEL_MTU"),
  ];
  const single = options.map(([name, option]) => `DOCKER_OPT_${name}="${option}"\n`);
  const before = choice.before ? `${choice.before} ` : "";
  const all = `${choice.key}="${before}${options.map(([, option]) => ` ${option}`).join("")}"\n`;
  return (choice.individual ? single.join("") : "") + (choice.combined ? all : "");
}

function plainOption(
  env: ReadonlyMap<string, string>,
  name: string,
  option: string,
  variable: string,
): [string, string][] {
  const value = env.get(variable) ?? "";
  if (!/^[\w.:/]*$/.test(value)) throw invalid(variable, value);
  return value === "" ? [] : [[name, `--${option}=${value}`]];
}

/** Of flannel and docker exactly one masquerades. */
function masqueradeOption(env: ReadonlyMap<string, string>): [string, string][] {
  const value = env.get("FLANNEL_IPMASQ") ?? "";
  if (value === "") return [];
  if (value !== "true" && value !== "false") throw invalid("FLANNEL_IPMASQ", value);
  return [["IPMASQ", `--ip-masq=${value === "false"}`]];
}

/** In the words that users of the script know. */
function invalid(variable: string, value: string): Failure {
  return new Failure(`Invalid value of ${variable}: ${value}`);
}
