/**
 * The hosts of a walkthrough: what a reader's terminals are. A session on each keeps its directory and exported variables from
 * step to step.
 *
 * A host is a namespace that has /etc, /root, /usr/local and /var/lib to itself, empty of what a fresh machine would not have.
 * Where the machine is needed and must not be touched, small programs stand in, first in the PATH:
 *
 * - `systemctl`, `journalctl`: there is no systemd in a namespace; `units.ts` reads the unit files and does what they say.
 * - `ssh`, `scp`: enter the other host's namespace; there is no sshd.
 * - `apt-get install`: checks that the packages are installed.
 * - `npx deno@VERSION`: is the Deno that runs the test, where it has that version.
 */
import { layered, Place } from "./netns.ts";
import { type Output, pause, say } from "./process.ts";
import type { Host, Topology } from "./topology.ts";
import { type Answer, Units } from "./units.ts";
import { matches, type Step } from "./walkthrough.ts";

/** The commands may take this long together in one step, in milliseconds. */
const STEP_DEADLINE = 120_000;
/** What comes by itself comes within this time; how often it is looked for. Milliseconds. */
const REPEAT_MS = 10_000;
const PAUSE_MS = 100;

export interface WalkthroughOptions {
  /** A copy of the source tree: the directory that the place `build` starts in. */
  readonly tree: string;
  /** Called when a unit has started on a host. */
  readonly started: (host: Host, unit: string) => Promise<void>;
}

interface Session {
  readonly place: Place;
  /** File with what the next step starts from. */
  readonly state: string;
  readonly home: string;
  readonly listener: Deno.UnixListener;
}

export class Walkthrough implements AsyncDisposable {
  readonly #sessions = new Map<string, Session>();
  readonly #answers = new Set<Promise<void>>();

  private constructor(readonly directory: string) {}

  /** Prepares the hosts of a topology: `host1` … and `build`. */
  static async open(net: Topology, options: WalkthroughOptions): Promise<Walkthrough> {
    const walkthrough = net.use(new Walkthrough(net.directory));
    const pids = net.hosts.map((host) => `${host.ip} ${host.pid}\n`).join("");
    await Deno.writeTextFile(`${net.directory}/hosts`, pids);
    await Deno.mkdir(`${net.directory}/bin`);
    for (const [name, text] of Object.entries(standIns(net.directory))) {
      await Deno.writeTextFile(`${net.directory}/bin/${name}`, `#!/bin/sh\n${text}`, { mode: 0o755 });
    }
    await Promise.all(net.hosts.map((host) => host.sh(FRESH, { env: { GROUP: `/${host.name}` } })));
    for (const [i, host] of net.hosts.entries()) {
      const units = new Units(host, (unit) => options.started(host, unit));
      walkthrough.#open(`host${i + 1}`, host, "/root", (words) => units.call(words));
    }
    walkthrough.#open("build", net.watch(new Place("build", ["env"])), options.tree, (words) => {
      return Promise.resolve({ code: 1, text: `${words[0]}: not on the build machine\n` });
    });
    return walkthrough;
  }

  #open(name: string, place: Place, home: string, call: (words: readonly string[]) => Promise<Answer>): void {
    const listener = Deno.listen({ transport: "unix", path: `${this.directory}/${name}.sock` });
    this.#sessions.set(name, { place, home, listener, state: `${this.directory}/${name}.session` });
    this.#track(this.#serve(listener, call));
  }

  /**
   * Runs a step on its hosts at once. Returns how what it printed differs from what the page shows, or null.
   *
   * @throws Error where a command fails
   */
  async step(step: Step): Promise<string | null> {
    const end = performance.now() + REPEAT_MS;
    for (;;) {
      const problem = await this.#once(step);
      if (problem === null || !step.repeat || performance.now() > end) return problem;
      await pause(PAUSE_MS);
    }
  }

  async #once({ hosts, line, script, expected }: Step): Promise<string | null> {
    const outputs = await Promise.all(hosts.map((name) => this.#run(name, script)));
    const failed = outputs.findIndex(({ code }) => code !== 0);
    if (failed >= 0) {
      const { code, stdout } = outputs[failed]!;
      throw new Error(`line ${line} on ${hosts[failed]}: exit code ${code}\n${script}\n${stdout}`);
    }
    const { stdout } = outputs[0]!;
    if (expected === null || matches(expected, stdout)) return null;
    const parts = [script, "--- expected", expected, "--- printed", stdout];
    return `line ${line}: prints something else\n${parts.join("\n")}`;
  }

  async #run(name: string, script: string): Promise<Output> {
    const session = this.#sessions.get(name);
    if (session === undefined) throw new Error(`run a step on "${name}": no such host`);
    const words = ["bash", "-c", SESSION, "session", script, session.state, session.home];
    return await session.place.output(words, {
      env: {
        PATH: `${this.directory}/bin:${Deno.env.get("PATH")}`,
        SYSTEMD_SOCKET: `${this.directory}/${name}.sock`,
        NO_COLOR: "1",
      },
      deadline: STEP_DEADLINE,
    });
  }

  async #serve(
    listener: Deno.UnixListener,
    call: (words: readonly string[]) => Promise<Answer>,
  ): Promise<void> {
    try {
      for await (const connection of listener) this.#track(answer(connection, call));
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) say(`serve the stand-ins: ${error}`);
    }
  }

  #track(task: Promise<void>): void {
    this.#answers.add(task);
    task.finally(() => this.#answers.delete(task));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { listener } of this.#sessions.values()) listener.close();
    await Promise.all(this.#answers);
  }
}

/** One call of a stand-in: its words in a line; back go the exit code in a line, and what is to be printed. */
async function answer(
  connection: Deno.UnixConn,
  call: (words: readonly string[]) => Promise<Answer>,
): Promise<void> {
  using _connection = connection;
  const buffer = new Uint8Array(4096);
  const length = await connection.read(buffer);
  const words = new TextDecoder().decode(buffer.subarray(0, length ?? 0)).trim().split(" ");
  const { code, text } = await call(words);
  const bytes = new TextEncoder().encode(`${code}\n${text}`);
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Runs the script `$1` from where the last one ended, which stands in the file `$2`; `$3` is where the first one starts. */
const SESSION = `
exec 2>&1
cd "$3"
[ ! -f "$2" ] || . "$2"
set -eo pipefail
eval "$1"
{ export -p; printf 'cd %q\\n' "$PWD"; } > "$2"
`;

/** Directories of the host's own, without what the machine's software has left in them. */
const FRESH = `${layered("/etc", "/root", "/usr/local", "/var/lib")}
rm -rf /var/lib/flannel /var/lib/etcd/default /etc/etcd /etc/flannel /etc/docker
rm -f /usr/local/bin/flanneld /usr/local/bin/mk-docker-opts.sh
rm -f /etc/systemd/system/flanneld.service /etc/systemd/system/docker.service.d/*
mkdir -p /etc/docker /var/lib/docker
mount -t tmpfs tmpfs /var/lib/docker
printf '{"cgroup-parent": "%s", "exec-opts": ["native.cgroupdriver=cgroupfs"]}\\n' "$GROUP" > /etc/docker/daemon.json
echo 0 > /proc/sys/net/ipv4/ip_forward
`;

function standIns(directory: string): Record<string, string> {
  const ask = `answer=$(printf '%s %s\\n' "\${0##*/}" "$*" | socat -t 600 - "UNIX-CONNECT:$SYSTEMD_SOCKET")
printf '%s' "$answer" | tail -n +2
exit "$(printf '%s' "$answer" | head -n 1)"
`;
  const into =
    `into() { pid=$(sed -n "s/^$1 //p" ${directory}/hosts); shift; nsenter -t "$pid" -m -n -u -- "$@"; }\n`;
  return {
    systemctl: ask,
    journalctl: ask,
    ssh: `${into}address=\${1#root@}; shift; into "$address" sh -c "$*"\n`,
    scp: `${into}for last; do :; done
address=\${last#root@}; target=\${address#*:}; address=\${address%%:*}
while [ $# -gt 1 ]; do
  case $target in */) path=$target\${1##*/} ;; *) path=$target ;; esac
  mode=$(stat -c %a "$1")
  into "$address" sh -ec "cat > '$path'; chmod $mode '$path'" < "$1"
  shift
done
`,
    "apt-get": `[ "$1" != update ] || exit 0
shift; for word; do case $word in -*) ;; *) dpkg-query -W -f '\${db:Status-Status}\\n' "$word" | grep -qx installed ;; esac || exit 1; done
`,
    npx: `while [ "$1" = -y ]; do shift; done
[ "$1" = "deno@${Deno.version.deno}" ] || { echo "npx $1: the test runs deno@${Deno.version.deno}"; exit 1; }
shift; exec ${Deno.execPath()} "$@"
`,
  };
}
