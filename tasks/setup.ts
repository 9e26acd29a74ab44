/**
 * Makes a fresh clone ready: `deno task setup [build|demo|test|fuzz]`. Installs missing Debian packages (as root, where apt-get is) or
 * names them, and builds the C library. Says nothing when there is nothing to do.
 *
 * Packages are installed without starting their services: a dockerd or an etcd of the machine's own is not ours to start.
 */
import { missing, type Need, type Purpose, purposes } from "./packages.ts";
import { capture, say, top } from "./run.ts";

function present(provides: string): boolean {
  const path = Deno.env.get("PATH") ?? "";
  const places = provides.startsWith("/")
    ? [provides]
    : [...path.split(":"), "/usr/sbin", "/sbin"].map((directory) => `${directory}/${provides}`);
  return places.some((place) => {
    try {
      return Deno.statSync(place).isFile;
    } catch {
      return false;
    }
  });
}

/** @returns whether everything is there now */
async function install(list: readonly Need[]): Promise<boolean> {
  if (list.length === 0) return true;
  const names = [...new Set(list.map((need) => need.package))];
  const command = `apt-get install ${names.join(" ")}`;
  if (Deno.uid() !== 0 || !present("apt-get")) {
    say(`setup: missing ${list.map((need) => need.provides).join(", ")}; on Debian, as root: ${command}`);
    return false;
  }
  say(`setup: installing ${names.join(" ")}`);
  const failure = await withoutServices(async () =>
    await aptGet("update") ?? await aptGet("install", ...names)
  );
  if (failure === null) return true;
  say(`setup: install packages: ${failure}\nsetup: try it by hand: ${command}`);
  return false;
}

/** What went wrong, or null. */
async function aptGet(...args: readonly string[]): Promise<string | null> {
  const options = ["-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"];
  const result = await capture(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...options, ...args]);
  return result.code === 0 ? null : result.output.trimEnd().split("\n").slice(-5).join("\n");
}

/** Debian asks this file before it starts a service; an administrator's own stays as it is. */
async function withoutServices<T>(body: () => Promise<T>): Promise<T> {
  const policy = "/usr/sbin/policy-rc.d";
  let ours = false;
  try {
    Deno.writeTextFileSync(policy, "#!/bin/sh\nexit 101\n", { createNew: true, mode: 0o755 });
    ours = true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  try {
    return await body();
  } finally {
    if (ours) Deno.removeSync(policy);
  }
}

/** Make decides what is out of date. @returns whether the library stands */
async function buildLibrary(): Promise<boolean> {
  const result = await capture(["make", "--silent", "--no-print-directory", "-C", `${top}/native`]);
  if (result.code === 0) return true;
  say(`setup: build the C library: make failed\n${result.output.trimEnd()}`);
  return false;
}

/** @returns whether the project is ready for `purpose` */
export async function setup(purpose: Purpose): Promise<boolean> {
  const installed = await install(missing(purpose, present));
  return await buildLibrary() && installed;
}

if (import.meta.main) {
  const given = Deno.args[0] ?? "test";
  const purpose = purposes.find((each) => each === given);
  if (purpose === undefined) {
    say(`setup: prepare "${given}": no such purpose; give ${purposes.join(", ")}`);
    Deno.exit(2);
  }
  Deno.exit(await setup(purpose) ? 0 : 1);
}
