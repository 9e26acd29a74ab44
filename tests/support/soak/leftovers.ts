/** What a soak leaves behind, seen from inside its own network, mount and process namespaces, once its topology is gone. */
import { poll, run } from "../process.ts";

/** The kernel takes a network namespace apart some time after its last process has gone. */
const GONE_MS = 10_000;

/** One line each: processes, devices, temporary files. */
export async function leftovers(): Promise<string[]> {
  let left: string[] = [];
  await poll("nothing to be left", GONE_MS, async () => (left = await look()).length === 0).catch(() => {});
  return left;
}

async function look(): Promise<string[]> {
  const links = (await run(["ip", "-br", "link"])).trim().split("\n");
  return [
    ...processes().map((command) => `a process is left: ${command}`),
    ...links.filter((line) => !line.startsWith("lo ")).map((line) => `a device is left: ${line}`),
    ...files("/dev/shm").map((name) => `a file is left: ${name}`),
  ];
}

/** All but the namespace's first, ourselves and kernel threads' traces. */
function processes(): string[] {
  const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => pid > 1);
  return pids.filter((pid) => pid !== Deno.pid).flatMap((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() || [];
    } catch {
      return [];
    }
  });
}

/** The directory for what is temporary is one of them, and empty. */
function files(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
    const path = `${directory}/${name}`;
    return path === Deno.env.get("TMPDIR") && isDirectory ? files(path) : [path];
  });
}
