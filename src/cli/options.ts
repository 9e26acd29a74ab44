/**
 * What the daemon is asked to do, typed and checked. How it is read is `read_options.ts`; what each member means to a user is
 * in the table of `flags.ts`.
 */
import type { Ip } from "../model/ip.ts";
import type { Flag, Value } from "./flags.ts";
import { shownValue } from "./hide.ts";

/** Where a setting came from. */
export type Source = "flag" | "environment" | "file" | "default";

export interface Setting {
  readonly flag: Flag;
  readonly value: Value;
  readonly source: Source;
}

/** One entry for every flag, by name. */
export type Settings = ReadonlyMap<string, Setting>;

/** Members are the flags' names in camel case. */
export interface DaemonOptions {
  readonly store: StoreChoice;
  readonly etcdEndpoints: readonly string[];
  /** Cleaned like a path: no `//`, no slash at the end. */
  readonly etcdPrefix: string;
  readonly etcdApi: "auto" | "v2" | "v3" | "both";
  /** The three files: empty where not given. */
  readonly etcdKeyfile: string;
  readonly etcdCertfile: string;
  readonly etcdCafile: string;
  readonly etcdUsername: string;
  readonly etcdPassword: string;

  readonly iface: readonly string[];
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Ip | null;
  readonly publicIp: Ip | null;
  readonly publicIpv6: Ip | null;

  readonly subnetFile: string;
  /** Empty where the flag is: `stateDirectory` knows what that means. */
  readonly stateDir: string;
  /** Minutes, 1 to 1439. */
  readonly subnetLeaseRenewMargin: number;
  readonly onLeaseLost: "reacquire" | "exit";
  readonly followConfig: boolean;
  /** `default`, or 1 to 8 characters of a-z, 0-9 and the dash. */
  readonly instance: string;
  readonly netConfigPath: string;
  /** `[network]` of the TOML file, as the JSON that etcd would hold. */
  readonly networkConfigText: string | undefined;

  readonly ipMasq: boolean;
  readonly ipMasqFullyRandomDisable: boolean;
  readonly iptablesForwardRules: boolean;
  /** Seconds; less than 1 counts as 1. */
  readonly iptablesResync: number;
  readonly iptablesVariant: "auto" | "nft" | "legacy";
  readonly iptablesLayout: "chains" | "legacy";
  readonly ipBlackholeRoute: boolean;
  readonly udpAcceptMoved: boolean;

  readonly kubeSubnetMgr: boolean;
  readonly kubeApiUrl: string;
  readonly kubeconfigFile: string;
  readonly kubeAnnotationPrefix: string;
  readonly setNodeNetworkUnavailable: boolean;

  readonly healthzIp: Ip;
  /** 0 where the health server is off. */
  readonly healthzPort: number;
  readonly readOnly: boolean;
  readonly force: boolean;
  readonly logFormat: "text" | "klog" | "json";
  readonly v: number;
  readonly upstreamExitCodes: boolean;

  /** Every flag's value as given and where it came from, by flag name. Holds secrets: never log it, `describeOptions` is for that. */
  readonly settings: Settings;
  /** To be logged once the log stands. */
  readonly warnings: readonly string[];
}

export type StoreChoice =
  | { readonly type: "etcd" }
  | { readonly type: "sqlite"; readonly file: string }
  | { readonly type: "kubernetes" };

/** One line for the start of the log: what was set, to what and by whom. Secrets are left out. */
export function describeOptions(options: DaemonOptions): string {
  const given = [...options.settings.values()].filter((setting) => setting.source !== "default");
  const parts = given.map((setting) =>
    `${setting.flag.name}=${shownValue(setting.flag, setting.value)} (${setting.source})`
  );
  return `CLI flags config: {${parts.join(", ")}}, everything else by default`;
}
