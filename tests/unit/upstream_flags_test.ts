/**
 * flannel's flags letter for letter: every flag of the releases 0.11.0 and 0.28 with its type and default, written down here a
 * second time, in every spelling that flannel takes; and those that flannel itself has dropped.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseEnvironment } from "../../src/cli/environment.ts";
import { type Flag, flagNamed, flags, type Kind, type Value, variableOf } from "../../src/cli/flags.ts";
import { usage } from "../../src/cli/help.ts";
import { CommandLineError, parseArgs } from "../../src/cli/parse_args.ts";
import { readOptions } from "../../src/cli/read_options.ts";
import { removedFlags } from "../../src/cli/removed_flags.ts";

type Row = readonly [name: string, kind: Kind, value: Value];

const IN_BOTH: readonly Row[] = [
  ["etcd-endpoints", "string", "http://127.0.0.1:4001,http://127.0.0.1:2379"],
  ["etcd-prefix", "string", "/coreos.com/network"],
  ["etcd-keyfile", "string", ""],
  ["etcd-certfile", "string", ""],
  ["etcd-cafile", "string", ""],
  ["etcd-username", "string", ""],
  ["etcd-password", "string", ""],
  ["iface", "list", []],
  ["iface-regex", "list", []],
  ["public-ip", "string", ""],
  ["subnet-file", "string", "/run/flannel/subnet.env"],
  ["subnet-lease-renew-margin", "int", 60],
  ["ip-masq", "bool", false],
  ["kube-subnet-mgr", "bool", false],
  ["kube-api-url", "string", ""],
  ["kubeconfig-file", "string", ""],
  ["kube-annotation-prefix", "string", "flannel.alpha.coreos.com"],
  ["healthz-ip", "string", "0.0.0.0"],
  ["healthz-port", "int", 0],
  ["iptables-resync", "int", 5],
  ["iptables-forward-rules", "bool", true],
  ["version", "bool", false],
  ["v", "decimal", 0],
  ["vmodule", "string", ""],
  ["log_backtrace_at", "string", ":0"],
];

const IN_0_28_ALONE: readonly Row[] = [
  ["iface-can-reach", "string", ""],
  ["public-ipv6", "string", ""],
  ["ip-masq-fully-random-disable", "bool", false],
  ["net-config-path", "string", "/etc/kube-flannel/net-conf.json"],
  ["set-node-network-unavailable", "bool", true],
  ["ip-blackhole-route", "bool", false],
];

const ALL = [...IN_BOTH, ...IN_0_28_ALONE];

/** Refused, because the daemon would do something else than was asked for; and what is said instead. */
const REFUSED: readonly (readonly [name: string, instead: RegExp])[] = [
  ["networks", /one daemon per network.*-etcd-prefix and -subnet-file/],
  ["subnet-dir", /one daemon per network.*-subnet-file/],
  ["listen", /client and server mode is gone.*-etcd-endpoints/],
  ["remote", /client and server mode is gone.*-etcd-endpoints/],
  ["remote-keyfile", /client and server mode is gone.*-etcd-endpoints/],
  ["remote-certfile", /client and server mode is gone.*-etcd-endpoints/],
  ["remote-cafile", /client and server mode is gone.*-etcd-endpoints/],
];

/** Passed over with a warning; `takes` the next word where the value is not behind `=`. */
const PASSED_OVER: readonly (readonly [name: string, takes: boolean])[] = [
  ["logtostderr", false],
  ["alsologtostderr", false],
  ["stderrthreshold", true],
  ["log_dir", true],
];

/** A value that the flag takes, other than its default, as a word and as it is read. */
function sample([name, kind, value]: Row): [word: string, value: Value] {
  if (kind === "bool") return [String(!value), !value];
  if (kind === "int" || kind === "decimal") return ["17", 17];
  const word = name.startsWith("etcd-endpoints")
    ? "http://192.0.2.1:2379"
    : name.endsWith("ipv6")
    ? "fd00::1"
    : "192.0.2.1";
  return [word, kind === "list" ? [word] : word];
}

Deno.test("each flag of flannel is there, with its type and its default", () => {
  for (const [name, kind, value] of ALL) {
    const flag = flagNamed(name);
    assertEquals([name, flag?.kind, flag?.default], [name, kind, value]);
  }
  const ours = flags.filter((flag) => flag.since !== "denim").map((flag) => flag.name);
  assertEquals(ours.sort(), ALL.map(([name]) => name).sort());
});

Deno.test("each takes one dash or two, and its value behind = or in the next word", () => {
  for (const row of ALL) {
    const [name, kind] = row;
    const [word, value] = sample(row);
    for (const dashes of ["-", "--"]) {
      const spellings = [[`${dashes}${name}=${word}`]];
      if (kind !== "bool") spellings.push([`${dashes}${name}`, word]);
      else if (value === true) spellings.push([`${dashes}${name}`]);
      for (const args of spellings) {
        const line = parseArgs([...args, "-upstream-exit-codes"]);
        assertEquals([args, line.values.get(name)], [args, value]);
        assertEquals([line.ignored, line.values.get("upstream-exit-codes")], [[], true]);
      }
    }
  }
});

Deno.test("a switch leaves the next word alone, anything else takes it whatever it looks like", () => {
  for (const [name, kind] of ALL) {
    const line = () => parseArgs([`-${name}`, "-ip-masq"]).values;
    if (kind === "int" || kind === "decimal") {
      assertThrows(line, CommandLineError, `invalid value "-ip-masq" for flag -${name}`);
    } else assertEquals(line().has("ip-masq"), kind === "bool", name);
  }
});

Deno.test("each has its variable, but for -version; an empty one counts as unset", () => {
  for (const row of ALL) {
    const [name] = row;
    const [word, value] = sample(row);
    const variable = `FLANNELD_${name.toUpperCase().replaceAll("-", "_")}`;
    assertEquals(variableOf(flagNamed(name)!), variable);
    const { values } = parseEnvironment({ [variable]: word });
    assertEquals([variable, values.get(name)], [variable, name === "version" ? undefined : value]);
    assertEquals(parseEnvironment({ [variable]: "" }).values.size, 0);
  }
});

Deno.test("what flannel takes starts the daemon, unless the part behind it does not exist yet", () => {
  const readFile = () => ({ text: "", readableByOthers: false });
  for (const row of ALL.filter(([name]) => name !== "version")) {
    const flag: Flag = flagNamed(row[0])!;
    const read = () => readOptions({ args: [`-${row[0]}=${sample(row)[0]}`], environment: {}, readFile });
    if (flag.built === false) assertThrows(read, Error, "this release does not have that part");
    else assertEquals(read().kind, "run", row[0]);
  }
});

Deno.test("-help lists every flag as Go does", () => {
  const text = usage("flanneld", {});
  for (const [name, kind, value] of ALL) {
    const type = kind === "bool"
      ? ""
      : ["iface", "iface-regex", "v", "vmodule", "log_backtrace_at"].includes(name)
      ? " value"
      : ` ${kind}`;
    const shown = [0, "", false, ":0"].includes(value as string) || kind === "list"
      ? ""
      : ` (default ${typeof value === "string" ? JSON.stringify(value) : value})`;
    const line = text.split("\n  -").find((part) => part.startsWith(`${name}${type}\n    \t`));
    assert(line !== undefined, name);
    assertEquals(/ \(default .*?\)/.exec(line)?.[0] ?? "", shown, name);
  }
});

Deno.test("what flannel dropped and would change the outcome is refused, with what replaces it", () => {
  for (const [name, instead] of REFUSED) {
    for (const args of [[`-${name}`, "x"], [`--${name}=x`]]) {
      const { message } = assertThrows(() => parseArgs(args), CommandLineError);
      assert(message.startsWith(`flag provided but not defined: -${name}: an old release had it; `), message);
      assertMatch(message, instead);
    }
  }
});

Deno.test("what flannel dropped and does no harm is passed over, with what replaces it", () => {
  for (const [name, takes] of PASSED_OVER) {
    for (const args of [takes ? [`-${name}`, "x"] : [`-${name}`], [`--${name}=x`]]) {
      const line = parseArgs([...args, "-ip-masq"]);
      assertEquals([line.values.get("ip-masq"), line.ignored, line.warnings.length], [true, [], 1], name);
      assertMatch(line.warnings[0]!, new RegExp(`^flag -${name}: ignored, .*; the log goes to stderr`));
    }
  }
  for (const [name] of [...REFUSED, ...PASSED_OVER]) {
    assert(removedFlags.has(name) && flagNamed(name) === undefined, name);
  }
});
