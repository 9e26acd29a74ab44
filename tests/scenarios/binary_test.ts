/**
 * dist/flanneld as it goes on a node: one file in an empty root directory brings up the overlay with a real etcd.
 *
 *        h1: etcd member                       h2
 *   chroot: flanneld, libc, /proc …       chroot: the same
 *         192.168.64.11 ─────────────────── 192.168.64.12
 *            └ container 10.1.a.2              └ container 10.1.b.2
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { buildBinary, compile, compileCommand, fillRoot, type Kind } from "../support/binary.ts";
import { projectFiles, top } from "../../tasks/run.ts";
import { health } from "../support/daemon.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { output, poll, Process, run, say } from "../support/process.ts";
import { type Host, scenario, type Topology } from "../support/topology.ts";
import { unreachablePairs } from "../support/traffic.ts";
import { version } from "../../src/cli/version.ts";

const CONFIG = { Network: "10.1.0.0/16", Backend: { Type: "vxlan" } };

const kinds: Kind[] = Deno.env.has("DENORT_BIN") ? ["launcher", "compiled"] : ["launcher"];

let built = "";
/** Of the launcher kind. */
let binary = "";

Deno.test.beforeAll(async () => {
  if (kinds.length === 1) say("the compiled kind is not tried: there is no DENORT_BIN");
  built = await Deno.makeTempDir({ prefix: "denim-binary-" });
  for (const kind of kinds) await buildBinary(`${built}/${kind}`, kind);
  binary = `${built}/launcher/flanneld`;
});

Deno.test.afterAll(async () => {
  await Deno.remove(built, { recursive: true });
});

for (const kind of kinds) {
  scenario(
    `one file in an empty root brings up the overlay with etcd (${kind})`,
    { hosts: 2 },
    async (net) => {
      const etcd = await HostEtcd.start(net, [1]);
      await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
      const daemons = await Promise.all(net.hosts.map((host) => startInRoot(net, host, kind, etcd)));
      await Promise.all(net.hosts.map(ready));
      const containers = await Promise.all(net.hosts.map(async (host) => {
        const text = await Deno.readTextFile(`${rootOf(net, host)}/run/flannel/subnet.env`);
        const gateway = /^FLANNEL_SUBNET=(.*)$/m.exec(text)![1]!;
        return await net.addContainer(host, gateway);
      }));
      assertEquals(await unreachablePairs(containers), []);
      for (const daemon of daemons) {
        assertEquals(Deno.readTextFileSync(`/proc/${daemon.pid}/comm`), "flanneld\n");
        assertEquals(await daemon.stop("SIGTERM"), 0);
      }
      assertEquals(await unreachablePairs(containers), [], "the network stays");
    },
  );
}

function rootOf(net: Topology, host: Host): string {
  return `${net.directory}/root-${host.ip}`;
}

async function startInRoot(net: Topology, host: Host, kind: Kind, etcd: HostEtcd): Promise<Process> {
  const root = rootOf(net, host);
  await fillRoot(root, `${built}/${kind}/flanneld`);
  const files = { ca: "/run/ca.pem", cert: "/run/client.pem", key: "/run/client.key" };
  await run(["cp", etcd.client.ca, root + files.ca]);
  await run(["cp", etcd.client.cert, root + files.cert]);
  await run(["cp", etcd.client.key, root + files.key]);
  for (const name of ["proc", "sys", "dev"]) {
    await host.run(["mount", "--rbind", `/${name}`, `${root}/${name}`]);
  }
  // Temporary directories may be in memory, which nobody gets who doesn't ask.
  const clean = ["env", "-i", "DENIM_EXTRACT_DIR=/var/lib/flannel", "/usr/sbin/chroot", root];
  // There is no iptables.
  const flags = ["-iptables-forward-rules=false", "-healthz-port", "300", ...etcd.flags(files)];
  return host.start("flanneld", [...clean, "/flanneld", ...flags]);
}

async function ready(host: Host): Promise<void> {
  await poll(`readiness of ${host.name}`, 30_000, async () => {
    const answer = await health(host, "/readyz").catch(() => null);
    return answer?.status === 200;
  });
}

Deno.test("the binary behaves like the program: verbs, exit codes, nothing of ours in the environment", async () => {
  const directory = `${built}/behaves`;
  const env = { DENIM_EXTRACT_DIR: `${directory}/x`, PATH: `${directory}/bin` };
  const start = (...args: string[]) => output([binary, ...args], { env, clearEnv: true });
  const said = await start("version");
  assertEquals([said.code, said.stderr], [0, ""]);
  assertMatch(
    said.stdout,
    new RegExp(`^${version}\ncommit: ([0-9a-f]{40}(-dirty)?|unknown)\nkind: launcher\n`),
  );
  assertMatch(said.stdout, new RegExp(`^library: interface \\d+, ${directory}/x/v.*/libdenim\\.so$`, "m"));
  assertEquals(await start("--version"), { code: 0, stdout: "", stderr: `${version}\n` });
  const wrong = await start("-no-such-flag");
  assertEquals([wrong.code, wrong.stdout], [2, ""]);
  assertStringIncludes((await start("help")).stdout, "-etcd-endpoints");
  const verified = await start("--verify");
  assertEquals(verified.code, 0);
  assertMatch(verified.stdout, new RegExp(`^${version}-[0-9a-f]{16}: \\d+ files in ".*" are as built\n$`));
  // What the daemon starts sees the environment as it was given to the binary.
  Deno.mkdirSync(`${directory}/bin`);
  const spy = `#!/bin/sh\n/usr/bin/env > ${directory}/seen\nexit 1\n`;
  Deno.writeTextFileSync(`${directory}/bin/iptables`, spy, { mode: 0o755 });
  await start("-ip-masq", "--read-only", "--store", `sqlite:${directory}/none.db`);
  const seen = Deno.readTextFileSync(`${directory}/seen`).trim().split("\n");
  assertEquals(seen.filter((line) => !/^(PWD|SHLVL|_)=/.test(line)).sort(), [
    `DENIM_EXTRACT_DIR=${directory}/x`,
    `PATH=${directory}/bin`,
  ]);
});

Deno.test({
  name: "the demo starts its daemons from the one file",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const env = { DENIM_EXTRACT_DIR: `${built}/demo` };
    const demo = await output([binary, "demo", "--hosts", "2"], { env });
    assertEquals(demo.code, 0, demo.stdout + demo.stderr);
    assertStringIncludes(demo.stdout, "gone with the demo");
  },
});

Deno.test({
  name: "a system without Deno's libraries is told what is missing, and gets no files",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const root = `${built}/bare-root`;
    await fillRoot(root, binary);
    await run(["find", root, "-name", "libgcc_s.so.1", "-delete"]);
    const start = () =>
      output(["/usr/sbin/chroot", root, "/flanneld", "version"], { env: { DENIM_EXTRACT_DIR: "/x" } });
    const lacking = await start();
    assertEquals([lacking.code, lacking.stdout], [1, ""]);
    assertMatch(lacking.stderr, /libgcc_s\.so\.1: cannot open shared object file/);
    assertMatch(
      lacking.stderr,
      /flanneld: start "v.*": .*; it needs glibc 2\.\d+ or later, with libgcc_s\.so\.1\n$/,
    );
    assertEquals([...Deno.readDirSync(`${root}/x`)].map(({ name }) => name), [".lock.0"]);
    await run(["find", root, "-name", "ld-linux*", "-delete"]);
    assertMatch((await start()).stderr, /^flanneld: start .* it needs glibc/);
  },
});

scenario(
  "the daemon of the first start, which extracts, needs no more memory than the next",
  { hosts: 1 },
  async (net) => {
    const [host] = net.hosts as [Host];
    const directory = `${net.directory}/first`;
    await Deno.mkdir(directory);
    Deno.writeTextFileSync(`${directory}/net.json`, JSON.stringify(CONFIG));
    const flags = [`--store=sqlite:${directory}/leases.db`, `-net-config-path=${directory}/net.json`];
    const own = [`-state-dir=${directory}/state`, ...flags];
    const words = [...own, `-subnet-file=${directory}/subnet.env`, "-iptables-forward-rules=false"];
    const resident: number[] = [];
    for (let start = 0; start < 2; start++) {
      const command = ["env", `DENIM_EXTRACT_DIR=${directory}/x`, binary, ...words, "-healthz-port=300"];
      const daemon = host.start("flanneld", command);
      await ready(host);
      const status = Deno.readTextFileSync(`/proc/${daemon.pid}/status`);
      resident.push(Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1]) / 1024);
      assertEquals(await daemon.stop("SIGTERM"), 0);
    }
    const [first = 0, next = 0] = resident;
    // Reading the modules anew leaves 30 MB.
    assert(
      first < next + 12,
      `private MB: ${first.toFixed(1)} of the first start, ${next.toFixed(1)} of the next`,
    );
  },
);

/** The source tree as git knows it, its repository included, at another place. @returns where */
async function copyTree(place: string): Promise<string> {
  const tree = `${built}/${place}/tree`;
  await Deno.mkdir(tree, { recursive: true });
  const repository = await Deno.lstat(`${top}/.git`).then(() => [".git"], () => []);
  const copy = 'cd "$1"; shift; cp -a --parents "$@"';
  await run(["sh", "-ec", copy, "sh", top, ...await projectFiles(), ...repository, tree]);
  return tree;
}

/** The mode of each entry of a directory. */
function modesIn(directory: string): Record<string, number> {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  return Object.fromEntries(
    names.map((name) => [name, Deno.statSync(`${directory}/${name}`).mode! & 0o7777]),
  );
}

Deno.test("two builds of one commit are the same bytes, wherever, under any umask, and leave nothing", async () => {
  const tree = await copyTree("some where");
  const env = { TMPDIR: `${built}/tem porary` };
  await Deno.mkdir(env.TMPDIR);
  const place = `${tree}/out put`;
  const words = compileCommand(["--kind=launcher", `--directory=${place}`], tree);
  const again = await output(["sh", "-ec", 'umask 077; exec "$@"', "sh", ...words], {
    env,
    deadline: 120_000,
  });
  assertEquals(again.code, 0, again.stdout + again.stderr);
  const sums = [`${built}/launcher`, place].map((each) => Deno.readTextFileSync(`${each}/SHA256SUMS`));
  assertEquals(sums[0], sums[1]);
  assertEquals((await output(["cmp", binary, `${place}/flanneld`])).stdout, "");
  await run(["sh", "-ec", 'cd "$1"; sha256sum --check --quiet SHA256SUMS', "sh", place]);
  assertEquals(modesIn(place), { "SHA256SUMS": 0o644, "flanneld": 0o755, "flanneld.cdx.json": 0o644 });
  assertEquals([env.TMPDIR, `${tree}/native/build`].map(modesIn), [{}, {}]);
});

Deno.test("a build that is stopped at any moment leaves nothing", async () => {
  const tree = await copyTree("stopped");
  const [place, temporary] = [`${tree}/out`, `${built}/stopped/tmp`];
  const below = `${tree}/native/build`;
  for (const directory of [place, temporary, below]) await Deno.mkdir(directory, { recursive: true });
  const seen = (pattern: string) => async () => (await output(["sh", "-c", `ls -d ${pattern}`])).code === 0;
  const moments: Record<string, () => Promise<boolean>> = {
    "the modules are bundled": seen(`${place}/.flanneld-*`),
    "the library is built": seen(`${below}/compile-*/*.o`),
    "the binary is tried": seen(`${place}/.flanneld-*/smoke-*`),
  };
  for (const [moment, reached] of Object.entries(moments)) {
    const words = compileCommand(["--kind=launcher", `--directory=${place}`], tree);
    await using build = new Process("compile", words, { env: { TMPDIR: temporary } });
    await poll(moment, 120_000, reached);
    assertEquals(await build.stop("SIGTERM"), 1, `${moment}: ${build.text}`);
    assertStringIncludes(build.text, "compile: stopped by SIGTERM", moment);
    assertEquals([place, temporary, below].map(modesIn), [{}, {}, {}], moment);
  }
});

Deno.test("the list beside the binary has what is in its modules, and no test library", async () => {
  const { components } = JSON.parse(Deno.readTextFileSync(`${built}/launcher/flanneld.cdx.json`));
  const purls: string[] = components.map(({ purl = "" }) => purl).filter((each: string) =>
    /^pkg:npm/.test(each)
  );
  const listed = purls.map((each) => each.slice("pkg:npm/".length).replace("%40", "@"));
  assertEquals(listed.shift(), `deno@${Deno.version.deno}`);
  // The comments in front of each file of a package, as they are in what is shipped.
  const texts = await run([
    "grep",
    "--text",
    "--only-matching",
    "--extended-regexp",
    '^// npm:[^ "]+',
    binary,
  ]);
  const inside = texts.trim().split("\n").map((line) => /npm:((@[^/]+\/)?[^/]+)\/([^/]+)/.exec(line)!);
  for (const [, name, , found] of inside) assert(listed.includes(`${name}@${found}`), `${name}@${found}`);
  for (const name of ["etcd3@", "@grpc/grpc-js@", "protobufjs@", "smol-toml@"]) {
    assert(listed.some((each) => each.startsWith(name)), name);
  }
  assertEquals(listed.filter((each) => /fast-check|pure-rand|@types/.test(each)), []);
});

Deno.test("a base that is not one, a missing compiler, unknown words: one line, no file", async () => {
  const directory = `${built}/refused`;
  const refused = async (says: RegExp, args: readonly string[], env: Record<string, string> = {}) => {
    const { code, stdout } = await compile([`--directory=${directory}`, ...args], { env });
    assertEquals(code, 1, stdout);
    assertMatch(stdout, says);
    assertEquals(stdout.trim().split("\n").length, 1, stdout);
    assertEquals(modesIn(directory), {});
  };
  await Deno.mkdir(directory);
  await refused(/^compile: the result is not our program/, [], { DENORT_BIN: Deno.execPath() });
  await refused(/^compile: use DENORT_BIN ".*absent": no such file/, [], {
    DENORT_BIN: `${directory}/absent`,
  });
  await refused(/^compile: use DENORT_BIN ".*": it is no program/, [], { DENORT_BIN: `${top}/deno.json` });
  const other = `${built}/other-base`;
  Deno.writeFileSync(other, Deno.readFileSync("/bin/true"));
  await refused(/^compile: use DENORT_BIN ".*": it is no denort; a denort 2/, [], { DENORT_BIN: other });
  const cross = "--target=aarch64-unknown-linux-gnu";
  await refused(/^compile: use DENORT_BIN ".*": it is a program for x86_64; one for aarch64/, [cross], {
    DENORT_BIN: Deno.execPath(),
  });
  const absent = "--deno=/nonexistent";
  await refused(/^compile: embed "\/nonexistent": no such file/, [absent]);
  await refused(/^compile: embed "\/nonexistent": no such file/, [absent, "--kind=launcher"]);
  await refused(/^compile: --deno "\/nonexistent": it goes into the launcher kind/, [
    absent,
    "--kind=compiled",
  ]);
  await refused(/^compile: embed ".*": it is a program for x86_64; one for aarch64/, [
    cross,
    `--deno=${Deno.execPath()}`,
  ]);
  await refused(/^compile: embed ".*": it is no Deno/, [`--deno=${other}`]);
  await refused(
    /^compile: build the C library with "aarch64-linux-gnu-gcc": .* for aarch64; one for x86_64/,
    [
      "--kind=launcher",
    ],
    { CC: "aarch64-linux-gnu-gcc" },
  );
  await refused(/^compile: build the C library: there is no "absent-cc"; on Debian: apt-get install gcc/, [
    "--kind=launcher",
  ], { CC: "absent-cc" });
  const arm64 = ["--kind=launcher", "--target=aarch64-unknown-linux-gnu"];
  const path = { PATH: `${built}/nowhere` };
  await refused(
    /^compile: .* there is no "aarch64-linux-gnu-gcc"; on Debian: apt-get install gcc-aa/,
    arm64,
    path,
  );
  await refused(/^compile: for "riscv": the targets are x86_64/, ["--target=riscv"]);
  await refused(/^compile: "--kin=x": give --kind/, ["--kin=x"]);
});
