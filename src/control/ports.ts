/** What an overlay is told, and what it stands on: everything from outside comes through here. */
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock, Random } from "../model/clock.ts";
import type { FirewallLayout } from "../model/firewall.ts";
import type { Subnets } from "../model/lease.ts";
import type { Prefix } from "../model/prefix.ts";
import type { Log } from "../observe/log.ts";
import type { Store } from "../store/store.ts";
import type { ChooseUnderlay } from "../underlay/chooser.ts";
import type { IdentitySource } from "./identity.ts";
import type { Reserve } from "./take_over.ts";

export interface OverlayOptions {
  /** Names this daemon on its machine. */
  readonly instance: string;
  readonly ipMasq: boolean;
  readonly forwardRules: boolean;
  readonly randomFully: boolean;
  readonly layout: FirewallLayout;
  /** Milliseconds before its end at which a lease is renewed. */
  readonly renewMarginMs: number;
  readonly onLost: "reacquire" | "exit";
  /** Peers of a userspace tunnel may send from another address than their public one. */
  readonly acceptMoved: boolean;
  /** How often the firewall is read back. */
  readonly firewallPeriodMs: number;
  /** False: once set up, the network is read back only where events ask for it. For tests that nothing needs more. */
  readonly fullReads?: boolean;
  /** Where no iptables was found: what can be done of the firewall once there is one. Rejects when the signal is aborted. */
  later?(signal: AbortSignal): Promise<Pick<OverlayOptions, "forwardRules" | "randomFully">>;
}

/** The subnet file: where our subnet is told to others, and found again after a restart. */
export interface SubnetFile {
  /** As it was when the process started; `problems` are what of it could not be used, one sentence each. */
  readonly previous: {
    readonly networks: readonly Prefix[];
    readonly subnets: Subnets;
    readonly problems?: readonly string[];
  };
  /** The text that is there now; null where there is none. */
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
  /** Tells, within about a second, that somebody may have removed or changed it. Ends when the signal is aborted. */
  changes(signal: AbortSignal): AsyncIterable<void>;
  readonly path: string;
}

/** What the overlay stands on. */
export interface OverlayPorts {
  readonly store: Store;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly subnetFile: SubnetFile;
  /** By what this host is known in the store. */
  readonly identity: IdentitySource;
  /** Chooses the external interface; @throws Failure where none fits. */
  readonly chooseUnderlay: ChooseUnderlay;
  /** Takes the name of another daemon of this host, where none of that name runs; without it nothing is taken over. */
  readonly reserve?: Reserve;
  /** Is told what a start is about to do, or to wait for. */
  stage?(what: string): void;
}
