/**
 * Going into namespaces of the demo's own: network, mount and process ids, and for an ordinary user a user namespace too.
 * The first process in there takes everything with it when it ends, also on kill -9, so that nothing can be left behind.
 */
import { Failure } from "../../model/errors.ts";
import { systemClock } from "../../system/clock.ts";
import { run, startProgram } from "../../system/exec.ts";
import { selfCommand } from "../self_command.ts";

const MARK = "DENIM_DEMO_INSIDE";

/** True for the process inside. */
export function isInside(): boolean {
  return Deno.env.has(MARK);
}

/** Runs this demo again inside, with the same words; its exit code. @throws Failure where the root can't be left */
export async function goInside(words: readonly string[]): Promise<number> {
  refuseRoot(Deno.readTextFileSync("/proc/self/mountinfo"));
  const asUser = Deno.uid() === 0 ? [] : ["--user", "--map-root-user"];
  const [program, ...args] = selfCommand();
  let init = "";
  let stopped = false;
  // unshare turns a deaf ear to these: they go to the one inside, who takes everything away.
  const stop = () => {
    stopped = true;
    if (init !== "") Deno.kill(Number(init), "SIGTERM");
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, stop);
  const child = startProgram("setpriv", {
    args: [
      ...["--pdeathsig", "KILL", "unshare"],
      ...asUser,
      ...["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...[program, ...args, "demo", ...words],
    ],
    env: { ...forDaemons(Deno.env.toObject()), [MARK]: "1" },
    clearEnv: true,
    stdin: "piped",
    stdout: "inherit",
    stderr: "inherit",
  });
  init = await firstChildOf(child.pid);
  if (stopped) stop();
  const writer = child.stdin.getWriter();
  const told = writer.write(new TextEncoder().encode(`${init}\n`)).catch(() => {});
  const { code } = await child.status;
  await told;
  return code;
}

/**
 * A mount namespace of one's own keeps its mounts to itself only where the root is a mount: in a chroot into a plain directory
 * they can't be told apart from the machine's.
 *
 * @param mounts as in /proc/self/mountinfo
 */
export function refuseRoot(mounts: string): void {
  if (/^(\S+ ){4}\/ /m.test(mounts)) return;
  throw new Failure(
    'make namespaces for the demo at "/": this root is a plain directory (a chroot), no mount; run "mount --bind DIR DIR" on it before chroot, or start the demo outside',
  );
}

/** Without what would steer the demo's daemons: a flag's variable of the shell's, what a service manager gives its services. */
function forDaemons(environment: Readonly<Record<string, string>>): Record<string, string> {
  const steers = /^(FLANNELD_|LISTEN_|(NOTIFY_SOCKET|JOURNAL_STREAM|FDSTORE)$)/;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !steers.test(name)));
}

/** Inside: our first process's id as the rest of the machine sees it. */
export async function outerPid(): Promise<string> {
  const bytes = new Uint8Array(32);
  const length = await Deno.stdin.read(bytes);
  return new TextDecoder().decode(bytes.subarray(0, length ?? 0)).trim();
}

/** unshare's child is the first process inside; it is there as soon as unshare has forked, or unshare has failed. */
async function firstChildOf(pid: number): Promise<string> {
  const clock = systemClock();
  for (let waited = 0; waited < 5_000; waited += 10) {
    const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => null);
    if (children === null || children.trim() !== "") return (children ?? "").trim();
    await clock.sleep(10);
  }
  return "";
}

/** Inside: a /run of our own, so that iptables' lock and the demo's files touch nobody's. */
export async function settleInside(): Promise<void> {
  const { code, stderr } = await run("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
  if (code !== 0) {
    throw new Failure(
      `make the demo's own /run: ${stderr.trim()}; the demo needs root, or a kernel that lets users make user, mount and network namespaces`,
    );
  }
}
