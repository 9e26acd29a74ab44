/**
 * A place of our own for the benchmarks: this process again, in network, mount and process namespaces of its own.
 *
 * Devices, routes, firewalls, listeners and temporary files of a benchmark exist there only; when the process ends, however it
 * ends, the kernel takes all of it away, child processes included.
 */
import { settle } from "../tasks/surroundings.ts";
import { quote } from "../tests/support/process.ts";

const MARK = "DENIM_BENCH_ENCLOSED";

/** The namespaces' first process: loopback, a file system in memory for what is temporary, then what was asked for. */
const PREPARE = `
mount -t tmpfs tmpfs /dev/shm
mkdir /dev/shm/tmp
mount -t tmpfs tmpfs /run
ip link set lo up
"$@"
exit 0`;

export function enclosed(): boolean {
  return Deno.env.get(MARK) === "1";
}

/** Runs this program with its arguments in the enclosure; its exit code. Needs root. */
export async function enclose(): Promise<number> {
  settle();
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const self = [Deno.execPath(), "run", "-A", Deno.mainModule.replace("file://", ""), ...Deno.args];
  const args = [...namespaces, "--propagation", "private", "--", "sh", "-ec", PREPARE, "sh", ...self];
  const env = { [MARK]: "1", TMPDIR: "/dev/shm/tmp" };
  const { code, signal } = await new Deno.Command("unshare", { args, env }).spawn().status;
  if (signal !== null) throw new Error(`run ${quote(["unshare", ...args])}: ended by ${signal}`);
  return code;
}
