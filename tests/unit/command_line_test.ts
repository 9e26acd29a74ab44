/** main.ts as its users start it: what goes to which stream, and the exit code. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describeCommit, UNKNOWN } from "../../src/cli/commit.ts";

const main = new URL("../../main.ts", import.meta.url).pathname;

/** A daemon that ends as soon as its options are read. */
const noLibrary = { DENIM_LIBRARY: "/nonexistent/lib.so" };

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function flanneld(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "--no-check", main, ...args],
    env,
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("help is asked for: stdout, exit 0, every flag in Go's layout", async () => {
  const { code, out, err } = await flanneld(["-help"]);
  assertEquals([code, err], [0, ""]);
  assert(out.startsWith("Usage: flanneld [OPTION]...\n"), out);
  assertStringIncludes(
    out,
    '  -etcd-prefix string\n    \tetcd prefix of the network configuration and the leases (default "/coreos',
  );
  assertStringIncludes(out, "  -ip-masq\n    \tmasquerade");
  assertStringIncludes(out, "  -iface value\n");
  assertEquals((await flanneld(["help"])).out, out);
});

Deno.test("help that is asked for: on stdout with exit 0, by every way of asking, for every command", async () => {
  const commands = [...(await flanneld(["help"])).out.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name]) =>
    name!
  );
  assert(commands.includes("config") && commands.includes("demo"), commands.join());
  await Promise.all(commands.map(async (name) => {
    const { code, out, err } = await flanneld(["help", name]);
    assertEquals([code, err], [0, ""], name);
    assert(out.startsWith(`Usage: flanneld ${name === "help" ? "[OPTION]" : name}`), out);
    for (
      const words of [[name, "--help"], [name, "-h"], [name, "help"], [name, "x", "-help", "--nonsense"]]
    ) {
      assertEquals(await flanneld(words), { code: 0, out, err: "" }, words.join(" "));
    }
  }));
  const config = (await flanneld(["help", "config"])).out;
  for (const words of [["help", "config", "set"], ["config", "set", "--help"], ["config", "help", "set"]]) {
    assertEquals((await flanneld(words)).out, config, words.join(" "));
  }
});

Deno.test("help on what there is not suggests what there is", async () => {
  const cases: [string[], string][] = [
    [["help", "confg"], 'run command "confg": no such command; did you mean config?\n'],
    [["help", "nonsense"], 'run command "nonsense": no such command; flanneld help lists all\n'],
    [["help", "config", "sett"], 'help on config "sett": no such action; did you mean set?\n'],
    [["help", "demo", "x"], 'help on demo "x": no such action; flanneld help demo tells what there is\n'],
    [
      ["config"],
      "config: no action given; give one of explain, check, get, set (see flanneld config --help)\n",
    ],
    [
      ["demo", "--host=3"],
      'demo "--host=3": no such option; did you mean --hosts? (see flanneld demo --help)\n',
    ],
    [["demo", "--hosts"], "demo --hosts: its value is missing; write --hosts=VALUE\n"],
    [["demo", "-hosts=1"], 'demo --hosts "1": not a number of hosts; give 2 to 20\n'],
    [["demo", "-backend", "vxlam"], 'demo --backend "vxlam": no such backend; did you mean vxlan?\n'],
    [["demo", "three"], 'demo "three": a word too many; it takes options alone (see flanneld demo --help)\n'],
    [["migrate", "--from=v2"], "migrate --to not given; give --from=v2 --to=v3, or the reverse\n"],
    [
      ["docker-opts", "-x"],
      'docker-opts "-x": no such option; there are -f, -d, -i, -c, -m, -k (see flanneld ',
    ],
  ];
  await Promise.all(cases.map(async ([words, says]) => {
    const { code, out, err } = await flanneld(words);
    assertEquals([code, out, err.slice(0, says.length)], [2, "", says], words.join(" "));
    assertEquals(err.split("\n").length, 2, err);
  }));
});

Deno.test("a reader that has gone away is no error, and nothing is said of it", async () => {
  const script = 'exec 3>&1; { "$@" 2>&3 3>&-; echo "code $?" >&3; } | true';
  for (const words of [["help"], ["-help"], ["docker-opts", "--help"]]) {
    const program = [Deno.execPath(), "run", "--quiet", "-A", "--no-check", main, ...words];
    const { stdout } = await new Deno.Command("sh", { args: ["-c", script, "sh", ...program] }).output();
    assertEquals(new TextDecoder().decode(stdout), "code 0\n");
  }
});

Deno.test("-version writes only the version, on stderr; the verb on stdout", async () => {
  const flag = await flanneld(["--version"]);
  assertEquals([flag.code, flag.out, /^v\d+\.\d+\.\d+\n$/.test(flag.err)], [0, "", true]);
  const verb = await flanneld(["version"]);
  assertEquals([verb.code, verb.err], [0, ""]);
  const [first, ...facts] = verb.out.trimEnd().split("\n");
  assertEquals(`${first}\n`, flag.err, "the first line is the version alone");
  const values = new Map(facts.map((line) => [line.split(": ")[0], line.slice(line.indexOf(": ") + 2)]));
  assertEquals([...values.keys()], ["commit", "kind", "deno", "library"]);
  assertMatch(values.get("commit")!, /^([0-9a-f]{40}(-dirty)?|unknown)$/);
  assertEquals(values.get("kind"), "source");
  assertEquals(values.get("deno"), `${Deno.version.deno} ${Deno.build.target}`);
  assertMatch(values.get("library")!, /^interface \d+, \/.*libdenim\.so$/);
  const without = await flanneld(["version"], { DENIM_LIBRARY: "/nowhere/libdenim.so" });
  assertEquals([without.code, without.err], [0, ""], "it can be told without the library");
  assertMatch(without.out, /^library: load the C library "\/nowhere\/libdenim\.so": /m);
  assertEquals((await flanneld(["version", "x"])).code, 2);
});

Deno.test("the commit is that of the source tree itself, and says whether files differ from it", async () => {
  const top = await Deno.makeTempDir({ prefix: "denim commit " });
  const git = async (...args: string[]) => {
    const identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
    const env = { GIT_CONFIG_GLOBAL: "/dev/null", PATH: Deno.env.get("PATH")!, HOME: top };
    const command = new Deno.Command("git", { args: [...identity, ...args], cwd: top, env, clearEnv: true });
    const { success, stdout, stderr } = await command.output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    Deno.mkdirSync(`${top}/inner`);
    assertEquals(await describeCommit(top), UNKNOWN, "no repository");
    await git("init", "--quiet");
    assertEquals(await describeCommit(top), UNKNOWN, "no commit");
    Deno.writeTextFileSync(`${top}/file`, "1");
    await git("add", "file");
    await git("commit", "--quiet", "-m", "one");
    const commit = await git("rev-parse", "HEAD");
    assertEquals(await describeCommit(top), commit);
    assertEquals(await describeCommit(`${top}/inner`), UNKNOWN, "the repository around it is another's");
    Deno.writeTextFileSync(`${top}/new`, "");
    assertEquals(await describeCommit(top), `${commit}-dirty`);
    Deno.removeSync(`${top}/new`);
    Deno.writeTextFileSync(`${top}/file`, "2");
    assertEquals(await describeCommit(top), `${commit}-dirty`);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
});

Deno.test("a wrong command line: one message on stderr, exit 2, no stack; 0 with -upstream-exit-codes", async () => {
  const wrong = await flanneld(["-etcd-endpoint=x"]);
  assertEquals([wrong.code, wrong.out], [2, ""]);
  assert(
    /^flag provided but not defined: -etcd-endpoint; did you mean -etcd-endpoints\? [^\n]+\n$/.test(
      wrong.err,
    ),
    wrong.err,
  );
  assertEquals((await flanneld(["-upstream-exit-codes", "-etcd-endpoint=x"])).code, 0);
  assertEquals((await flanneld(["-xyz"], { FLANNELD_UPSTREAM_EXIT_CODES: "1" })).code, 0);
  assertEquals((await flanneld(["-upstream-exit-codes", "-subnet-lease-renew-margin=0"])).code, 1);
});

Deno.test("an unknown command, an empty word and a forgotten = stop the start", async () => {
  const cases: [string[], string][] = [
    [["verion"], 'run command "verion": no such command; did you mean version?'],
    [["", "-ip-masq"], 'words after the flags would be ignored: "" "-ip-masq"'],
    [["-ip-masq", "true"], "write -ip-masq=true"],
    [["toString"], "no such command"],
  ];
  for (const [args, text] of cases) {
    const { code, err } = await flanneld(args);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(err, text);
  }
});

Deno.test("what keeps the daemon from starting is said in the form that its log would have", async () => {
  const toml = await Deno.makeTempFile();
  await Deno.writeTextFile(toml, 'log-format = "json"\nnonsense = 1\n');
  const klog = /^E\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] flag provided but not defined: -xyz; [^\n]+\n$/;
  try {
    assertMatch((await flanneld(["-log-format", "klog", "-xyz"])).err, klog);
    assertMatch((await flanneld(["-xyz"], { FLANNELD_LOG_FORMAT: "klog" })).err, klog);
    const cases: [string[], string][] = [
      [["-xyz", "--log-format=json"], "flag provided but not defined: -xyz; see flanneld -help"],
      [["-config-file", toml], `read config file "${toml}": unknown key "nonsense"`],
      [["-log-format=json"], 'load the C library "/nonexistent/lib.so": '],
      [["-log-format=json", "-healthz-ip=\u001bx\ny"], 'use -healthz-ip "'],
    ];
    for (const [args, says] of cases) {
      const { code, err } = await flanneld(args, noLibrary);
      const last = JSON.parse(err.trimEnd().split("\n").at(-1)!);
      assertEquals([last.level, last.exitCode], ["error", code], err);
      assert(last.message.startsWith(says), last.message);
      for (const line of err.trimEnd().split("\n")) {
        assert(!/\p{Cc}/u.test(line) && JSON.parse(line), line);
      }
    }
  } finally {
    await Deno.remove(toml);
  }
});

Deno.test("what nobody has caught is one line in the log's form, with its place, and ends the process with 1", async () => {
  const early = new URL("../../src/cli/early_log.ts", import.meta.url).href;
  const errors = {
    "rejected": "Promise.reject(new Error('a\\nb'))",
    "thrown": "setTimeout(() => { throw new Error('a\\nb') })",
  };
  for (const [how, error] of Object.entries(errors)) {
    for (const form of ["text", "klog", "json"]) {
      const source = `import { openLog, tellUncaught } from "${early}";
        tellUncaught(openLog({ logFormat: "${form}", v: 0 }, {})); ${error}; setTimeout(() => {}, 60_000);`;
      const command = new Deno.Command(Deno.execPath(), {
        args: ["eval", "--quiet", "--config", new URL("../../deno.json", import.meta.url).pathname, source],
      });
      const { code, stderr } = await command.output();
      const text = new TextDecoder().decode(stderr);
      assertEquals([code, text.split("\n").length], [1, 2], `${how}, ${form}: ${text}`);
      const message = form === "json" ? JSON.parse(text).message : text;
      assertMatch(message, /internal error: Error: a b at .*eval/);
      if (form === "json") assertEquals([JSON.parse(text).exitCode, JSON.parse(text).error], [1, "a\nb"]);
    }
  }
});

Deno.test("where the journal listens, lines have its priorities and no time; elsewhere they have", async () => {
  const file = await Deno.makeTempFile();
  try {
    const { dev, ino } = await Deno.stat(file);
    const run = (journal: string, ...flags: string[]) => {
      const program = ["run", "--quiet", "-A", "--no-check", main, ...flags];
      return new Deno.Command("sh", {
        args: ["-c", 'out=$1; shift; exec "$@" 2>"$out"', "sh", file, Deno.execPath(), ...program],
        env: { ...noLibrary, JOURNAL_STREAM: journal },
      }).output();
    };
    await run(`${dev}:${ino}`);
    const lines = (await Deno.readTextFile(file)).trimEnd().split("\n");
    assertMatch(lines[0]!, /^<6>denim flanneld v/);
    assertMatch(lines.at(-1)!, /^<3>load the C library "\/nonexistent\/lib\.so": /);
    await run(`${dev}:${ino}`, "-xyz");
    assertMatch(await Deno.readTextFile(file), /^<3>flag provided but not defined: -xyz; [^\n]+\n$/);
    await run(`${dev}:${ino! + 1}`);
    for (const line of (await Deno.readTextFile(file)).trimEnd().split("\n")) {
      assertMatch(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (info |warn |error) /);
    }
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a program that the demo lacks is named with its package, and nothing of the inside", async () => {
  const { code, out, err } = await flanneld(["demo"], { PATH: "/nonexistent" });
  const needed = `run "setpriv" (needed for the demo's namespaces): not found`;
  const says = `${needed}; install Debian's package util-linux, or check PATH\n`;
  assertEquals({ code, out, err }, { code: 1, out: "", err: says });
});

Deno.test("a config file that is missing is named without the runtime's own words", async () => {
  const { code, err } = await flanneld(["-config-file=/nonexistent/denim.toml"]);
  assertEquals([code, err], [
    2,
    'read config file "/nonexistent/denim.toml": no such file or directory; check -config-file\n',
  ]);
});
