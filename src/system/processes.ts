/**
 * The other processes of this network namespace, as /proc tells of them. Processes come and go while one looks: what has gone
 * is left out, and so is what this user may not see.
 */

export interface OtherProcess {
  readonly pid: number;
  /** The file that it runs, without its directory; empty where that is not to be seen. */
  readonly program: string;
  readonly args: readonly string[];
  /** A variable of the environment it was started with. */
  variable(name: string): string | undefined;
  /** Whether it has one of these sockets open, by inode. */
  holds(sockets: ReadonlySet<string>): boolean;
}

/** @param root /proc */
export function processesHere(root = "/proc"): OtherProcess[] {
  const here = link(`${root}/self/ns/net`);
  const pids = [...Deno.readDirSync(root)].map(({ name }) => Number(name)).filter(Number.isInteger);
  return pids
    .filter((pid) => pid !== Deno.pid && here !== null && link(`${root}/${pid}/ns/net`) === here)
    .map((pid) => processAt(`${root}/${pid}`, pid));
}

/** Inodes of this namespace's abstract Unix sockets whose name begins so. */
export function abstractSockets(prefix: string, root = "/proc"): Set<string> {
  const lines = words(`${root}/net/unix`, "\n").map((line) => line.trim().split(/\s+/));
  return new Set(
    lines.flatMap(([, , , , , , inode, path]) => path?.startsWith(`@${prefix}`) ? [inode!] : []),
  );
}

/** Inodes of this namespace's UDP sockets that are bound to a port; 0 is one of the kernel's own. */
export function udpSockets(port: number, root = "/proc"): Set<number> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["udp", "udp6"].flatMap((name) => words(`${root}/net/${name}`, "\n"));
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return new Set(fields.flatMap((field) => field[1]?.endsWith(suffix) ? Number(field[9]) : []));
}

/** When this process was started, in milliseconds since boot (suspend included), exact to 10; null where /proc does not tell. */
export function processStarted(root = "/proc"): number | null {
  // Field 22, in hundredths of a second; the program's name in front may hold blanks and brackets.
  const [, behind = ""] = /^.*\)\s(.*)$/s.exec(words(`${root}/self/stat`, "\0")[0] ?? "") ?? [];
  const ticks = Number(behind.split(" ")[19] ?? NaN);
  return Number.isFinite(ticks) ? ticks * 10 : null;
}

function processAt(directory: string, pid: number): OtherProcess {
  const program = (link(`${directory}/exe`) ?? "").replace(/ \(deleted\)$/, "").replace(/^.*\//, "");
  return {
    pid,
    program,
    args: words(`${directory}/cmdline`, "\0").slice(1),
    variable: (name) => {
      const found = words(`${directory}/environ`, "\0").find((entry) => entry.startsWith(`${name}=`));
      return found?.slice(name.length + 1);
    },
    holds: (sockets) =>
      descriptors(directory).some((target) => sockets.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? "")),
  };
}

function descriptors(directory: string): string[] {
  try {
    return [...Deno.readDirSync(`${directory}/fd`)].flatMap(({ name }) =>
      link(`${directory}/fd/${name}`) ?? []
    );
  } catch {
    return [];
  }
}

function link(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return null;
  }
}

/** The parts of a file that ends with the separator, or does not; none where it can't be read. */
function words(path: string, separator: string): string[] {
  try {
    const text = Deno.readTextFileSync(path);
    return (text.endsWith(separator) ? text.slice(0, -1) : text).split(separator);
  } catch {
    return [];
  }
}
