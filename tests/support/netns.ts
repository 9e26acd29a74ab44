/**
 * Namespaces of the tests: each one a network, mount and UTS namespace of its own.
 *
 * A namespace is held by one process that waits for the end of its standard input. That end comes with `dispose`, and also
 * when the test process dies, even by SIGKILL; the holder then ends every process that is left in its mount or network
 * namespace or in the control group of its name, and goes. With it go the devices, the routes, the firewall and the mounts, so that nothing
 * is left on the machine. Nothing is named under /run/netns.
 *
 * Inside: /run is an empty tmpfs (so that several hosts can use the real default paths at once), /sys shows this network
 * namespace, the control groups are the machine's. The rest of the file system is shared.
 */
import { type CommandOptions, type Output, output, poll, Process, run } from "./process.ts";

/** Where commands run: a host, a container, the world outside. */
export class Place {
  /** Every process started here. */
  readonly processes: Process[] = [];

  /** @param enter the command prefix that moves a command into this place; it must exec, so that pids are the command's own */
  constructor(readonly name: string, readonly enter: readonly string[]) {}

  /** @throws Error where the command fails */
  run(command: readonly string[], options?: CommandOptions): Promise<string> {
    return run([...this.enter, ...command], options);
  }

  /** A shell script that must succeed; stops at the first failing line. */
  sh(script: string, options?: CommandOptions): Promise<string> {
    return this.run(["sh", "-ec", script], options);
  }

  output(command: readonly string[], options?: CommandOptions): Promise<Output> {
    return output([...this.enter, ...command], options);
  }

  /** What a command prints as JSON: `ip -j route`, `nft -j list ruleset`. Nothing printed gives an empty array. */
  async json<T>(...command: string[]): Promise<T> {
    const text = await this.run(command);
    return JSON.parse(text.trim() === "" ? "[]" : text) as T;
  }

  start(name: string, command: readonly string[], options?: CommandOptions): Process {
    const process = new Process(`${this.name} ${name}`, [...this.enter, ...command], options);
    this.processes.push(process);
    return process;
  }
}

/** A namespace made by `createNamespace`. */
export class Namespace extends Place implements AsyncDisposable {
  /** Of the holder: usable with `ip link … netns PID` and `nsenter -t PID`. */
  readonly pid: number;
  readonly #holder: Deno.ChildProcess;

  constructor(name: string, holder: Deno.ChildProcess) {
    super(name, ["nsenter", "-t", String(holder.pid), "-m", "-n", "-u", "--"]);
    this.pid = holder.pid;
    this.#holder = holder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
    await poll(
      `the end of all processes of ${this.name}`,
      10_000,
      () => !this.processes.some((p) => p.running),
    );
  }
}

/**
 * A script that gives a namespace these directories to itself: it sees what the machine has, and what it changes there is seen by
 * nobody else.
 */
export function layered(...directories: string[]): string {
  return `
for directory in ${directories.join(" ")}; do
  layer=/run/layers$directory
  mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay overlay -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work" "$directory"
done`;
}

/**
 * @param name unique on the machine: it is also the host name and the name of the control group
 * @param directory goes with the namespace, also when the test is killed
 */
export async function createNamespace(name: string, directory = ""): Promise<Namespace> {
  const holder = new Deno.Command("unshare", {
    args: [
      "--mount",
      "--net",
      "--uts",
      "--propagation",
      "private",
      "sh",
      "-ec",
      HOLDER,
      "holder",
      name,
      directory,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = holder.stdout.getReader();
  const { done } = await reader.read();
  await reader.cancel();
  if (done) throw new Error(`create namespace "${name}": unshare failed; scenarios need root`);
  return new Namespace(name, holder);
}

/** The sysfs of the machine hides the control groups when it is replaced: they are set aside and put back. */
const HOLDER = `
hostname "$1"
mount -t tmpfs tmpfs /run
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
rmdir /run/cgroup
ip link set lo up
echo ready
cat > /dev/null
set +e
groups() { ls -d "/sys/fs/cgroup/$1" /sys/fs/cgroup/*/"$1" 2> /dev/null; }
mine() { find /proc/[0-9]*/ns/$1 -lname "$(readlink /proc/$$/ns/$1 | tr '[]' '??')" ! -path "/proc/$$/*"; }
for round in 1 2 3; do
  for link in $(mine mnt; mine net); do
    process=\${link#/proc/}
    kill -9 "\${process%%/*}"
  done
  for group in $(groups "$1"); do
    find "$group" -name cgroup.procs -exec cat {} + | xargs -r kill -9
  done
done 2> /dev/null
for group in $(groups "$1"); do
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    find "$group" -depth -type d -exec rmdir {} + 2> /dev/null && break
    sleep 0.1
  done
done
# Processes of other namespaces may still be writing there.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  [ -z "$2" ] || rm -rf "$2" 2> /dev/null && break
  sleep 0.1
done
`;
