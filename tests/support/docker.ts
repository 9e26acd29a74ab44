/**
 * A real dockerd on a host of a topology, and containers in it.
 *
 * Socket, pid file, exec root and containerd are docker's defaults under /run, which is the host's own; the data root is there
 * as well, so that everything goes with the host. Containers live in a control group named after the host, which the host's
 * holder empties. The image is a busybox tree, imported; nothing is pulled.
 */
import { Place } from "./netns.ts";
import { type Process, run } from "./process.ts";
import type { Host } from "./topology.ts";

const IMAGE = "busybox:test";
const DATA_ROOT = "/run/docker-data";

/** A container, as a place in its own network namespace with the machine's programs at hand. */
export interface Container extends Place {
  readonly id: string;
  /** On docker0. */
  readonly address: string;
}

export class Docker implements AsyncDisposable {
  private constructor(readonly host: Host, readonly daemon: Process) {}

  /**
   * Starts dockerd and imports the image.
   *
   * @param host where
   * @param options as mk-docker-opts.sh computes them: `--bip=10.1.15.1/24`, `--mtu=1450` …
   */
  static async start(host: Host, options: readonly string[]): Promise<Docker> {
    const daemon = host.start("dockerd", [
      "dockerd",
      `--data-root=${DATA_ROOT}`,
      `--cgroup-parent=/${host.name}`,
      "--exec-opt=native.cgroupdriver=cgroupfs",
      ...options,
    ]);
    const docker = new Docker(host, daemon);
    try {
      await daemon.line(/API listen on/, 60_000);
      await importImage(host, IMAGE);
      return docker;
    } catch (error) {
      await docker[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts a container that does nothing; traffic is run in it from outside, or with `exec`. */
  async run(name: string): Promise<Container> {
    const create = ["run", "-d", "--name", name, "--hostname", name, IMAGE, "sleep", "2147483647"];
    const id = (await this.command(...create)).trim();
    const format = "{{.State.Pid}} {{.NetworkSettings.IPAddress}}";
    const [pid, address] = (await this.command("inspect", "-f", format, id)).trim().split(" ");
    const place = new Place(`${this.host.name} ${name}`, ["nsenter", "-t", pid!, "-n", "--"]);
    return Object.assign(place, { id, address: address! });
  }

  /** `docker exec`: what the command printed. */
  exec(container: Container, ...command: string[]): Promise<string> {
    return this.command("exec", container.id, ...command);
  }

  /** The docker client on this host. */
  command(...args: string[]): Promise<string> {
    return this.host.run(["docker", ...args]);
  }

  /** Ends the containers, then dockerd. What does not end by itself ends with the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.daemon.running) return;
    const ids = (await this.host.output(["docker", "ps", "-q"])).stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) await this.host.output(["docker", "kill", ...ids]);
    await this.daemon.stop("SIGTERM", 30_000);
  }
}

/** Gives a busybox tree to the host's docker as an image. */
export async function importImage(host: Place, name: string): Promise<void> {
  await using tree = await busyboxTree();
  await host.sh(`tar -C ${tree.path} -c . | docker import - ${name}`);
}

/** The words of one variable in a file that mk-docker-opts.sh wrote: `DOCKER_OPTS=" --bip=… --mtu=…"`. */
export async function dockerOptions(host: Place, file: string, key = "DOCKER_OPTS"): Promise<string[]> {
  const words = await host.sh(`. ${file}; printf '%s\\n' $${key}`);
  return words.split("\n").filter((word) => word !== "");
}

async function busyboxTree(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "denim-image-" });
  await run(["sh", "-ec", BUSYBOX_TREE, "tree", path]);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const BUSYBOX_TREE = `
cd "$1"
mkdir -p bin etc proc sys dev tmp run
cp "$(command -v busybox)" bin/busybox
for applet in $(bin/busybox --list); do ln -s busybox "bin/$applet" 2> /dev/null || true; done
`;
