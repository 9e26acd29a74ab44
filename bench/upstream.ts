/** Upstream's daemon, where this machine has one: in the directory that DENIM_PEERS names, or in PATH. */
import { output } from "../tests/support/process.ts";

export interface Upstream {
  readonly path: string;
  /** `v0.11.0`. */
  readonly version: string;
  /** Speaks etcd's v2 interface only: releases before 0.18. */
  readonly v2: boolean;
}

/** The executables named `flanneld…`, one for each version; none where there are none. */
export async function findUpstream(): Promise<Upstream[]> {
  const directories = [Deno.env.get("DENIM_PEERS") ?? "", ...(Deno.env.get("PATH") ?? "").split(":")];
  const paths = directories.filter((directory) => directory !== "").flatMap(daemonsIn);
  const found = new Map<string, Upstream>();
  for (const path of paths) {
    const { stdout, stderr } = await output([path, "--version"]);
    const version = /v\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0];
    if (version === undefined || /denim/.test(stdout + stderr) || found.has(version)) continue;
    found.set(version, { path, version, v2: /^v0\.([0-9]|1[0-7])\./.test(version) });
  }
  return [...found.values()];
}

function daemonsIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)]
      .filter(({ name }) => /^flanneld/.test(name))
      .map(({ name }) => `${directory}/${name}`)
      .filter((path) => isProgram(path));
  } catch {
    return [];
  }
}

function isProgram(path: string): boolean {
  const { isFile, mode } = Deno.statSync(path);
  return isFile && ((mode ?? 0) & 0o111) !== 0;
}
