/** The launcher of dist/flanneld, with a small program in Deno's place: how it starts, and what can go wrong on a node. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { LauncherBench } from "../support/launcher.ts";
import { run } from "../support/process.ts";

const root = { ignore: Deno.uid() !== 0 };
/** What the program ends with when it was started as it should be. */
const STARTED = 7;

function scenario(name: string, body: (bench: LauncherBench) => Promise<void>): void {
  Deno.test({
    name: `launcher: ${name}`,
    ...root,
    fn: async () => {
      using bench = await LauncherBench.create();
      await body(bench);
    },
  });
}

/** Where the only extraction of the bench is. */
function extraction(bench: LauncherBench): string {
  const names = bench.extractions();
  assertEquals(names.length, 1, names.join(" "));
  return `${bench.base}/${names[0]}`;
}

function inodeOf(path: string): number | null {
  return Deno.statSync(path).ino;
}

/** A shell script in a mount namespace of its own; "$1" and so on are `args`. */
function mounted(script: string, ...args: readonly string[]): string[] {
  return ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "sh", ...args];
}

scenario(
  "the program gets name, arguments, environment and descriptors as if it were the file",
  async (bench) => {
    const binary = bench.binary();
    const env = {
      DENIM_EXTRACT_DIR: bench.base,
      KEPT: "as it is",
      DENIM_BINARY: "/nonsense",
      DENIM_SET: "PATH",
    };
    const started = await bench.start([binary, "-ip-masq", "", "--", "a b"], env);
    assertEquals([started.code, started.stderr], [STARTED, ""]);
    const directory = extraction(bench);
    assertEquals(started.all("comm"), ["flanneld"]);
    assertEquals(started.all("exe"), [`${directory}/flanneld`]);
    Deno.writeFileSync(`${bench.directory}/program`, bench.program, { mode: 0o755 });
    assertEquals(started.all("fd"), (await bench.start([`${bench.directory}/program`])).all("fd"));
    const words = started.all("arg");
    assertEquals(words[0], binary);
    assertEquals(words.slice(words.indexOf(`${directory}/main.js`) + 1), ["-ip-masq", "", "--", "a b"]);
    assertEquals(
      started.all("env").sort(),
      [
        `DENIM_BINARY=${binary}`,
        `DENIM_EXTRACT_DIR=${bench.base}`,
        "DENIM_SET=DENO_DIR,DENO_NO_UPDATE_CHECK,DENO_DISABLE_NODE_SHIM,DENIM_BINARY,",
        `DENO_DIR=${directory}/cache`,
        "DENO_DISABLE_NODE_SHIM=1",
        "DENO_NO_UPDATE_CHECK=1",
        "KEPT=as it is",
      ].sort(),
    );
    const own = { DENIM_EXTRACT_DIR: bench.base, DENO_DIR: "/mine", DENO_NO_UPDATE_CHECK: "0" };
    const others = (await bench.start([binary], own)).all("env");
    assert(others.includes("DENIM_SET=DENO_DISABLE_NODE_SHIM,DENIM_BINARY,"), others.join(" "));
    assert(others.includes("DENO_DIR=/mine") && others.includes("DENO_NO_UPDATE_CHECK=0"), others.join(" "));
  },
);

scenario("only the first start extracts; the files are the owner's alone", async (bench) => {
  const binary = bench.binary();
  await bench.start([binary]);
  const directory = extraction(bench);
  const modes = ["", "/flanneld", "/main.js"].map((name) => Deno.statSync(directory + name).mode! & 0o7777);
  assertEquals(modes, [0o700, 0o500, 0o400]);
  const before = inodeOf(`${directory}/flanneld`);
  assertEquals((await bench.start([binary])).code, STARTED);
  assertEquals(inodeOf(`${directory}/flanneld`), before);
  assertEquals(extraction(bench), directory, "nothing else is left");
});

scenario(
  "Deno reads the modules once before the first start, at their place, and not again",
  async (bench) => {
    const binary = bench.binary();
    for (let i = 0; i < 3; i++) assertEquals((await bench.start([binary])).code, STARTED);
    const directory = extraction(bench);
    const asked = () => Deno.readTextFileSync(`${directory}/cache/asked`);
    const once = `cache --quiet --no-config --no-lock --no-npm --no-remote ${directory}/main.js\n`;
    assertEquals(asked(), once);
    // As a start leaves it that was killed after it had given the directory its name.
    Deno.removeSync(`${directory}/.stamp`);
    assertEquals((await bench.start([binary])).code, STARTED);
    assertEquals(asked(), once + once);
  },
);

scenario("any umask: a user's first start and the next", async (bench) => {
  const binary = bench.binary();
  const home = `${bench.directory}/home`;
  await run(["sh", "-ec", `mkdir "$1"; chown 65534 "$1"; chmod 755 "$2"`, "sh", home, bench.directory]);
  const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const script = 'umask 0777; "$1" && exit 1; test $? = 7; "$1" || exit $?';
  const started = await bench.start([...user, "sh", "-ec", script, "sh", binary], {
    HOME: home,
    PATH: "/usr/bin:/bin",
  });
  assertEquals([started.code, started.stderr], [STARTED, ""]);
  assertEquals(started.all("umask"), ["0777", "0777"]);
});

scenario(
  "a place where others could put something else is passed over, or refused where it was named",
  async (bench) => {
    const binary = bench.binary();
    const [state, home] = [`${bench.directory}/state`, `${bench.directory}/home`];
    const script = `mount -t tmpfs tmpfs /var/lib; mkdir -p "$2"; $1; shift 2; "$@" || exit $?`;
    const started = async (damage: string) => {
      const command = mounted(script, damage, `${state}/flannel`, binary);
      return await bench.start(command, { STATE_DIRECTORY: `${state}/flannel`, HOME: home });
    };
    assertMatch((await started("true")).all("exe")[0]!, new RegExp(`^${state}/flannel/v1`));
    for (const damage of [`chmod 777 ${state}/flannel`, `chmod 777 ${state}`, `chown 65533 ${state}`]) {
      await run(["sh", "-ec", `chown 0 "$1"; chmod 755 "$1" "$1/flannel"`, "sh", state]);
      const other = await started(damage);
      assertMatch(other.all("exe")[0] ?? other.stderr, new RegExp(`^${home}/.cache/flanneld/v1`), damage);
    }
    assertMatch(
      (await started(`chmod 1777 ${state}`)).all("exe")[0]!,
      new RegExp(`^${home}/`),
      "of another user",
    );
    await run(["chown", "0", state]);
    assertMatch(
      (await started(`chmod 1777 ${state}`)).all("exe")[0]!,
      new RegExp(`^${state}/flannel/v1`),
      "sticky",
    );
    Deno.mkdirSync(bench.base);
    Deno.chmodSync(bench.base, 0o777);
    const named = await bench.start([binary]);
    assertEquals(named.code, 1);
    assertMatch(
      named.stderr,
      /^flanneld: extract the program: ".*": others can write there; name a directory .*\n$/,
    );
  },
);

const damages: Readonly<Record<string, string>> = {
  "a byte of the program":
    "chmod u+w flanneld; printf x | dd of=flanneld bs=1 seek=5000 conv=notrunc status=none; chmod u-w flanneld",
  "a byte, with the old times and mode": `chmod u+w main.js; touch -r main.js /tmp/ref.$$
    printf x | dd of=main.js bs=1 seek=5 conv=notrunc status=none
    chmod u-w main.js; touch -r /tmp/ref.$$ main.js; rm /tmp/ref.$$`,
  "a file cut off": "chmod u+w main.js; truncate -s 100 main.js; chmod u-w main.js",
  "a missing file": "rm -f main.js",
  "a symbolic link": "mv main.js elsewhere; ln -s elsewhere main.js",
  "another mode": "chmod 0755 flanneld",
  "another owner": "chown 65534 main.js",
  "a directory open to others": "chmod 0755 .",
};

for (const [name, script] of Object.entries(damages)) {
  scenario(`damage to the extraction is found and mended: ${name}`, async (bench) => {
    const binary = bench.binary();
    await bench.start([binary]);
    const directory = extraction(bench);
    await run(["sh", "-ec", `cd "$1"; mkdir -p cache/deep; touch cache/deep/x; ${script}`, "sh", directory]);
    const started = await bench.start([binary]);
    assertEquals([started.code, started.stderr], [STARTED, ""]);
    assertEquals(extraction(bench), directory);
    const text = Deno.readTextFileSync(`${directory}/main.js`);
    assertEquals(text, "// the modules\n".repeat(1000));
    assertEquals(Deno.statSync(`${directory}/main.js`).uid, 0);
    assertEquals(Deno.readFileSync(`${directory}/flanneld`), bench.program);
    assertEquals(Deno.statSync(directory).mode! & 0o7777, 0o700);
    const verified = await bench.start([binary, "--verify"]);
    assertEquals([verified.code, verified.stderr], [0, ""]);
  });
}

scenario("touched files are hashed and kept; a half-written extraction is made anew", async (bench) => {
  const binary = bench.binary();
  await bench.start([binary]);
  const directory = extraction(bench);
  const inode = inodeOf(`${directory}/flanneld`);
  const stamp = Deno.readTextFileSync(`${directory}/.stamp`);
  await run(["touch", `${directory}/flanneld`]);
  assertEquals((await bench.start([binary])).code, STARTED);
  assertEquals(inodeOf(`${directory}/flanneld`), inode);
  assert(Deno.readTextFileSync(`${directory}/.stamp`) !== stamp, "a new stamp");
  // As a start leaves it that was killed halfway.
  Deno.renameSync(directory, `${directory}.new`);
  await run(["truncate", "-s", "100", `${directory}.new/flanneld`]);
  assertEquals((await bench.start([binary])).code, STARTED);
  assertEquals(extraction(bench), directory);
});

scenario("killed at any moment of the first start, the next one makes it whole", async (bench) => {
  const files = [
    { name: "flanneld", mode: 0o500, bytes: bench.program },
    { name: "main.js", mode: 0o400, bytes: new Uint8Array(8_000_000).fill(47) },
  ];
  const binary = bench.binary("flanneld", { files });
  const halfway = new Set<string>();
  for (let round = 0; round < 12; round++) {
    await bench.start(["timeout", "--signal=KILL", String(0.01 + round * 0.01), binary]);
    for (const name of bench.extractions()) halfway.add(name.replace(/^.*\./, "."));
    const verified = await bench.start([binary, "--verify"]);
    assertEquals(verified.code, 0, `after round ${round}: ${verified.stderr}`);
    Deno.removeSync(bench.base, { recursive: true });
  }
  assert(halfway.has(".new"), `seen: ${[...halfway].join(" ")}`);
});

scenario("what a killed start of another version left goes, everything else stays", async (bench) => {
  const gone = ["v0.9.0-0123456789abcdef.new", "v0.9.0-fedcba9876543210.old"];
  const kept = ["mine.new", "v0.9.0-0123456789abcde.new", "v0.9.0-0123456789abcdef"];
  for (const name of [...gone, ...kept]) {
    Deno.mkdirSync(`${bench.base}/${name}/cache`, { recursive: true });
    Deno.writeTextFileSync(`${bench.base}/${name}/cache/x`, "");
  }
  assertEquals((await bench.start([bench.binary()])).code, STARTED);
  assertEquals(bench.extractions().filter((name) => !name.startsWith("v1.")), kept.sort());
});

scenario("two versions side by side; twenty starts at once", async (bench) => {
  const [one, two] = [bench.binary("one"), bench.binary("two", { version: "v2.0.0" })];
  const starts = Array.from({ length: 20 }, (_, i) => bench.start([i % 2 === 0 ? one : two]));
  for (const started of await Promise.all(starts)) {
    assertEquals([started.code, started.stderr], [STARTED, ""]);
  }
  const names = bench.extractions();
  assertEquals(names.map((name) => name.slice(0, 7)), ["v1.0.0-", "v2.0.0-"]);
  const inode = inodeOf(`${bench.base}/${names[0]}/flanneld`);
  await bench.start([two]);
  assertEquals(inodeOf(`${bench.base}/${names[0]}/flanneld`), inode);
});

scenario("renamed, linked, found in PATH", async (bench) => {
  const binary = bench.binary();
  Deno.renameSync(binary, `${bench.directory}/my-daemon`);
  Deno.symlinkSync("my-daemon", `${bench.directory}/link`);
  const path = { DENIM_EXTRACT_DIR: bench.base, PATH: `${bench.directory}:/usr/bin:/bin` };
  for (const command of [[`${bench.directory}/my-daemon`], [`${bench.directory}/link`], ["env", "link"]]) {
    const started = await bench.start(command, path);
    assertEquals([started.code, started.all("comm"), started.all("arg")[0]], [
      STARTED,
      ["flanneld"],
      command.at(-1)!,
    ]);
    assert(started.all("env").includes(`DENIM_BINARY=${bench.directory}/my-daemon`));
  }
  assertEquals(bench.extractions().length, 1);
});

scenario("a damaged or cut-off binary says so and starts nothing", async (bench) => {
  const binary = bench.binary();
  const whole = Deno.readFileSync(binary);
  Deno.writeFileSync(binary, whole.subarray(0, whole.length - 1000));
  const cut = await bench.start([binary]);
  assertEquals(cut.code, 1);
  assertMatch(cut.stderr, /^flanneld: read ".*": the file is damaged or cut off; install it again\n$/);
  const changed = whole.slice();
  const at = new TextDecoder("latin1").decode(whole).indexOf("// the modules");
  changed[at + 3]! ^= 1;
  Deno.writeFileSync(binary, changed);
  const damaged = await bench.start([binary]);
  assertEquals(damaged.code, 1);
  assertMatch(damaged.stderr, /^flanneld: extract to ".*": the file is damaged: .*install it again\n$/);
  assertEquals(bench.extractions(), []);
});

scenario("a disk that is full, then has room", async (bench) => {
  const binary = bench.binary();
  const script = `mkdir "$1"; mount -t tmpfs -o size=$2 tmpfs "$1"; DENIM_EXTRACT_DIR="$1" "$3" || exit $?`;
  const full = await bench.start(mounted(script, bench.base, "300k", binary));
  assertEquals(full.code, 1);
  assertMatch(
    full.stderr,
    /^flanneld: extract to ".*": No space left on device; it takes \d+ MB: make room, or .*\n$/,
  );
  Deno.removeSync(bench.base);
  const again = `mkdir "$1"; mount -t tmpfs -o size=300k tmpfs "$1"
    "$2" 2> /dev/null || test $? = 1; test -z "$(ls "$1")"
    mount -o remount,size=20m "$1"; "$2" || exit $?`;
  assertEquals((await bench.start(mounted(again, bench.base, binary))).code, STARTED);
});

scenario("read-only: used where it is whole, refused where there is nothing", async (bench) => {
  const binary = bench.binary();
  const script = `mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; "$2" || exit $?`;
  Deno.mkdirSync(bench.base);
  const refused = await bench.start(mounted(script, bench.base, binary));
  assertEquals(refused.code, 1);
  assertMatch(
    refused.stderr,
    /^flanneld: extract the program: ".*": Read-only file system; name a directory .*\n$/,
  );
  await bench.start([binary]);
  await run(["touch", `${extraction(bench)}/flanneld`]);
  const used = await bench.start(mounted(script, bench.base, binary));
  assertEquals([used.code, used.stderr], [STARTED, ""]);
});

scenario("noexec and not a directory are named", async (bench) => {
  const binary = bench.binary();
  const script = `mkdir "$1"; mount -t tmpfs -o noexec tmpfs "$1"; "$2" || exit $?`;
  const noexec = await bench.start(mounted(script, bench.base, binary));
  assertEquals(noexec.code, 1);
  assertMatch(
    noexec.stderr,
    /^flanneld: extract the program: ".*": programs can't be run from there .*noexec.*\n$/,
  );
  Deno.removeSync(bench.base);
  Deno.writeTextFileSync(bench.base, "");
  const file = await bench.start([binary]);
  assertEquals(file.code, 1);
  assertStringIncludes(file.stderr, "Not a directory; name a directory on a disk in DENIM_EXTRACT_DIR");
});

scenario("the usual places, in their order, and never in memory", async (bench) => {
  const binary = bench.binary();
  const [state, home] = [`${bench.directory}/state`, `${bench.directory}/home`];
  const noVar = `mount -t tmpfs tmpfs /var/lib; "$1" || exit $?`;
  const first = await bench.start(mounted(noVar, binary), { STATE_DIRECTORY: `${state}:/other`, HOME: home });
  assertEquals(first.code, STARTED);
  assertMatch(first.all("exe")[0]!, new RegExp(`^${state}/v1`));
  const last = await bench.start(mounted(noVar, binary), { HOME: home });
  assertMatch(last.all("exe")[0] ?? last.stderr, new RegExp(`^${home}/\\.cache/flanneld/v1`));
  const none = await bench.start(mounted(noVar, binary), {});
  assertEquals(none.code, 1);
  assertMatch(
    none.stderr,
    /^flanneld: extract the program: "\/var\/lib\/flannel": it is in memory \(tmpfs\); .*\n$/,
  );
});

scenario("a user without rights extracts to the own cache", async (bench) => {
  const binary = bench.binary();
  const home = `${bench.directory}/home`;
  await run(["sh", "-ec", `mkdir "$1"; chown 65534 "$1"; chmod 755 "$2"`, "sh", home, bench.directory]);
  const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const started = await bench.start([...user, binary], { HOME: home, PATH: "/usr/bin:/bin" });
  assertMatch(started.all("exe")[0] ?? started.stderr, new RegExp(`^${home}/\\.cache/flanneld/v1`));
});

scenario("a program that doesn't run here leaves nothing behind and says what it needs", async (bench) => {
  const failing = Deno.readFileSync("/bin/false");
  const binary = bench.binary("flanneld", { program: failing });
  const started = await bench.start([binary]);
  assertEquals(started.code, 1);
  assertMatch(
    started.stderr,
    /^flanneld: start "v1.*": .* does not run on this system; it needs glibc 2\.27 or later\n$/,
  );
  assertEquals(bench.extractions(), []);
});
