/**
 * What systemctl and journalctl do, in a namespace where no systemd runs: the host's own unit files are read, and what they say is
 * started, in its environment and as its user; `Type=notify` is waited for; a restart also restarts what requires the unit. What
 * a `daemon-reload` has to read, systemd's own tool verifies.
 *
 * Two words of docker's unit mean services of systemd's own and are replaced by what they stand for: `fd://` (the socket that
 * systemd holds) and `--containerd=…` (left out: dockerd then runs its own). What else a unit says is passed over. What a unit
 * writes to stderr is its journal, and JOURNAL_STREAM says so.
 */
import { NotifySocket } from "./notify_socket.ts";
import { poll, type Process } from "./process.ts";
import { sandboxed } from "./sandbox.ts";
import type { Host } from "./topology.ts";
import { commandWords, readService, readVariables, type Service } from "./unit_file.ts";

export interface Answer {
  readonly code: number;
  readonly text: string;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export class Units {
  readonly #running = new Map<string, Process>();
  #sockets = 0;

  /** @param started is called when a unit has started */
  constructor(readonly host: Host, readonly started: (unit: string) => Promise<void> = async () => {}) {}

  /** @param words `["systemctl", "restart", "docker"]` */
  async call(words: readonly string[]): Promise<Answer> {
    const [program, ...args] = words;
    try {
      return { code: 0, text: program === "journalctl" ? this.#journal(args) : await this.#control(args) };
    } catch (error) {
      return { code: 1, text: `${error instanceof Error ? error.message : error}\n` };
    }
  }

  async #control([action = "", ...args]: readonly string[]): Promise<string> {
    const now = args.includes("--now");
    const names = args.filter((word) => !word.startsWith("-") && !word.endsWith(".socket"));
    for (const name of names.map((word) => word.replace(/\.service$/, ""))) {
      if (action === "start" || (action === "enable" && now)) await this.#start(name);
      else if (action === "stop" || (action === "disable" && now)) await this.#stop(name);
      else if (action === "restart") await this.#restart(name);
      else if (action === "is-active") return await this.#isActive(name);
      else if (!["enable", "disable"].includes(action)) {
        throw new Error(`systemctl ${action}: not known here`);
      }
    }
    if (action === "daemon-reload") await this.host.sh(VERIFY);
    else if (names.length === 0) throw new Error(`systemctl ${action}: not known here`);
    return "";
  }

  /** `-u NAME -n LINES`: the last lines of what the unit's process said. */
  #journal(args: readonly string[]): string {
    const value = (option: string) => args[args.indexOf(option) + 1] ?? "";
    const process = this.#running.get(value("-u"));
    const lines = process?.lines ?? [];
    return lines.slice(-Number(value("-n") || 10)).map((line) => journalLine(value("-u"), line)).join("");
  }

  async #isActive(name: string): Promise<string> {
    if (!this.#running.get(name)?.running) throw new Error("inactive");
    return await Promise.resolve("active\n");
  }

  async #start(name: string): Promise<void> {
    if (this.#running.get(name)?.running) return;
    const service = await this.#read(name);
    const variables = await this.#variables(name, service);
    const address = `/run/notify-${name}-${++this.#sockets}`;
    const socket = service.type === "notify" ? await NotifySocket.listen(this.host, address) : null;
    if (service.user !== "" && socket !== null) await this.host.run(["chown", service.user, address]);
    const env = { ...variables, ...(socket && { NOTIFY_SOCKET: address }) };
    for (const pre of service.startPre) await this.#before(pre, variables);
    const inner = [...as(service), ...command(service.start, variables)];
    const words = [...sandboxed(service), ...JOURNALED, ...inner];
    const process = this.host.start(name, words, {
      env,
      clearEnv: true,
    });
    this.#running.set(name, process);
    if (socket !== null) {
      await poll(
        `${name} to be ready`,
        60_000,
        () => socket.received.includes("READY=1") || !process.running,
      );
    }
    if (!process.running) throw new Error(`Job for ${name}.service failed:\n${process.tail()}`);
    for (const post of service.startPost) {
      await this.host.run([...sandboxed(service), ...command(post, variables)], {
        env: variables,
        clearEnv: true,
      });
    }
    await this.started(name);
  }

  /** A command of ExecStartPre, with the host's own rights: only those with a plus are known here. */
  async #before(text: string, variables: Readonly<Record<string, string>>): Promise<void> {
    const [, marks = ""] = /^([-+]*)/.exec(text) ?? [];
    if (!marks.includes("+")) throw new Error(`ExecStartPre=${text}: without full rights, not known here`);
    const words = command(text.slice(marks.length), variables);
    const { code, stderr } = await this.host.output(words, { env: { PATH }, clearEnv: true });
    if (code !== 0 && !marks.includes("-")) throw new Error(`${text}: exit code ${code}\n${stderr}`);
  }

  async #stop(name: string): Promise<void> {
    await this.#running.get(name)?.stop("SIGTERM", 60_000);
    this.#running.delete(name);
  }

  async #restart(name: string): Promise<void> {
    const dependents: string[] = [];
    for (const other of this.#running.keys()) {
      const { requires } = await this.#read(other);
      if (requires.includes(`${name}.service`)) dependents.push(other);
    }
    for (const each of [...dependents, name]) await this.#stop(each);
    for (const each of [name, ...dependents]) await this.#start(each);
  }

  async #read(name: string): Promise<Service> {
    const found = await this.host.sh(`
      for directory in /etc/systemd/system /lib/systemd/system; do
        [ ! -f $directory/${name}.service ] || { echo $directory/${name}.service; break; }
      done
      find /etc/systemd/system/${name}.service.d -name '*.conf' 2> /dev/null | sort`);
    const files = found.split("\n").filter((file) => file !== "");
    if (files.length === 0) throw new Error(`Unit ${name}.service not found.`);
    return readService(await Promise.all(files.map((file) => this.host.run(["cat", file]))));
  }

  async #variables(name: string, service: Service): Promise<Record<string, string>> {
    const all: Record<string, string> = { PATH, LANG: "C.UTF-8" };
    for (const each of service.environment) Object.assign(all, readVariables(each));
    for (const each of service.environmentFiles) {
      const file = each.replace(/^-/, "").replaceAll("%p", name);
      const { code, stdout } = await this.host.output(["cat", file]);
      if (code !== 0 && !each.startsWith("-")) throw new Error(`Failed to load environment file "${file}"`);
      Object.assign(all, readVariables(stdout));
    }
    if (service.runtimeDirectory !== "") {
      all.RUNTIME_DIRECTORY = `/run/${service.runtimeDirectory}`;
      await this.host.run(["mkdir", "-p", all.RUNTIME_DIRECTORY]);
    }
    if (service.stateDirectory !== "") {
      all.STATE_DIRECTORY = `/var/lib/${service.stateDirectory}`;
      await this.host.run(["mkdir", "-p", all.STATE_DIRECTORY]);
    }
    return all;
  }
}

/** The rest of the command learns what its stderr is, as systemd tells it. */
const JOURNALED = ["sh", "-c", 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"', "sh"];

/** As journalctl prints it: the journal knows the time and takes the priority away. */
function journalLine(unit: string, line: string): string {
  return `Nov 28 03:46:47 host ${unit}[1]: ${line.replace(/^<\d>/, "")}\n`;
}

/** What systemd itself says of the units that were written here, and of those with a drop-in. */
const VERIFY = `
cd /etc/systemd/system
units=$(find . -maxdepth 1 -type f -name '*.service' -o -maxdepth 1 -type d -name '*.service.d' | sed 's|^./||; s|[.]d$||' | sort -u)
[ -z "$units" ] || systemd-analyze verify --man=no $units
`;

function as({ user }: Service): string[] {
  return user === "" ? [] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
}

function command(text: string, variables: Readonly<Record<string, string>>): string[] {
  return commandWords(text, variables)
    .filter((word) => !word.startsWith("--containerd="))
    .map((word) => word === "fd://" ? "unix:///run/docker.sock" : word);
}
