/**
 * How this machine reaches the registries, as files to lay over another root and as variables: apt's sources for the Debian that
 * is built, its proxies, the resolver, CA certificates, npm's registry. Nothing else of the machine goes along, no cache and no
 * package, and no registry that asks for a password.
 */
import { output } from "../support/process.ts";

/** The Debian that the project is made for. */
export const SUITE = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
const BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

/** Variables that say where certificates are; what they name goes along, at its own path. */
const CERTIFICATES = [
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "DENO_CERT",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
];
const PROXIES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"].flatMap((name) => [
  name,
  name.toUpperCase(),
]);
/** npm's own settings, as npm and Deno read them from the environment. */
const NPM = ["registry", "proxy", "https-proxy", "noproxy", "cafile", "strict-ssl"];

export interface Settings {
  /** Where packages come from: `http://deb.debian.org/debian`. */
  readonly mirror: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Writes the files below `directory`. */
export async function takeSettings(directory: string): Promise<Settings> {
  const sources = await debianSources();
  const environment = {
    ...variables([...CERTIFICATES, ...PROXIES, "DENO_TLS_CA_STORE"]),
    ...await npmVariables(),
  };
  const files: Record<string, string | null> = {
    "/etc/apt/sources.list": sources.map((source) => `deb ${source}\n`).join(""),
    "/etc/apt/apt.conf.d/90machine": await aptSettings(),
    "/etc/resolv.conf": await text("/etc/resolv.conf"),
    "/etc/hosts": await text("/etc/hosts"),
  };
  const named = [...CERTIFICATES, "NPM_CONFIG_CAFILE"].flatMap((name) => environment[name] ?? []);
  for (const path of [BUNDLE, ...named]) files[path] = await text(path);
  for (const [path, content] of Object.entries(files)) {
    if (content === null) continue;
    await Deno.mkdir((directory + path).replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(directory + path, content);
  }
  return { mirror: sources[0]!.split(" ")[0]!, environment };
}

/** `http://deb.debian.org/debian bookworm main`: this machine's for that Debian, and Debian's own where it has none. */
async function debianSources(): Promise<string[]> {
  const format = ["--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"];
  const lines = (await output(["apt-get", "indextargets", ...format])).stdout.split("\n");
  const ours = [...new Set(lines)].filter((line) =>
    new RegExp(` ${SUITE}(-updates|-security)? main$`).test(line)
  );
  const base = ours.filter((line) => line.endsWith(` ${SUITE} main`));
  return base.length === 0 ? [`${MIRROR} ${SUITE} main`] : [...new Set([base[0]!, ...ours])];
}

/** Proxies, and what apt is told not to check. */
async function aptSettings(): Promise<string> {
  const { stdout } = await output(["apt-config", "dump"]);
  return stdout.split("\n").filter((line) => /^Acquire::(https?|Check-|Retries)/i.test(line)).join("\n") +
    "\n";
}

async function npmVariables(): Promise<Record<string, string>> {
  const { code, stdout } = await output(["npm", "config", "list", "--json"]).catch(() => ({
    code: 1,
    stdout: "",
  }));
  const config = code === 0 ? JSON.parse(stdout) as Record<string, unknown> : {};
  const given = NPM.filter((key) => !["", "null", "undefined"].includes(String(config[key] ?? "")));
  return Object.fromEntries(
    given.map((key) => [`NPM_CONFIG_${key.toUpperCase().replaceAll("-", "_")}`, String(config[key])]),
  );
}

function variables(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined || value === "" ? [] : [[name, value]];
  }));
}

function text(path: string): Promise<string | null> {
  return Deno.readTextFile(path).catch(() => null);
}
