/**
 * Every setting of the daemon, once: this table drives the command line, the FLANNELD_ variables, the TOML file, `--help`
 * and docs/flags.md. Names, types and defaults are flannel's where flannel has the flag; `since` tells which.
 *
 * Invariants: names are unique; `default` has the type that `kind` says; a flag with `built: false` is parsed and refused.
 */

/** `decimal` is an integer without base detection (upstream's `-v`); `list` accumulates over repetitions. */
export type Kind = "bool" | "int" | "decimal" | "string" | "list";
export type Value = boolean | number | string | readonly string[];
export type Group =
  | "Store"
  | "Addresses"
  | "Leases and files"
  | "Firewall and routes"
  | "Userspace tunnel"
  | "Kubernetes"
  | "Running";

export interface Flag {
  readonly name: string;
  readonly kind: Kind;
  readonly default: Value;
  readonly group: Group;
  /** One or two sentences, no full stop at the end. */
  readonly help: string;
  /** The release of flannel that brought the flag; `denim` where flannel has none. */
  readonly since: string;
  /** The only words accepted. */
  readonly choices?: readonly string[];
  /** The value never reaches a log. */
  readonly secret?: true;
  /** Addresses, in front of whose hosts a user might have put a name and password. */
  readonly urls?: true;
  /** The part behind it does not exist yet: giving it another value than the default is refused. */
  readonly built?: false;
  /** Values for which the same holds. */
  readonly unbuilt?: readonly string[];
  /** Accepted for compatibility; why it changes nothing. */
  readonly ignored?: string;
}

type Details = Partial<Pick<Flag, "choices" | "secret" | "urls" | "built" | "unbuilt" | "ignored">>;

function table(group: Group, since: string, rows: readonly Row[]): Flag[] {
  return rows.map(([name, kind, value, help, details]) => {
    const { since: own = since, ...rest } = details ?? {};
    return { name, kind, default: value, group, help, since: own, ...rest };
  });
}

type Row = [name: string, kind: Kind, value: Value, help: string, details?: Details & { since?: string }];

export const flags: readonly Flag[] = [
  ...table("Store", "≤0.5", [
    ["store", "string", "etcd", "where the leases are kept: etcd, sqlite:FILE or kubernetes", {
      since: "denim",
      unbuilt: ["kubernetes"],
    }],
    [
      "etcd-endpoints",
      "string",
      "http://127.0.0.1:4001,http://127.0.0.1:2379",
      "comma-separated list of etcd endpoints",
      { urls: true },
    ],
    [
      "etcd-prefix",
      "string",
      "/coreos.com/network",
      "etcd prefix of the network configuration and the leases",
    ],
    [
      "etcd-api",
      "string",
      "auto",
      "which of etcd's APIs has the network; auto looks for a configuration, v3 first",
      {
        since: "denim",
        choices: ["auto", "v2", "v3", "both"],
      },
    ],
    ["etcd-keyfile", "string", "", "client key file for etcd (PEM)"],
    ["etcd-certfile", "string", "", "client certificate file for etcd (PEM)"],
    [
      "etcd-cafile",
      "string",
      "",
      "certificate authority file that etcd's certificate is checked against (PEM)",
    ],
    ["etcd-username", "string", "", "user name for etcd", { since: "0.6" }],
    [
      "etcd-password",
      "string",
      "",
      "password for etcd; better given as FLANNELD_ETCD_PASSWORD or in the config file",
      {
        since: "0.6",
        secret: true,
      },
    ],
  ]),
  ...table("Addresses", "≤0.5", [
    [
      "iface",
      "list",
      [],
      "interface (name or IP) for traffic between hosts; the first that resolves wins; repeatable",
    ],
    [
      "iface-regex",
      "list",
      [],
      "regular expression on addresses and names of interfaces, tried when no -iface matched; repeatable",
      { since: "0.8" },
    ],
    ["iface-can-reach", "string", "", "use the interface that reaches this IP, as in ip route get", {
      since: "0.18",
    }],
    ["public-ip", "string", "", "IPv4 address that other hosts reach this one by; default: the interface's"],
    [
      "public-ipv6",
      "string",
      "",
      "IPv6 address that other hosts reach this one by; default: the interface's",
      {
        since: "0.15",
      },
    ],
  ]),
  ...table("Leases and files", "denim", [
    [
      "subnet-file",
      "string",
      "/run/flannel/subnet.env",
      "file that the subnet, MTU and masquerading are written to; socket, keys and state stand beside it",
      { since: "≤0.5" },
    ],
    [
      "state-dir",
      "string",
      "",
      "directory that keeps this host's id over reboots; not to be copied to other hosts; default: $STATE_DIRECTORY, " +
      "or /var/lib/flannel",
    ],
    ["subnet-lease-renew-margin", "int", 60, "minutes before its end at which the lease is renewed", {
      since: "0.7",
    }],
    [
      "on-lease-lost",
      "string",
      "reacquire",
      "what to do when another host owns our subnet: take another one, or exit with code 1",
      { choices: ["reacquire", "exit"] },
    ],
    [
      "follow-config",
      "bool",
      false,
      "move to another subnet when a changed network configuration has no room for ours",
      { built: false },
    ],
    [
      "instance",
      "string",
      "",
      "name of this daemon among several on one host (a-z, 0-9, -; at most 8); default: from -subnet-file",
    ],
    ["config-file", "string", "", "TOML file with flag names as keys, and [network] for the embedded store"],
    [
      "net-config-path",
      "string",
      "/etc/kube-flannel/net-conf.json",
      "file with the network configuration, for the stores that keep none: kubernetes, sqlite",
      { since: "0.12" },
    ],
  ]),
  ...table("Firewall and routes", "0.11", [
    ["ip-masq", "bool", false, "masquerade traffic that leaves the overlay network", { since: "≤0.5" }],
    ["ip-masq-fully-random-disable", "bool", false, "never add random-fully to the masquerade rules", {
      since: "0.27.4",
    }],
    ["iptables-forward-rules", "bool", true, "accept forwarded traffic from and to the overlay network"],
    ["iptables-resync", "int", 5, "seconds between two looks at the firewall rules"],
    ["iptables-variant", "string", "auto", "which iptables commands to use", {
      since: "denim",
      choices: ["auto", "nft", "legacy"],
    }],
    [
      "iptables-layout",
      "string",
      "chains",
      "how the rules stand: in chains of their own as flannel 0.28's, or bare in POSTROUTING and FORWARD as 0.11's (legacy)",
      { since: "denim", choices: ["chains", "legacy"] },
    ],
    ["ip-blackhole-route", "bool", false, "keep a blackhole route for this host's own subnet", {
      since: "0.27.1",
      built: false,
    }],
  ]),
  ...table("Userspace tunnel", "denim", [
    [
      "udp-accept-moved",
      "bool",
      false,
      "backend udp: take a peer's packets also from the first other address they come from, where hosts do not send from their public IP",
    ],
  ]),
  ...table("Kubernetes", "0.8", [
    ["kube-subnet-mgr", "bool", false, "get subnets from the Kubernetes API instead of etcd", {
      since: "0.7",
      built: false,
    }],
    ["kube-api-url", "string", "", "URL of the Kubernetes API server", { urls: true, built: false }],
    ["kubeconfig-file", "string", "", "kubeconfig file with location and credentials of the API server", {
      built: false,
    }],
    [
      "kube-annotation-prefix",
      "string",
      "flannel.alpha.coreos.com",
      "prefix of the annotations on the node",
      {
        since: "0.11",
      },
    ],
    ["set-node-network-unavailable", "bool", true, "clear the NetworkUnavailable condition of the node", {
      since: "0.14",
    }],
  ]),
  ...table("Running", "denim", [
    ["healthz-ip", "string", "0.0.0.0", "IP that the health server listens on", { since: "0.8" }],
    ["healthz-port", "int", 0, "port of the health server; 0 or less switches it off", { since: "0.8" }],
    ["force", "bool", false, "start although another make's flanneld runs here for the same subnet file"],
    ["read-only", "bool", false, "log what would be done, write nothing to the kernel"],
    ["log-format", "string", "text", "form of the log lines on stderr", {
      choices: ["text", "klog", "json"],
    }],
    ["v", "decimal", 0, "verbosity of the log, 0 to 6", { since: "≤0.5" }],
    ["vmodule", "string", "", "comma-separated pattern=N verbosities by file", {
      since: "≤0.5",
      ignored: "the log has one verbosity for all, -v",
    }],
    ["log_backtrace_at", "string", ":0", "file:line at which to log a stack trace", {
      since: "≤0.5",
      ignored: "log lines carry no source positions",
    }],
    [
      "upstream-exit-codes",
      "bool",
      false,
      "flannel's exit codes: 0 for a wrong command line and for a lost lease, words after the flags ignored",
    ],
    ["version", "bool", false, "print the version on stderr and exit", { since: "≤0.5" }],
  ]),
];

const byName = new Map(flags.map((flag) => [flag.name, flag]));

/** The flag with this name, without dashes. */
export function flagNamed(name: string): Flag | undefined {
  return byName.get(name);
}

/** `etcd-endpoints` → `FLANNELD_ETCD_ENDPOINTS`. */
export function variableOf(flag: Flag): string {
  return "FLANNELD_" + flag.name.toUpperCase().replaceAll("-", "_");
}

/** What a flag is before anybody set it. */
export function isDefault(flag: Flag, value: Value): boolean {
  return Array.isArray(value) ? value.length === 0 : value === flag.default;
}
