/**
 * A machine with a minimal Debian and nothing more: mount, process, IPC and host name namespaces of its own, a root that is
 * nobody else's, an empty home, the machine's network. It has the project as a repository, `/srv/denim.git`: the commit that
 * is checked out here, without what is not committed.
 *
 * It ends with the test's process, whatever ends that, and everything of it with its first process.
 */
import { Place } from "../support/netns.ts";
import { poll, say } from "../support/process.ts";
import { archivePath, build, cacheDirectory } from "./minimal_root.ts";
import { type Settings, takeSettings } from "./settings.ts";

const top = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

export class BareMachine extends Place implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;

  private constructor(pid: number, holder: Deno.ChildProcess, settings: Settings) {
    const environment = {
      HOME: "/root",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };
    const words = Object.entries({ ...settings.environment, ...environment }).map(([key, value]) =>
      `${key}=${value}`
    );
    const enter = [
      "nsenter",
      "-t",
      String(pid),
      "-m",
      "-u",
      "-i",
      "-p",
      "-r",
      "-w",
      "--",
      "env",
      "-i",
      ...words,
    ];
    super("bare", enter);
    this.#holder = holder;
  }

  static async start(): Promise<BareMachine> {
    await Deno.mkdir(cacheDirectory(), { recursive: true });
    const scratch = await Deno.makeTempDir({ dir: cacheDirectory(), prefix: "machine-" });
    const settings = await takeSettings(`${scratch}/settings`);
    const archive = archivePath();
    const kept = await Deno.stat(archive).then(() => true, () => false);
    if (!kept) await build(archive, scratch, settings);
    const { holder, said } = await hold(scratch, archive);
    const pid = /^ready (\d+)$/.exec(said)?.[1];
    if (pid !== undefined) return new BareMachine(Number(pid), holder, settings);
    await holder.status;
    if (!kept || said !== "damaged") {
      throw new Error("start the bare machine: its namespaces or its root can't be made; it needs root");
    }
    say(`bare: what was kept as ${archive} is damaged`);
    await Deno.remove(archive);
    return await BareMachine.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
    await poll(
      "the end of the bare machine's processes",
      10_000,
      () => !this.processes.some((p) => p.running),
    );
  }
}

/** Starts what holds the machine, and what it says first. */
async function hold(scratch: string, archive: string): Promise<{ holder: Deno.ChildProcess; said: string }> {
  const args = ["-c", OUTSIDE, "hold", INSIDE, scratch, archive, top];
  const holder = new Deno.Command("sh", { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
  const reader = holder.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return { holder, said: (value ?? "").trim() };
}

/** Waits for those inside, and takes away what they needed from outside, also where the test was killed or interrupted. */
const OUTSIDE = `
trap '' INT TERM HUP
inside=$1
shift
unshare --mount --pid --ipc --uts --fork --kill-child --propagation private sh -ec "$inside" hold "$@"
rm -rf "$1"
`;

/** Takes the place of the machine's root, says which process it is, and stays until its input ends. */
const INSIDE = `
settings=$1/settings root=$1/root archive=$2 project=$3
read pid rest < /proc/self/stat
mkdir -p "$root"
mount --bind "$root" "$root"
tar -C "$root" -xzf "$archive" || { echo damaged; exit 1; }
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
