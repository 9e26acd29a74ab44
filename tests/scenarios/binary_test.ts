/**
 * dist/flanneld as it goes on a node: one file in an empty root directory brings up the overlay with a real etcd.
 *
 *        h1: etcd member                       h2
 *   chroot: flanneld, libc, /proc …       chroot: the same
 *         192.168.64.11 ─────────────────── 192.168.64.12
 *            └ container 10.1.a.2              └ container 10.1.b.2
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { buildBinary, compile, fillRoot, type Kind } from "../support/binary.ts";
import { health } from "../support/daemon.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { output, poll, type Process, run, say } from "../support/process.ts";
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
  assertEquals(await start("version"), { code: 0, stdout: `${version}\n`, stderr: "" });
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

Deno.test("two builds of one tree, in different places, are the same bytes", async () => {
  const tree = `${built}/elsewhere/tree`;
  const top = new URL("../..", import.meta.url).pathname;
  await Deno.mkdir(tree, { recursive: true });
  const parts = ["main.ts", "deno.json", "deno.lock", "src", "ffi", "native", "tasks"].map((name) =>
    top + name
  );
  await run(["cp", "-a", ...parts, tree]);
  const again = await compile(["--kind=launcher", `--directory=${built}/again`], {}, tree);
  assertEquals(again.code, 0, again.stdout + again.stderr);
  const sums = ["launcher", "again"].map((name) => Deno.readTextFileSync(`${built}/${name}/SHA256SUMS`));
  assertEquals(sums[0], sums[1]);
  assertEquals((await output(["cmp", binary, `${built}/again/flanneld`])).stdout, "");
  await run(["sh", "-ec", 'cd "$1"; sha256sum --check --quiet SHA256SUMS', "sh", `${built}/launcher`]);
});

Deno.test("a plain deno as DENORT_BIN, a missing compiler, unknown words: one line, no file", async () => {
  const directory = `${built}/refused`;
  const refused = async (says: RegExp, args: readonly string[], env: Record<string, string> = {}) => {
    const { code, stdout } = await compile([`--directory=${directory}`, ...args], { env });
    assertEquals(code, 1, stdout);
    assertMatch(stdout, says);
    assertEquals(stdout.trim().split("\n").length, 1, stdout);
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), []);
  };
  await refused(/^compile: the result is not our program/, [], { DENORT_BIN: Deno.execPath() });
  await refused(/^compile: .*DENORT_BIN/, [], { DENORT_BIN: `${directory}/absent` });
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
