/**
 * A machine with a minimal Debian and nothing more: mount, process, IPC and host name namespaces of its own, a root in memory, an
 * empty home, the machine's network. It has the project as a repository, `/srv/denim.git`: the commit that is checked out here,
 * without what is not committed.
 *
 * It ends with the test's process, whatever ends that, and everything of it with its first process.
 */
import { Place } from "../support/netns.ts";
import { poll, run, say } from "../support/process.ts";
import { archivePath, build, isWhole } from "./minimal_root.ts";
import { type Settings, takeSettings } from "./settings.ts";

const top = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
/** MiB that it may come to hold: Debian with all packages of the tests 2,000, Deno and what it keeps 400, the binary 300. */
const SPACE = 6_000;

export class BareMachine extends Place implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  readonly #scratch: string;

  private constructor(pid: number, holder: Deno.ChildProcess, scratch: string, settings: Settings) {
    const environment = { HOME: "/root", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
    const words = Object.entries({ ...settings.environment, ...environment }).map(([key, value]) => `${key}=${value}`);
    const enter = ["nsenter", "-t", String(pid), "-m", "-u", "-i", "-p", "-r", "-w", "--", "env", "-i", ...words];
    super("bare", enter);
    this.#holder = holder;
    this.#scratch = scratch;
  }

  static async start(): Promise<BareMachine> {
    requireMemory();
    const scratch = await Deno.makeTempDir({ prefix: "denim-bare-" });
    try {
      const settings = await takeSettings(`${scratch}/settings`);
      const archive = archivePath();
      if (!await isWhole(archive)) {
        say(`bare: building a minimal Debian, ${archive}`);
        await build(archive, scratch, settings);
      }
      const holder = hold(scratch, archive);
      return new BareMachine(await pidOf(holder), holder, scratch, settings);
    } catch (error) {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
    await poll("the end of the bare machine's processes", 10_000, () => !this.processes.some((p) => p.running));
    await Deno.remove(this.#scratch, { recursive: true }).catch(() => {});
  }
}

function requireMemory(): void {
  const free = Number(/^MemAvailable:\s*(\d+)/m.exec(Deno.readTextFileSync("/proc/meminfo"))?.[1]) / 1024;
  if (free > SPACE) return;
  throw new Error(`hold a minimal Debian in memory: ${Math.floor(free)} MiB are free; it takes up to ${SPACE} MiB`);
}

function hold(scratch: string, archive: string): Deno.ChildProcess {
  const words = ["hold", scratch, archive, top, `${SPACE}m`, INSIDE];
  const args = ["-ec", OUTSIDE, ...words];
  return new Deno.Command("sh", { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
}

/** Of the first process in there, as the machine counts. */
async function pidOf(holder: Deno.ChildProcess): Promise<number> {
  const reader = holder.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  const pid = /^ready (\d+)\n$/.exec(value ?? "")?.[1];
  if (pid === undefined) throw new Error("start the bare machine: its namespaces or its root can't be made; it needs root");
  return Number(pid);
}

/** Waits for those inside, and takes away what they needed from outside, also where the test was killed. */
const OUTSIDE = `
set +e
unshare --mount --pid --ipc --uts --fork --kill-child --propagation private sh -ec "$5" hold "$@"
rm -rf "$1"
`;

/** Takes the place of the machine's root, says where it is, and stays until its input ends. */
const INSIDE = `
settings=$1/settings root=$1/root archive=$2 project=$3 space=$4
read pid rest < /proc/self/stat
mkdir -p "$root"
mount -t tmpfs -o "mode=755,size=$space" bare "$root"
tar -C "$root" -xzf "$archive"
cp -r "$settings/." "$root"
git init -q --bare -b main "$root/srv/denim.git"
git -C "$root/srv/denim.git" -c safe.directory='*' fetch -q --update-shallow "$project" HEAD:refs/heads/main
hostname bare
echo bare > "$root/etc/hostname"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/net" "$root/dev/pts" "$root/dev/shm"
for device in null zero full random urandom tty net/tun; do
  [ ! -e "/dev/$device" ] || { : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; }
done
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${n%:*}" "$root/dev/\${n#*:}"; done
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir "$root/run/lock"
cd "$root"
pivot_root . mnt
cd /
umount -l /mnt
echo "ready $pid"
cat > /dev/null
`;
