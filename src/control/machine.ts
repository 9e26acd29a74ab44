/**
 * This machine's side of the ports: the C library, the clock it gives, the kernel, the firewall tools. Opened once by the
 * daemon, by a preview, or by a program that embeds the overlay.
 */
import { type Library, loadLibrary } from "../../ffi/library.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { bootTime } from "../../ffi/process.ts";
import { openUdpTunnel, type UdpTunnel, type UdpTunnelOptions } from "../../ffi/udp_tunnel.ts";
import { checkBridgeNetfilter } from "../kernel/firewall/bridge_netfilter.ts";
import { iptablesDriver } from "../kernel/firewall/iptables.ts";
import { type FirewallProbe, probeFirewall, resyncPeriod } from "../kernel/firewall/tools.ts";
import type { Kernel } from "../kernel/kernel.ts";
import {
  keptDescriptors,
  type ManagerVariables,
  noKeptDescriptors,
} from "../kernel/tunnel/kept_descriptors.ts";
import { openKernel } from "../kernel/linux.ts";
import { ownerOfPort } from "../kernel/tunnel/port_owner.ts";
import { tunnelDriver } from "../kernel/tunnel/tunnels.ts";
import type { Clock } from "../model/clock.ts";
import { Failure, messageOf } from "../model/errors.ts";
import type { FirewallLayout, Variant } from "../model/firewall.ts";
import type { Log } from "../observe/log.ts";
import { systemClock } from "../system/clock.ts";
import { run } from "../system/exec.ts";

export interface FirewallWishes {
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  /** False never asks for random source ports, true where iptables knows how. */
  readonly randomFully: boolean;
  /** Which iptables; the system's choice unless told. */
  readonly variant?: Variant;
  readonly layout: FirewallLayout;
  /** Seconds between two full reads where changes are not announced. */
  readonly resyncSeconds: number;
}

/** What can be done of the wishes on this machine. */
export interface FirewallMeans {
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  readonly randomFully: boolean;
  readonly layout: FirewallLayout;
  readonly firewallPeriodMs: number;
  /** Where there is no iptables now: what can be done once there is. Rejects when the signal is aborted. */
  later?(signal: AbortSignal): Promise<FirewallMeans>;
}

export interface Machine extends Disposable {
  readonly library: Library;
  readonly clock: Clock;
  readonly kernel: Kernel;
  readonly firewall: FirewallMeans;
}

/**
 * @param path where the C library is; the usual places unless told
 * @param manager the variables of a service manager that this process is the main one of
 * @throws Failure where something needed is missing
 */
export async function openMachine(
  path: string | undefined,
  wishes: FirewallWishes,
  log: Log,
  manager?: ManagerVariables,
): Promise<Machine> {
  const library = loadLibrary(path);
  const probe = await probeFirewall(run, wishes.variant);
  const firewall = firewallMeans(wishes, probe, log);
  const wanted = wishes.ipMasq || wishes.forwardRules;
  const other: Variant = probe.variant === "nft" ? "legacy" : "nft";
  const options = { run, other, ...(wishes.variant === undefined ? {} : { variant: wishes.variant }) };
  const kernel = openKernel({
    netlink: openNetlink(library),
    // Where nothing is wanted of it and it is not there, there is nothing to read back.
    firewall: probe.available || wanted ? [iptablesDriver(options)] : [],
    tunnels: tunnelDriver({
      open: (options) => openTunnel(library, options),
      kept: manager ? keptDescriptors(library, manager, Deno.pid) : noKeptDescriptors(library),
      say: (text) => log.info(text),
    }),
  });
  const clock = systemClock(() => bootTime(library));
  const later = (signal: AbortSignal) => laterMeans(wishes, clock, log, signal);
  return {
    library,
    clock,
    kernel,
    firewall: probe.available || !wanted ? firewall : { ...firewall, later },
    // The library stays loaded: threads of it may still be on their way out.
    [Symbol.dispose]: () => kernel[Symbol.dispose](),
  };
}

/**
 * Without iptables packets between containers come first: everything else goes on. Masquerading was asked for, so that its lack
 * keeps us from being ready; the forward rules are a default, so that theirs does not.
 */
function firewallMeans(wishes: FirewallWishes, probe: FirewallProbe, log: Log): FirewallMeans {
  if (!probe.available && wishes.ipMasq) {
    log.error(
      `set up -ip-masq: ${probe.why}; going on without it until then: containers reach each other, and nothing outside`,
    );
  } else if (!probe.available && wishes.forwardRules) {
    log.warn(`${probe.why}; going on without forward rules, -iptables-forward-rules=false says so for good`);
  }
  if (probe.available && (wishes.ipMasq || wishes.forwardRules)) {
    const bridges = checkBridgeNetfilter();
    if (bridges !== null) log.info(bridges);
  }
  return {
    ipMasq: wishes.ipMasq,
    forwardRules: wishes.forwardRules && probe.available,
    randomFully: wishes.randomFully && probe.randomFully,
    layout: wishes.layout,
    firewallPeriodMs: resyncPeriod(probe.variant, wishes.resyncSeconds),
  };
}

/** How often is looked for iptables where there was none. */
const LOOK_FOR_IPTABLES_MS = 5_000;

/** What can be done as soon as there is iptables. Rejects on abort. */
async function laterMeans(
  wishes: FirewallWishes,
  clock: Clock,
  log: Log,
  signal: AbortSignal,
): Promise<FirewallMeans> {
  while (true) {
    await clock.sleep(LOOK_FOR_IPTABLES_MS, signal);
    const probe = await probeFirewall(run, wishes.variant);
    if (!probe.available) continue;
    log.info(`iptables ${probe.version} is there now; putting up the rules`);
    return firewallMeans(wishes, probe, log);
  }
}

/** Where the port is taken, it is said by whom. */
function openTunnel(library: Library, options: UdpTunnelOptions): UdpTunnel {
  try {
    return openUdpTunnel(library, options);
  } catch (error) {
    const owner = messageOf(error).includes("(EADDRINUSE)") ? ownerOfPort(options.port) : "";
    throw owner === "" ? error : new Failure(`${messageOf(error)}; ${owner}`);
  }
}
