/**
 * Which firewall programs there are, and what they can do.
 *
 * iptables comes in two variants that keep rules in different places of the kernel: `nft` (nf_tables) and `legacy`
 * (ip_tables). Unless told otherwise denim uses plain `iptables-save` and `iptables-restore`, that is the variant that the
 * system was set up with, the one that users list rules with.
 */
import { messageOf } from "../../model/errors.ts";
import { firewallTool, type Variant } from "../../model/firewall.ts";
import type { Family } from "../../model/ip.ts";
import type { Run } from "../../system/exec.ts";

export interface FirewallTools {
  readonly main: string;
  readonly save: string;
  readonly restore: string;
}

/** The names of the programs; without a variant those that the system chose. */
export function firewallTools(family: Family, variant?: Variant): FirewallTools {
  const main = firewallTool(family) + (variant === undefined ? "" : `-${variant}`);
  return { main, save: `${main}-save`, restore: `${main}-restore` };
}

export interface FirewallProbe {
  readonly available: boolean;
  readonly variant: Variant;
  /** `1.8.9`; empty where unknown. */
  readonly version: string;
  /** Knows `--random-fully` (1.6.2). */
  readonly randomFully: boolean;
  /** Why it is not available, and what to do about it. */
  readonly why?: string;
}

/** Asks iptables for its version. Never throws: what is wrong is in the answer. */
export async function probeFirewall(run: Run, variant?: Variant): Promise<FirewallProbe> {
  const { main } = firewallTools(4, variant);
  try {
    const { code, stdout, stderr } = await run(main, ["--version"], { timeout: 10_000 });
    const probe = readVersion(stdout);
    if (code === 0 && probe !== null) return probe;
    const said = (stderr || stdout).trim();
    return unavailable(`ask "${main}" for its version: ${said || `exit code ${code}`}; reinstall it`);
  } catch (thrown) {
    return unavailable(messageOf(thrown));
  }
}

function unavailable(why: string): FirewallProbe {
  return { available: false, variant: "legacy", version: "", randomFully: false, why };
}

/** `iptables v1.8.9 (nf_tables)`; before 1.8 there was one variant, and no word of it. */
function readVersion(text: string): FirewallProbe | null {
  const match = /\bv(\d+(?:\.\d+)+)(?: \((\w+)\))?/.exec(text);
  if (match?.[1] === undefined) return null;
  return {
    available: true,
    variant: match[2] === "nf_tables" ? "nft" : "legacy",
    version: match[1],
    randomFully: atLeast(match[1], "1.6.2"),
  };
}

function atLeast(version: string, wanted: string): boolean {
  const have = version.split(".").map(Number);
  for (const [i, want] of wanted.split(".").map(Number).entries()) {
    const digit = have[i] ?? 0;
    if (digit !== want) return digit > want;
  }
  return true;
}

/**
 * Milliseconds between two full reads of the firewall. nf_tables announces every change, so that a look now and then is only
 * a safety net; the legacy variant is silent, and the flag `-iptables-resync` (seconds) rules.
 */
export function resyncPeriod(variant: Variant, flagSeconds: number): number {
  const seconds = Math.max(1, flagSeconds);
  return 1_000 * (variant === "nft" ? Math.max(60, seconds) : seconds);
}
