/**
 * mk-docker-opts.sh beside upstream's of both releases (`mk-docker-opts-0.11.sh`, `mk-docker-opts-0.28.sh`): the same bytes for
 * the whole table, and what differs otherwise, as docs/differences.md lists it. In a namespace of its own, because the scripts
 * look at the routing table.
 */
import { assert, assertEquals } from "@std/assert";
import { dockerOptsEnvironment, dockerOptsTable } from "../support/docker_opts_table.ts";
import { createNamespace } from "../support/netns.ts";
import { peerBinary } from "../support/peers.ts";

const OURS = new URL("../../dist/mk-docker-opts.sh", import.meta.url).pathname;
const FULL = "FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";
const OPTIONS = " --bip=10.1.74.1/24 --ip-masq=true --mtu=1472";

interface Written {
  readonly code: number;
  readonly text: string | null;
}

type Call = (script: string, options: readonly string[], setting?: Setting) => Promise<Written>;

interface Setting {
  /** None, where null. */
  readonly subnetFile?: string | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly shell?: string;
  /** Words before the options instead of `-f` with the whole path. */
  readonly from?: readonly string[];
}

for (const release of ["0.11", "0.28"]) {
  const name = `mk-docker-opts-${release}.sh`;
  const theirs = peerBinary(name);
  const test = (
    title: string,
    fn: (call: Call, theirs: string, route: (to: string) => Promise<unknown>) => Promise<void>,
  ) =>
    Deno.test({
      name: `${release}: ${title}${theirs === null ? ` [needs upstream's ${name} in DENIM_PEERS]` : ""}`,
      ignore: theirs === null || Deno.uid() !== 0,
      fn: () => withScripts((call, route) => fn(call, theirs!, route)),
    });

  test("upstream's script writes what the table says", async (call, theirs) => {
    for (const { name, options, subnetFile, output } of dockerOptsTable()) {
      const written = await call(theirs, options, { subnetFile, env: dockerOptsEnvironment });
      assertEquals([name, written], [name, { code: output === null ? 1 : 0, text: output }]);
    }
  });

  test("what differs from upstream's script is what is listed", async (call, theirs) => {
    const both = async (options: readonly string[], setting: Setting) => [
      await call(theirs, options, setting),
      await call(OURS, options, setting),
    ];
    // Variables of the environment.
    const foo = await both(["-c"], { env: { DOCKER_OPT_FOO: "--foo" } });
    assertEquals(foo.map(({ text }) => text), [
      'DOCKER_OPTS=" --bip=10.1.74.1/24 --foo --ip-masq=true --mtu=1472"\n',
      `DOCKER_OPTS="${OPTIONS}"\n`,
    ]);
    const without = await both(["-c"], { subnetFile: null, env: { FLANNEL_MTU: "9" } });
    assertEquals(without.map(({ text }) => text), ['DOCKER_OPTS=" --mtu=9"\n', 'DOCKER_OPTS=""\n']);
    // The file is read instead of run.
    const run = await both(["-c"], { subnetFile: "FLANNEL_MTU=$(echo 7)\n" });
    assertEquals(run, [{ code: 0, text: 'DOCKER_OPTS=" --mtu=7"\n' }, { code: 1, text: null }]);
    const dos = await both(["-c"], { subnetFile: "FLANNEL_MTU=1472\r\n" });
    assertEquals(dos.map(({ text }) => text), [
      'DOCKER_OPTS=" --mtu=1472\r"\n',
      'DOCKER_OPTS=" --mtu=1472"\n',
    ]);
    // Beside the current directory.
    const relative = await both(["-c"], { from: ["-f", "subnet.env"] });
    assertEquals(relative, [{ code: 2, text: null }, { code: 0, text: `DOCKER_OPTS="${OPTIONS}"\n` }]);
    // A name that is none.
    const [odd, refused] = await both(["-c", "-k", "A-B"], {});
    assert(odd!.text?.startsWith("A-B="), odd!.text ?? "nothing");
    assertEquals(refused, { code: 1, text: null });
    // Another shell.
    const [polluted, clean] = await both(["-c"], { shell: "bash" });
    assert(polluted!.text !== clean!.text, polluted!.text ?? "nothing");
    assertEquals(clean!.text, `DOCKER_OPTS="${OPTIONS}"\n`);
  });

  test(
    "a rival route: 0.11 does not look, 0.28 takes a longer number for it",
    async (call, theirs, route) => {
      await route("110.1.74.0/24");
      const mistaken = await call(theirs, ["-c"]);
      assertEquals([mistaken.code, (await call(OURS, ["-c"])).code], [release === "0.28" ? 1 : 0, 0]);
      await route("10.1.74.0/24");
      const [rival, ours] = [await call(theirs, ["-c"]), await call(OURS, ["-c"])];
      assertEquals([rival.code, ours.code], [release === "0.28" ? 1 : 0, 1]);
      assertEquals([rival.text, ours.text], Array(2).fill(`DOCKER_OPTS="${OPTIONS}"\n`));
    },
  );
}

async function withScripts(
  test: (call: Call, route: (to: string) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  await using host = await createNamespace(`docker-opts-peer-${Deno.pid}`);
  const directory = await Deno.makeTempDir();
  await host.sh(
    "ip link add v0 type veth peer name v1; ip address add 192.0.2.1/24 dev v0; ip link set v0 up",
  );
  const call: Call = async (script, options, { subnetFile = FULL, env = {}, shell = "dash", from } = {}) => {
    const paths = [...from ?? ["-f", `${directory}/subnet.env`], "-d", `${directory}/docker`];
    if (subnetFile !== null) await Deno.writeTextFile(`${directory}/subnet.env`, subnetFile);
    const words = ["env", "-C", directory, shell, script, ...paths, ...options];
    const { code } = await host.output(words, { env });
    const text = await Deno.readTextFile(`${directory}/docker`).catch(() => null);
    for (const name of ["docker", "subnet.env"]) await Deno.remove(`${directory}/${name}`).catch(() => {});
    return { code, text };
  };
  try {
    await test(call, (to) => host.run(["ip", "route", "add", to, "via", "192.0.2.9"]));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
