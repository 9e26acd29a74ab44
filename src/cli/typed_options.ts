/** From settings (words, numbers) to typed options: addresses parsed, lists split, names checked. Pure. */
import { posix } from "node:path";
import { interfacePattern } from "../underlay/interface_pattern.ts";
import { UsageError } from "../model/errors.ts";
import { type Family, type Ip, parseIp } from "../model/ip.ts";
import { quotedWord } from "./hide.ts";
import { instanceOf, isInstanceName } from "./instance.ts";
import type { DaemonOptions, Settings, StoreChoice } from "./options.ts";

type Typed = Omit<DaemonOptions, "settings" | "warnings" | "networkConfigText">;

/** @throws UsageError where a value cannot mean anything */
export function typed(settings: Settings): Typed {
  const get = new Getter(settings);
  return {
    ...store(get),
    ...addresses(get),
    ...leases(get),
    ...traffic(get),
    ...kubernetes(get),
    ...running(get),
  };
}

class Getter {
  constructor(readonly settings: Settings) {}

  text = (name: string): string => this.#value(name) as string;
  list = (name: string): readonly string[] => this.#value(name) as readonly string[];
  number = (name: string): number => this.#value(name) as number;
  flag = (name: string): boolean => this.#value(name) as boolean;

  given(name: string): boolean {
    return this.settings.get(name)?.source !== "default";
  }

  #value(name: string): unknown {
    return this.settings.get(name)?.value;
  }
}

function store(get: Getter): Pick<Typed, Extract<keyof Typed, "store" | `etcd${string}`>> {
  return {
    store: storeChoice(get),
    etcdEndpoints: endpoints(get.text("etcd-endpoints")),
    etcdPrefix: prefix(get.text("etcd-prefix")),
    etcdApi: get.text("etcd-api") as Typed["etcdApi"],
    etcdKeyfile: get.text("etcd-keyfile"),
    etcdCertfile: get.text("etcd-certfile"),
    etcdCafile: get.text("etcd-cafile"),
    etcdUsername: get.text("etcd-username"),
    etcdPassword: get.text("etcd-password"),
  };
}

function storeChoice(get: Getter): StoreChoice {
  const text = get.text("store");
  const inCluster = get.flag("kube-subnet-mgr");
  if (inCluster && get.given("store") && text !== "kubernetes") {
    throw new UsageError(
      `use -store ${quotedWord(text)}: -kube-subnet-mgr says kubernetes; give one of the two`,
    );
  }
  if (inCluster || text === "kubernetes") return { type: "kubernetes" };
  if (text === "etcd") return { type: "etcd" };
  const file = /^sqlite:(.+)$/s.exec(text)?.[1];
  if (file !== undefined) return { type: "sqlite", file };
  throw new UsageError(`use -store ${quotedWord(text)}: no such store; give etcd, sqlite:FILE or kubernetes`);
}

/** Comma separated; blanks around an endpoint are dropped (flannel keeps them, and fails to connect). */
function endpoints(text: string): string[] {
  if (text.includes("@")) {
    throw new UsageError(
      "use -etcd-endpoints: an endpoint holds a user or password; give them with -etcd-username and -etcd-password",
    );
  }
  const list = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (list.length === 0) {
    throw new UsageError(`use -etcd-endpoints ${quotedWord(text)}: no endpoint in it; give http://HOST:PORT`);
  }
  const strange = list.find((part) => !isEndpoint(part));
  if (strange === undefined) return list;
  throw new UsageError(
    `use -etcd-endpoints ${quotedWord(strange)}: not an endpoint; give http://HOST:PORT or https://HOST:PORT`,
  );
}

function isEndpoint(text: string): boolean {
  if (/^unixs?:\/\/\S+$/.test(text)) return true;
  return /^(https?:\/\/\S+|[^\s/]+)$/.test(text) &&
    URL.canParse(/^https?:/.test(text) ? text : `http://${text}`);
}

/** Cleaned like a Go path: `//` and the slash at the end go, none is added in front. */
function prefix(text: string): string {
  const cleaned = posix.normalize(text).replace(/(?<=.)\/$/, "");
  if (text !== "" && cleaned !== "/") return cleaned;
  throw new UsageError(
    `use -etcd-prefix ${quotedWord(text)}: the keys need a name to stand under; give /NAME`,
  );
}

function addresses(
  get: Getter,
): Pick<Typed, "iface" | "ifaceRegex" | "ifaceCanReach" | "publicIp" | "publicIpv6"> {
  // What is wrong with a pattern shows at the start, not when no interface of a name was found.
  for (const pattern of get.list("iface-regex")) interfacePattern(pattern);
  return {
    iface: get.list("iface"),
    ifaceRegex: get.list("iface-regex"),
    ifaceCanReach: address(get, "iface-can-reach"),
    publicIp: address(get, "public-ip", 4),
    publicIpv6: address(get, "public-ipv6", 6),
  };
}

/** Null where the flag is empty. */
function address(get: Getter, name: string, family?: Family): Ip | null {
  const text = get.text(name);
  if (text === "") return null;
  const ip = parseIp(text);
  if (ip !== null && (family === undefined || ip.family === family)) return ip;
  const kind = family === undefined ? "IP" : `IPv${family}`;
  throw new UsageError(
    `use -${name} ${quotedWord(text)}: not an ${kind} address; give one like ${
      family === 6 ? "fd00::1" : "192.0.2.1"
    }`,
  );
}

type LeaseMember =
  | "subnetFile"
  | "stateDir"
  | "subnetLeaseRenewMargin"
  | "onLeaseLost"
  | "followConfig"
  | "instance"
  | "netConfigPath";

function leases(get: Getter): Pick<Typed, LeaseMember> {
  const subnetFile = get.text("subnet-file");
  if (subnetFile === "" || subnetFile.endsWith("/")) {
    throw new UsageError(
      `use -subnet-file ${quotedWord(subnetFile)}: not a file; give a path like /run/flannel/subnet.env`,
    );
  }
  return {
    subnetFile,
    stateDir: get.text("state-dir"),
    subnetLeaseRenewMargin: margin(get.number("subnet-lease-renew-margin")),
    onLeaseLost: get.text("on-lease-lost") as Typed["onLeaseLost"],
    followConfig: get.flag("follow-config"),
    instance: instance(get.text("instance"), subnetFile),
    netConfigPath: get.text("net-config-path"),
  };
}

function margin(minutes: number): number {
  if (minutes >= 1 && minutes <= 1439) return minutes;
  const text =
    `use -subnet-lease-renew-margin "${minutes}": out of acceptable range; give minutes from 1 to 1439`;
  throw new UsageError(text);
}

function instance(text: string, subnetFile: string): string {
  if (text === "") return instanceOf(subnetFile);
  if (isInstanceName(text)) return text;
  throw new UsageError(
    `use -instance ${quotedWord(text)}: not a name; give 1 to 8 characters of a-z, 0-9 and the dash`,
  );
}

type TrafficMember = Extract<keyof Typed, `ip${"M" | "B" | "tables"}${string}`> | "udpAcceptMoved";

function traffic(get: Getter): Pick<Typed, TrafficMember> {
  return {
    ipMasq: get.flag("ip-masq"),
    ipMasqFullyRandomDisable: get.flag("ip-masq-fully-random-disable"),
    iptablesForwardRules: get.flag("iptables-forward-rules"),
    iptablesResync: get.number("iptables-resync"),
    iptablesVariant: get.text("iptables-variant") as Typed["iptablesVariant"],
    iptablesLayout: get.text("iptables-layout") as Typed["iptablesLayout"],
    ipBlackholeRoute: get.flag("ip-blackhole-route"),
    udpAcceptMoved: get.flag("udp-accept-moved"),
  };
}

function kubernetes(
  get: Getter,
): Pick<Typed, Extract<keyof Typed, `kube${string}` | "setNodeNetworkUnavailable">> {
  return {
    kubeSubnetMgr: get.flag("kube-subnet-mgr"),
    kubeApiUrl: get.text("kube-api-url"),
    kubeconfigFile: get.text("kubeconfig-file"),
    kubeAnnotationPrefix: get.text("kube-annotation-prefix"),
    setNodeNetworkUnavailable: get.flag("set-node-network-unavailable"),
  };
}

type RunningMember =
  | "healthzIp"
  | "healthzPort"
  | "readOnly"
  | "force"
  | "logFormat"
  | "v"
  | "upstreamExitCodes";

function running(get: Getter): Pick<Typed, RunningMember> {
  const port = get.number("healthz-port");
  if (port > 65535) {
    throw new UsageError(`use -healthz-port "${port}": not a port; give 1 to 65535, or 0 to switch it off`);
  }
  return {
    healthzIp: address(get, "healthz-ip") ?? parseIp("0.0.0.0")!,
    healthzPort: Math.max(0, port),
    readOnly: get.flag("read-only"),
    force: get.flag("force"),
    logFormat: get.text("log-format") as Typed["logFormat"],
    v: get.number("v"),
    upstreamExitCodes: get.flag("upstream-exit-codes"),
  };
}
