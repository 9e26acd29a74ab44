/**
 * Every flag with every kind of bad value, by each way a value can come: what is refused is refused in one short line that names
 * the flag and the value and says what to give instead, in our words and not in the runtime's.
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { readFile } from "../../src/cli/config_file.ts";
import { type Flag, flags, variableOf } from "../../src/cli/flags.ts";
import { readOptions } from "../../src/cli/read_options.ts";
import { run as dockerOpts } from "../../src/cli/docker_opts.ts";
import { run as config } from "../../src/cli/config/config.ts";
import { openSubnetFile } from "../../src/control/subnet_files.ts";
import { Failure, UsageError } from "../../src/model/errors.ts";
import { fileConfigSource } from "../../src/store/config_source.ts";
import { TlsFiles } from "../../src/store/etcd/tls.ts";
import { FakeClock } from "../support/clock.ts";

const damaged = {
  "control characters": "a\u001b[31m\nb",
  "a byte order mark": "\ufeff10.0.0.1",
  "a zero-width blank": "eth0\u200b",
  "a protected blank": "\u00a0true",
  "quotes that were kept": '"true"',
  "single quotes that were kept": "'http://127.0.0.1:2379'",
};

const wrong = {
  empty: "",
  "a word": "info",
  "a huge number": "9".repeat(30),
  "a negative number": "-1",
  "a fraction": "1.5",
  "a directory": "/tmp",
  "a missing file": "/nonexistent/x",
  "a bad address": "1.2.3.999",
  "a bad prefix": "10.0.0.0/99",
  "a bad URL": "htp:/x y",
  "a bad port": "http://h:99999",
  "a bad pattern": "(",
  "a very long word": "x".repeat(5000),
  blanks: " eth0 ",
};

const values = Object.entries({ ...damaged, ...wrong });

/** What a kind of flag can't mean. What a text can mean is found out later, where it is used. */
const impossible: Readonly<Record<string, readonly string[]>> = {
  bool: Object.keys(wrong),
  int: Object.keys(wrong).filter((kind) => kind !== "a negative number"),
  decimal: Object.keys(wrong).filter((kind) => kind !== "a negative number"),
  choice: Object.keys(wrong),
  address: Object.keys(wrong).filter((kind) => kind !== "empty"),
  text: [],
  list: [],
};

const addresses = ["iface-can-reach", "public-ip", "public-ipv6", "healthz-ip"];
/** Beyond what their kind says. */
const more: Readonly<Record<string, readonly string[]>> = {
  "store": Object.keys(wrong),
  "etcd-endpoints": [
    "empty",
    "a huge number",
    "a directory",
    "a missing file",
    "a bad address",
    "a bad prefix",
    "a bad URL",
    "a bad port",
  ],
  "etcd-prefix": ["empty"],
  "iface-regex": ["a bad pattern"],
  "instance": Object.keys(wrong).filter((kind) => !["empty", "a word", "a negative number"].includes(kind)),
  "subnet-file": ["empty"],
  "subnet-lease-renew-margin": ["a negative number"],
  "config-file": Object.keys(wrong).filter((kind) => kind !== "empty"),
  "kube-api-url": Object.keys(wrong).filter((kind) => kind !== "empty"),
  "kubeconfig-file": Object.keys(wrong).filter((kind) => kind !== "empty"),
};

function mustRefuse(flag: Flag, kind: string): boolean {
  if (flag.secret) return false;
  if (kind in damaged) return true;
  const sort = flag.choices ? "choice" : addresses.includes(flag.name) ? "address" : flag.kind;
  return [...impossible[sort] ?? [], ...more[flag.name] ?? []].includes(kind);
}

/** One line, short, without anything of the runtime's. */
function assertClear(message: string): void {
  assertEquals(message.split("\n").length, 1, message);
  assertMatch(message, /^[^\p{Cc}\p{Zl}\p{Zp}]+$/u);
  assert(!/os error|strconv|\bE[A-Z]{4,}\b|undefined|Error:|\s+at .*:\d+/.test(message), message);
  assert(message.length <= 400, `${message.length} characters: ${message}`);
}

function refusal(args: readonly string[], environment: Record<string, string> = {}): string | null {
  try {
    readOptions({ args, environment, readFile });
    return null;
  } catch (error) {
    assert(error instanceof UsageError, String(error));
    assertEquals(error.exitCode, 2);
    assertClear(error.message);
    return error.message;
  }
}

/** The value as it is shown: its first characters, or what is said of those that can't be. */
function assertShown(message: string, value: string): void {
  assertStringIncludes(message, JSON.stringify(value.slice(0, 100)).slice(1, -1));
}

for (const flag of flags) {
  Deno.test(`bad values of -${flag.name}: named with the flag, in one clear line`, () => {
    for (const [kind, value] of values) {
      const message = refusal([`-${flag.name}=${value}`]);
      assertEquals(message !== null, mustRefuse(flag, kind), `${kind}: ${message}`);
      if (message === null) continue;
      assert(flag.name === "config-file" || message.includes(`-${flag.name}`), message);
      assertShown(message, value);
      assertMatch(message, /[;:] ./);
    }
  });
}

Deno.test("bad values in the environment: an error, or a warning that names the variable", () => {
  for (const flag of flags.filter(({ name, secret }) => name !== "version" && !secret)) {
    for (const [kind, value] of values.filter(([, value]) => value !== "")) {
      const environment = { [variableOf(flag)]: value };
      const message = refusal([], environment);
      if (message !== null) {
        assertShown(message, value);
        continue;
      }
      const request = readOptions({ args: [], environment, readFile });
      const warnings = request.kind === "run" ? request.options.warnings : [];
      const said = warnings.filter((text) => text.includes(variableOf(flag)));
      assertEquals(said.length > 0, mustRefuse(flag, kind), `${flag.name}, ${kind}: ${warnings}`);
      for (const text of said) assertClear(text);
    }
  }
});

Deno.test("bad values in the config file: the file and the key are named", async () => {
  const path = await Deno.makeTempFile();
  try {
    for (
      const flag of flags.filter(({ name, secret }) => !secret && !["version", "config-file"].includes(name))
    ) {
      for (const [kind, value] of values) {
        await Deno.writeTextFile(path, `${flag.name} = ${JSON.stringify(value)}\n`);
        const message = refusal([`-config-file=${path}`]);
        // A number or switch is never a string in TOML.
        const stringly = ["string", "list"].includes(flag.kind);
        assertEquals(
          message !== null,
          !stringly || mustRefuse(flag, kind),
          `${flag.name}, ${kind}: ${message}`,
        );
        if (message !== null) assertStringIncludes(message, flag.name);
      }
    }
    const broken = [
      "a = = 1",
      "a",
      "[network",
      "v = 1\nv = 2",
      'iface = "',
      "\u0000",
      "v = 1e999",
      "network = 1",
    ];
    for (const text of broken) {
      await Deno.writeTextFile(path, text);
      assertStringIncludes(refusal([`-config-file=${path}`]) ?? "accepted", `"${path}": `);
    }
    await Deno.writeTextFile(path, "\ufeffv = 3\n");
    assertEquals(refusal([`-config-file=${path}`]), null);
  } finally {
    await Deno.remove(path);
  }
});

const places = {
  "a directory": "",
  "below a file": "/file/x",
  "a name that is too long": `/${"x".repeat(300)}`,
};

for (const [kind, below] of Object.entries(places)) {
  Deno.test(`files that can't be: ${kind}`, async () => {
    const directory = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${directory}/file`, "");
      const path = directory + below;
      const subnetFile = await assertRejects(() => openSubnetFile(path, new FakeClock()), UsageError);
      assertStringIncludes(subnetFile.message, `use -subnet-file "${path.slice(0, 100)}`);
      const none = { certfile: "", keyfile: "", cafile: "" };
      const tls = assertThrows(() => new TlsFiles({ ...none, cafile: path }), Failure);
      assertStringIncludes(tls.message, `-etcd-cafile "${path.slice(0, 100)}`);
      const reading = await firstReading(path);
      assertStringIncludes(reading, "give -net-config-path the path of a file");
      const io = { environment: {}, out: () => {}, err: () => {} };
      const docker = await assertRejects(
        async () => await dockerOpts({ ...io, args: ["-f", path] }),
        Failure,
      );
      const explained = await assertRejects(
        async () => await config({ ...io, args: ["explain", path] }),
        Failure,
      );
      for (const { message } of [subnetFile, tls, { message: reading }, docker, explained]) {
        assertStringIncludes(message, path.slice(0, 100));
        assertClear(message.replaceAll("x".repeat(300), ""));
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

async function firstReading(path: string): Promise<string> {
  const end = new AbortController();
  for await (const reading of fileConfigSource(path, new FakeClock()).watch(end.signal)) {
    return reading.type === "problem" ? reading.error : "accepted";
  }
  return "nothing";
}
