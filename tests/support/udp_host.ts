/**
 * One end of a userspace UDP tunnel, as a program: it lives in the network namespace that it is started in.
 *
 * Argument: `UdpHost` as JSON. It prints `ready NAME`; on SIGUSR2 the statistics, on SIGWINCH it changes what the file says, on SIGHUP what the descriptors
 * are and a restart by way of them; on SIGTERM it stops the tunnel and prints the names of the threads and the descriptors left.
 */
import { describeDescriptor } from "../../ffi/descriptors.ts";
import { loadLibrary } from "../../ffi/library.ts";
import {
  openUdpTunnel,
  type UdpDescriptors,
  type UdpPeer,
  type UdpTunnelOptions,
} from "../../ffi/udp_tunnel.ts";
import { poll } from "./process.ts";

export interface UdpHost {
  readonly options: UdpTunnelOptions;
  readonly peers: readonly UdpPeer[];
  /** The file that SIGWINCH reads. */
  readonly changes: string;
}

/** What changes at run time. */
export interface UdpChanges {
  readonly peers?: readonly UdpPeer[];
  readonly icmpSources?: readonly string[];
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** The names of this process's threads that the library started, and how many descriptors are open. */
function remains(): string {
  const threads = [...Deno.readDirSync("/proc/self/task")]
    .map((task) => Deno.readTextFileSync(`/proc/self/task/${task.name}/comm`).trim())
    .filter((name) => name.startsWith("denim-"));
  return JSON.stringify({ threads, descriptors: descriptors() });
}

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

if (import.meta.main) {
  const { options, peers, changes } = JSON.parse(Deno.args[0] ?? "") as UdpHost;
  using library = loadLibrary();
  const keepAlive = setInterval(() => {}, 1000);
  const nothing = () => {};
  Deno.addSignalListener("SIGTERM", nothing);
  const before = descriptors();
  let tunnel = openUdpTunnel(library, options);
  tunnel.setPeers(peers);
  tunnel.ended.then((failure) => failure && say(`ended ${failure.message}`));
  Deno.addSignalListener("SIGUSR2", () => say(`statistics ${JSON.stringify(tunnel.statistics())}`));
  Deno.addSignalListener("SIGWINCH", () => {
    const { peers, icmpSources } = JSON.parse(Deno.readTextFileSync(changes)) as UdpChanges;
    if (peers) tunnel.setPeers(peers);
    if (icmpSources) tunnel.setIcmpSources(icmpSources);
    say(`changed ${JSON.stringify(tunnel.settings)}`);
  });
  Deno.addSignalListener("SIGHUP", () => {
    const descriptors = tunnel.release();
    const [{ tun, socketV4, socketV6 }] = descriptors as [UdpDescriptors];
    for (const fd of [tun, socketV4, socketV6]) {
      if (fd !== null) say(`kept ${JSON.stringify(describeDescriptor(library, fd))}`);
    }
    tunnel = openUdpTunnel(library, { ...options, descriptors });
    tunnel.setPeers(peers);
    say(`again ${tunnel.name}`);
  });
  Deno.addSignalListener("SIGTERM", () => {
    tunnel[Symbol.dispose]();
    clearInterval(keepAlive);
    poll("the pipe to be closed", 5000, () => descriptors() <= before).catch(() => {}).then(() => {
      say(`left ${remains()} before ${before}`);
      Deno.exit(0);
    });
  });
  say(`ready ${tunnel.name}`);
}
