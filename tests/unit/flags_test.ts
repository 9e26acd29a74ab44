/** The command line by Go's rules, and how flags, environment, file and defaults meet. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../../src/model/errors.ts";
import { formatIp } from "../../src/model/ip.ts";
import { flags } from "../../src/cli/flags.ts";
import { type DaemonOptions, describeOptions } from "../../src/cli/options.ts";
import { CommandLineError, parseArgs } from "../../src/cli/parse_args.ts";
import { type Inputs, readOptions, wantsUpstreamExitCodes } from "../../src/cli/read_options.ts";

function inputs(args: readonly string[], rest: Partial<Inputs> = {}): Inputs {
  const readFile = (path: string): never => {
    throw new Deno.errors.NotFound(`no file ${path}`);
  };
  return { args, environment: {}, readFile, ...rest };
}

function options(args: readonly string[], rest: Partial<Inputs> = {}): DaemonOptions {
  const request = readOptions(inputs(args, rest));
  assert(request.kind === "run", request.kind);
  return request.options;
}

function refusal(args: readonly string[], rest: Partial<Inputs> = {}): string {
  return assertThrows(() => readOptions(inputs(args, rest)), UsageError).message;
}

const file = (text: string, readableByOthers = false) => ({ readFile: () => ({ text, readableByOthers }) });

Deno.test("one dash or two, the value after = or in the next word", () => {
  for (
    const args of [["-healthz-port=300"], ["--healthz-port=300"], ["-healthz-port", "300"], [
      "--healthz-port",
      "300",
    ]]
  ) {
    assertEquals(options(args).healthzPort, 300, args.join(" "));
  }
});

Deno.test("without anything every flag has upstream's default", () => {
  const { settings: _, ...plain } = options([]);
  assertEquals({ ...plain, healthzIp: formatIp(plain.healthzIp) }, {
    store: { type: "etcd" },
    etcdEndpoints: ["http://127.0.0.1:4001", "http://127.0.0.1:2379"],
    etcdPrefix: "/coreos.com/network",
    etcdApi: "auto",
    etcdKeyfile: "",
    etcdCertfile: "",
    etcdCafile: "",
    etcdUsername: "",
    etcdPassword: "",
    iface: [],
    ifaceRegex: [],
    ifaceCanReach: null,
    publicIp: null,
    publicIpv6: null,
    subnetFile: "/run/flannel/subnet.env",
    subnetLeaseRenewMargin: 60,
    onLeaseLost: "reacquire",
    followConfig: false,
    instance: "default",
    netConfigPath: "/etc/kube-flannel/net-conf.json",
    networkConfigText: undefined,
    ipMasq: false,
    ipMasqFullyRandomDisable: false,
    iptablesForwardRules: true,
    iptablesResync: 5,
    iptablesVariant: "auto",
    iptablesLayout: "chains",
    ipBlackholeRoute: false,
    udpAcceptMoved: false,
    kubeSubnetMgr: false,
    kubeApiUrl: "",
    kubeconfigFile: "",
    kubeAnnotationPrefix: "flannel.alpha.coreos.com",
    setNodeNetworkUnavailable: true,
    stateDir: "",
    healthzIp: "0.0.0.0",
    healthzPort: 0,
    readOnly: false,
    force: false,
    logFormat: "text",
    v: 0,
    upstreamExitCodes: false,
    warnings: [],
  });
});

Deno.test("booleans take their value only with =, in Go's twelve words", () => {
  for (const word of ["1", "t", "T", "true", "TRUE", "True"]) {
    assertEquals(options([`-ip-masq=${word}`]).ipMasq, true);
  }
  for (const word of ["0", "f", "F", "false", "FALSE", "False"]) {
    assertEquals(options([`-iptables-forward-rules=${word}`]).iptablesForwardRules, false);
  }
  assertEquals(options(["-ip-masq", "-iface", "eth1"]).iface, ["eth1"]);
});

Deno.test("integers: base by prefix, underscores between digits, -v decimal only", () => {
  const good: [string, number][] = [
    ["0x1F", 31],
    ["017", 15],
    ["0o17", 15],
    ["0b101", 5],
    ["1_000", 1000],
    ["0x_1f", 31],
    ["0_17", 15],
    ["+7", 7],
    ["0", 0],
    ["-0", 0],
    ["00", 0],
  ];
  for (const [word, value] of good) {
    assertEquals(options([`-iptables-resync=${word}`]).iptablesResync, value, word);
  }
  for (const word of ["abc", "", "08", "1__0", "1_", "_1", "0x", "0b2", "1.0", " 1", "0x1g", "- 1"]) {
    assertStringIncludes(refusal([`-iptables-resync=${word}`]), `for flag -iptables-resync: parse error`);
  }
  assertStringIncludes(refusal(["-iptables-resync=99999999999999999999"]), "value out of range");
  assertEquals(options(["-v=010"]).v, 10);
  assertStringIncludes(
    refusal(["-v=0x1"]),
    `invalid value "0x1" for flag -v: parse error; give a whole number`,
  );
});

Deno.test("a repeated scalar is the last one; interfaces accumulate in order", () => {
  assertEquals(options(["-v", "1", "-v", "2"]).v, 2);
  assertEquals(options(["-iface", "eth1", "--iface=10.0.0.1"]).iface, ["eth1", "10.0.0.1"]);
});

Deno.test("an empty element of a list counts as not given, wherever it stands", () => {
  for (const name of flags.filter((flag) => flag.kind === "list").map((flag) => flag.name)) {
    const variable = "FLANNELD_" + name.toUpperCase().replaceAll("-", "_");
    const rest = { environment: { FLANNELD_CONFIG_FILE: "c.toml", [variable]: " " } };
    for (const toml of [`${name} = ""`, `${name} = []`, `${name} = ["", " "]`]) {
      const { value, source } = options([`-${name}=`, `-${name}`, ""], { ...rest, ...file(toml) }).settings
        .get(name)!;
      assertEquals<unknown>([value, source], [[], "default"], toml);
    }
    const environment = { ...rest.environment, [variable]: "eth1" };
    const other = options([`-${name}=`], { environment, ...file("") }).settings.get(name)!;
    assertEquals<unknown>([other.value, other.source], [["eth1"], "environment"]);
    const kept = options([`-${name}=`, `-${name}=a`, `-${name}=`, `-${name}=b`]).settings.get(name)!;
    assertEquals<unknown>(kept.value, ["a", "b"]);
  }
});

Deno.test("errors start with upstream's words", () => {
  const cases: [string[], string][] = [
    [["-xyz"], "flag provided but not defined: -xyz; see flanneld -help"],
    [
      ["-etcd-endpoint=x"],
      "flag provided but not defined: -etcd-endpoint; did you mean -etcd-endpoints? (see",
    ],
    [["-healthz-port", "abc"], `invalid value "abc" for flag -healthz-port: parse error`],
    [["-ip-masq=yes"], `invalid boolean value "yes" for -ip-masq: parse error`],
    [["-iface"], "flag needs an argument: -iface"],
    [["---iface"], "bad flag syntax: ---iface"],
    [["-=x"], "bad flag syntax: -=x"],
    [["-log-format=xml"], `invalid value "xml" for flag -log-format: must be text, klog or json`],
    [["-subnet-dir", "/x"], "flag provided but not defined: -subnet-dir: an old release had it"],
  ];
  for (const [args, text] of cases) {
    const error = assertThrows(() => parseArgs(args), CommandLineError);
    assert(error.message.startsWith(text), `${error.message} starts with ${text}`);
    assertStringIncludes(error.message, "flanneld -help");
    assertEquals(error.exitCode, 2);
  }
});

Deno.test("words after the flags are refused and named; with -upstream-exit-codes only a warning", () => {
  const text = refusal(["-ip-masq", "true", "-iface", "eth1"]);
  assertStringIncludes(text, `"true" "-iface" "eth1"`);
  assertStringIncludes(text, "write -ip-masq=true");
  for (const args of [["-"], ["--", "x"], [""], ["-ip-masq", "--", "true"]]) {
    assert(!refusal(args).includes("write -ip-masq"), args.join(" "));
  }
  const upstream = options(["-upstream-exit-codes", "-ip-masq", "true", "-iface", "eth1"]);
  assertEquals([upstream.iface, upstream.warnings.length], [[], 1]);
  assertEquals(options(["-ip-masq", "--"]).ipMasq, true);
});

Deno.test("a value that looks like the next flag is taken, with a warning", () => {
  const { publicIp, warnings } = options(["-iface", "-ip-masq", "-public-ip", "192.0.2.1"]);
  assertEquals([formatIp(publicIp!), warnings.length], ["192.0.2.1", 1]);
  assertStringIncludes(warnings[0]!, `"-ip-masq"`);
});

Deno.test("-h, -help and -version answer before anything else is looked at", () => {
  for (const word of ["-h", "--help", "-help=x"]) {
    assertEquals(readOptions(inputs([word, "-nonsense"])).kind, "help");
  }
  assertEquals(readOptions(inputs(["-version", "-config-file=absent"])).kind, "version");
  assertEquals(readOptions(inputs([], { environment: { FLANNELD_VERSION: "true" } })).kind, "run");
});

Deno.test("logging flags of old releases are passed over with a warning", () => {
  const { warnings, ipMasq } = options([
    "-logtostderr",
    "-log_dir",
    "/var/log",
    "--alsologtostderr=true",
    "-ip-masq",
  ]);
  assertEquals([warnings.length, ipMasq], [3, true]);
  assertStringIncludes(options(["-vmodule", "x=2"]).warnings[0]!, "no effect");
});

Deno.test("flag beats environment beats file beats default", () => {
  const environment = { FLANNELD_V: "2", FLANNELD_IFACE: "eth1,eth2", FLANNELD_CONFIG_FILE: "c.toml" };
  const rest = { environment, ...file(`v = 3\niface = ["eth3"]\nip-masq = true`) };
  const all = options(["-v=1"], rest);
  assertEquals([all.v, all.iface, all.ipMasq, all.healthzPort], [1, ["eth1,eth2"], true, 0]);
  const sources = ["v", "iface", "ip-masq", "healthz-port"].map((name) => all.settings.get(name)?.source);
  assertEquals(sources, ["flag", "environment", "file", "default"]);
});

Deno.test("the environment: empty is unset, a bad value and an unknown name are warnings", () => {
  const environment = {
    FLANNELD_IP_MASQ: "yes",
    FLANNELD_V: "",
    FLANNELD_ETCD_ENDPOINT: "http://h:1",
    OTHER: "x",
  };
  const { ipMasq, v, warnings } = options([], { environment });
  assertEquals([ipMasq, v, warnings.length], [false, 0, 2]);
  assertStringIncludes(warnings[0]!, `FLANNELD_IP_MASQ "yes": parse error`);
  assertStringIncludes(warnings[1]!, "did you mean FLANNELD_ETCD_ENDPOINTS?");
  assertEquals(options([], { environment: { FLANNELD_IP_MASQ: "T" } }).ipMasq, true);
});

Deno.test("values that cannot mean anything are refused with the way out", () => {
  const cases: [string, string][] = [
    ["-subnet-lease-renew-margin=0", "out of acceptable range; give minutes from 1 to 1439"],
    ["-subnet-lease-renew-margin=1440", "out of acceptable range"],
    ["-public-ip=fd00::1", `use -public-ip "fd00::1": not an IPv4 address`],
    ["-public-ipv6=192.0.2.1", "not an IPv6 address"],
    ["-healthz-ip=localhost", "not an IP address"],
    ["-healthz-port=65536", "not a port"],
    ["-instance=Über", "not a name"],
    ["-instance=ninechars", "not a name"],
    ["-store=sqlite:", "no such store"],
    ["-store=consul", "no such store"],
    ["-etcd-endpoints=,", "no endpoint in it"],
    ["-etcd-endpoints=ftp://h", "not an endpoint"],
    ["-etcd-prefix=", "need a name to stand under"],
    ["-subnet-file=/run/", "not a file"],
  ];
  for (const [arg, text] of cases) {
    assertStringIncludes(refusal([arg]), text);
    assert(!(assertThrows(() => readOptions(inputs([arg]))) instanceof CommandLineError), arg);
  }
});

Deno.test("what is not built is parsed, and refused when it is asked for", () => {
  for (
    const arg of [
      "-kube-subnet-mgr",
      "-ip-blackhole-route",
      "-follow-config",
      "-store=kubernetes",
      "-kube-api-url=x",
    ]
  ) {
    assertStringIncludes(refusal([arg]), "this release does not have that part");
  }
  const off = options(["-ip-blackhole-route=false", "-kube-api-url="]);
  assertEquals([off.ipBlackholeRoute, off.kubeApiUrl], [false, ""]);
});

Deno.test("endpoints and prefix are cleaned", () => {
  assertEquals(options(["-etcd-endpoints=https://a:2379, 10.0.0.1:2379,"]).etcdEndpoints, [
    "https://a:2379",
    "10.0.0.1:2379",
  ]);
  const cleaned: [string, string][] = [["//a///b/", "/a/b"], ["a/", "a"], ["/a/../b", "/b"]];
  for (const [text, prefix] of cleaned) assertEquals(options([`-etcd-prefix=${text}`]).etcdPrefix, prefix);
});

Deno.test("stores", () => {
  assertEquals(options(["-store=sqlite:/var/lib/x.db"]).store, { type: "sqlite", file: "/var/lib/x.db" });
  assertEquals(options(["-store=etcd"]).store, { type: "etcd" });
});

Deno.test("the instance is named after the subnet file, in eight characters, and differs for different files", () => {
  const instance = (path: string) => options([`-subnet-file=${path}`]).instance;
  assertEquals(instance("/run/flannel//subnet.env"), "default");
  assertEquals(instance("/run/flannel/Red.env"), "red");
  assertEquals(instance("/run/blue/subnet.env"), "blue");
  assertEquals(options(["-subnet-file=/run/blue/subnet.env", "-instance=green"]).instance, "green");
  const names = [
    "/run/cluster-one.env",
    "/run/cluster-two.env",
    "/run/default/subnet.env",
    "/run/ü.env",
    "/x/subnet.env",
  ]
    .map(instance);
  assertEquals(new Set(names).size, names.length);
  for (const name of names) assert(/^[a-z0-9][a-z0-9-]{0,7}$/.test(name) && name !== "default", name);
});

Deno.test("the password reaches no description, and on the command line draws a warning", () => {
  const environment = { FLANNELD_ETCD_PASSWORD: "hunter2" };
  const quiet = options(["-etcd-endpoints=http://h:2379", "-iface=eth1"], { environment });
  assertEquals(
    describeOptions(quiet),
    'CLI flags config: {etcd-endpoints="http://h:2379" (flag), etcd-password=(hidden) (environment), ' +
      'iface=["eth1"] (flag)}, everything else by default',
  );
  assertEquals([quiet.etcdPassword, quiet.warnings], ["hunter2", []]);
  const { warnings } = options(["-etcd-password", "hunter2"]);
  assertStringIncludes(warnings.join(), "FLANNELD_ETCD_PASSWORD");
  assert(!warnings.join().includes("hunter2"));
});

Deno.test("upstream's exit codes can be asked for even by a wrong command line", () => {
  const asked = (args: string[], environment = {}) => wantsUpstreamExitCodes({ args, environment });
  assert(asked(["-xyz", "--upstream-exit-codes"]));
  assert(asked(["-xyz"], { FLANNELD_UPSTREAM_EXIT_CODES: "true" }));
  assert(!asked(["-xyz", "-upstream-exit-codes=false"]));
});

Deno.test("the table is sound: unique names, defaults of the right type, choices that hold the default", () => {
  assertEquals(new Set(flags.map((flag) => flag.name)).size, flags.length);
  const types = { bool: "boolean", int: "number", decimal: "number", string: "string", list: "object" };
  for (const flag of flags) {
    assertEquals<string>(typeof flag.default, types[flag.kind], flag.name);
    assert(flag.choices?.includes(String(flag.default)) ?? true, flag.name);
    assert(!flag.help.endsWith("."), flag.name);
  }
});

Deno.test("a message stays short, whatever the words hold and however many there are", () => {
  const controls = "\u0000".repeat(300);
  const short = (...args: string[]) => {
    const message = refusal(args);
    assert(message.length < 800, message);
    return message;
  };
  assertStringIncludes(short("-ip-masq", ...new Array(50).fill(controls)), " and 45 more; remove them");
  assertStringIncludes(short(`-healthz-port=${controls}`), '…" for flag -healthz-port: an invisible');
  assertStringIncludes(short("-ip-masq", "a", "b"), '"a" "b"; remove them');
});
