/** What stands in files, in the environment and on the command line. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import type { Library } from "../../ffi/library.ts";
import { flags, variableOf } from "../../src/cli/flags.ts";
import { readOptions } from "../../src/cli/read_options.ts";
import { parseToml } from "../../src/cli/toml.ts";
import { dockerOptions } from "../../src/files/docker_opts.ts";
import { parseEnv } from "../../src/files/env_text.ts";
import { parseSubnetEnv } from "../../src/files/subnet_env.ts";
import { keptDescriptors } from "../../src/kernel/tunnel/kept_descriptors.ts";
import { formatPrefix, parsePrefix } from "../../src/model/prefix.ts";
import { parseEndpoints } from "../../src/store/etcd/endpoints.ts";
import { fuzz, long, noise, orFailure, soup } from "../support/fuzzing.ts";

const names = [
  "FLANNEL_SUBNET",
  "FLANNEL_NETWORK",
  "FLANNEL_MTU",
  "FLANNEL_IPMASQ",
  "FLANNEL_IPV6_SUBNET",
  "A",
];
const envWords = [
  ...names,
  "=",
  ":",
  "\n",
  "\r\n",
  "\r",
  "export ",
  "$A",
  "${A}",
  '"',
  "'",
  "\\",
  "#",
  " ",
  "$(id)",
];
const values = ["10.1.2.1/24", "fd00::1/64", "1450", "true", "10.1.0.0/16", "0.0.0.0/0", "`id`", ";id"];
const envText = soup([...envWords, ...values]);

fuzz("subnet.env never throws, and gives prefixes or problems", envText, (text) => {
  const { networks, subnets, problems } = parseSubnetEnv(text);
  for (const prefix of [...networks, subnets.v4 ?? [], subnets.v6 ?? []].flat()) {
    assertEquals(parsePrefix(formatPrefix(prefix)), prefix);
    assert(prefix.length > 0);
  }
  assert(problems.join().length < 100_000);
});

const plain = fc.stringMatching(/^[\w./-]{0,30}$/);

fuzz(
  "variables without quotes are what stands behind the =",
  fc.dictionary(fc.constantFrom(...names), plain),
  (all) => {
    const text = Object.entries(all).map(([name, value]) => `${name}=${value}\n`).join("");
    assertEquals(Object.fromEntries(parseEnv(text)), { ...all });
  },
);

fuzz("docker's options hold nothing that a shell would act on", envText, (text) => {
  const options = orFailure(() => dockerOptions(parseEnv(text)));
  for (const line of options?.trimEnd().split("\n") ?? []) assertMatch(line, /^\w+="[\w.:/=\s-]*"$/);
});

const tomlWords = [
  ...flags.map((flag) => flag.name),
  "=",
  '"',
  "'",
  "\n",
  "[network]",
  "[[",
  "]]",
  "1",
  "true",
  "{",
  "}",
];

fuzz("a config file is read or refused in a few words", soup(tomlWords), (text) => {
  orFailure(() => parseToml("/f.toml", text));
});

const argument = soup([
  ...flags.map((flag) => `-${flag.name}`),
  "--",
  "-",
  "=",
  "true",
  "0x1f",
  "1_0",
  "-1",
  "9".repeat(40),
]);
const environment = fc.dictionary(fc.oneof(fc.constantFrom(...flags.map(variableOf)), noise), argument, {
  maxKeys: 5,
});

fuzz(
  "command line and environment are read or refused",
  fc.tuple(fc.array(argument), environment),
  ([args, all]) => {
    orFailure(() =>
      readOptions({ args, environment: all, readFile: () => ({ text: "", readableByOthers: false }) })
    );
  },
);

fuzz(
  "endpoints",
  soup(["http://", "https://", "unix://", "[::1]", ":2379", "h", "/", ",", "@", "?", "%00"]),
  (text) => {
    const endpoints = orFailure(() => parseEndpoints(text, true));
    for (const { host, target } of endpoints ?? []) assert(host !== "" && target !== "");
  },
);

/** Ten descriptors are open, and none is a device or socket of ours. */
const library = {
  symbols: { denim_describe: (fd: number) => fd < 13 ? 0 : -9, denim_close_on_exec: () => 0 },
} as unknown as Library;

const count = fc.oneof(
  fc.integer().map(String),
  fc.constantFrom("Infinity", "1e9", "0x10", " 3", "999999999"),
  noise,
);

fuzz(
  "what a service manager hands over",
  fc.tuple(count, count, soup(["a", ":", "denim"])),
  ([pid, fds, of]) => {
    const variables = new Map([["LISTEN_PID", pid], ["LISTEN_FDS", fds], ["LISTEN_FDNAMES", of]]);
    const kept = keptDescriptors(library, variables, Number(pid));
    assertEquals([kept.waiting.size, variables.size], [0, 0]);
  },
);

long("subnet.env", {
  "blanks": ["A=x", " ", "y"],
  "blanks before a carriage return": ["A=", " ", "x\rx"],
  "lines": ["", "FLANNEL_SUBNET=10.1.2.1/24\n", ""],
  "list entries": ["FLANNEL_SUBNET=", "x,", ""],
  "variables that double": ["A=xxxxxxxxxxxxxxxx\n", "A=$A$A\n", "FLANNEL_SUBNET=$A"],
  "open quotes": ['A="', '\\"', ""],
}, parseSubnetEnv);

long("config file", {
  "opening brackets": ["iface = ", "[", ""],
  "an unknown key": ["", "x", " = 1"],
  "lines": ["", "# x\n", "v = 1"],
}, (text) => orFailure(() => parseToml("/f.toml", text)));

long("command line", { "a name": ["-", "x", ""], "a number": ["-v=", "1_", ""] }, (text) => {
  orFailure(() =>
    readOptions({ args: [text], environment: {}, readFile: () => ({ text, readableByOthers: false }) })
  );
});
