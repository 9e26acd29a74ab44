/**
 * dist/mk-docker-opts.sh under dash and bash against `dockerOptions`: every choice of options with every kind of subnet file
 * must give the same bytes. In a namespace of its own, because the script looks at the routing table.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  dockerOptions,
  type DockerOptionsChoice,
  dockerOptionsDefault,
} from "../../src/files/docker_opts.ts";
import { parseEnv } from "../../src/files/env_text.ts";
import { dockerOptsEnvironment, dockerOptsTable } from "../support/docker_opts_table.ts";
import { createNamespace, type Namespace } from "../support/netns.ts";
import type { Output } from "../support/process.ts";

const script = new URL("../../dist/mk-docker-opts.sh", import.meta.url).pathname;

interface Choice extends Partial<DockerOptionsChoice> {
  readonly args: readonly string[];
}

const choices: readonly Choice[] = [
  { args: [] },
  { args: ["-i"], combined: false },
  { args: ["-c"], individual: false },
  { args: ["-i", "-c"] },
  { args: ["-m"], ipMasq: false },
  { args: ["-k", "CUSTOM_KEY"], key: "CUSTOM_KEY" },
  {
    args: ["-cmk", "DOCKER_NETWORK_OPTIONS"],
    individual: false,
    ipMasq: false,
    key: "DOCKER_NETWORK_OPTIONS",
  },
  { args: ["-c", "-k", "BEFORE"], individual: false, key: "BEFORE", before: "--debug" },
];

const files: readonly string[] = [
  "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n",
  "FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n",
  "FLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n",
  "FLANNEL_MTU=1472",
  "",
  "# by hand\nexport FLANNEL_SUBNET='10.1.74.1/24'\nFLANNEL_MTU=\"1450\"  # less\r\nFLANNEL_IPMASQ=\n",
  "FLANNEL_MTU=1\nFLANNEL_MTU=1400\nMY_FLANNEL_MTU=2\nDOCKER_OPT_FOO=--foo\nDOCKER_OPTS=--no\n",
];

const environment = { BEFORE: "--debug", DOCKER_OPT_BAR: "--bar", FLANNEL_MTU: "9", combined: "x", mtu: "7" };

async function scriptTest(test: (host: Namespace, directory: string) => Promise<void>): Promise<void> {
  await using host = await createNamespace(`docker-opts-${Deno.pid}-${serial++}`);
  const directory = await Deno.makeTempDir();
  try {
    await test(host, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

let serial = 0;

function call(
  host: Namespace,
  shell: string,
  directory: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = environment,
): Promise<Output> {
  const paths = ["-f", `${directory}/subnet.env`, "-d", `${directory}/docker`];
  return host.output([shell, script, ...paths, ...args], { env });
}

const names = (directory: string) => [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();

Deno.test("dash: the script's bytes are the table's", () =>
  scriptTest(async (host, directory) => {
    for (const { name, options, subnetFile, output, errors } of dockerOptsTable()) {
      await Deno.writeTextFile(`${directory}/subnet.env`, subnetFile);
      const { code, stdout, stderr } = await call(host, "dash", directory, options, dockerOptsEnvironment);
      assertEquals([name, code, stdout, stderr], [name, output === null ? 1 : 0, "", errors]);
      const written = await Deno.readTextFile(`${directory}/docker`).catch(() => null);
      assertEquals([name, written], [name, output]);
      if (written !== null) await Deno.remove(`${directory}/docker`);
    }
  }));

for (const shell of ["dash", "bash"]) {
  Deno.test(`${shell}: the script's bytes are those of dockerOptions`, () =>
    scriptTest(async (host, directory) => {
      for (const text of files) {
        await Deno.writeTextFile(`${directory}/subnet.env`, text);
        for (const { args, ...choice } of choices) {
          const { code, stdout, stderr } = await call(host, shell, directory, args);
          assertEquals({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" }, text);
          const expected = dockerOptions(parseEnv(text), { ...dockerOptionsDefault, ...choice });
          assertEquals(await Deno.readTextFile(`${directory}/docker`), expected, `${text} ${args}`);
        }
      }
    }));

  Deno.test(`${shell}: without a subnet file the options are empty`, () =>
    scriptTest(async (host, directory) => {
      assertEquals((await call(host, shell, directory, [])).code, 0);
      assertEquals(await Deno.readTextFile(`${directory}/docker`), 'DOCKER_OPTS=""\n');
    }));

  Deno.test(`${shell}: wrong use and wrong values write nothing`, () =>
    scriptTest(async (host, directory) => {
      for (const args of [["-h"], ["-?"], ["-z"], ["-k"]]) {
        const { code, stdout, stderr } = await call(host, shell, directory, args);
        assertEquals([code, stdout], [1, ""]);
        assertStringIncludes(stderr, "Usage: ");
      }
      assertEquals((await call(host, shell, directory, ["-k", "A B"])).code, 1);
      for (const text of ["FLANNEL_IPMASQ=maybe", 'FLANNEL_SUBNET=$(id)"']) {
        await Deno.writeTextFile(`${directory}/subnet.env`, text);
        const { code, stderr } = await call(host, shell, directory, []);
        assertEquals([code, stderr], [1, `Invalid value of ${text.replace("=", ": ")}\n`]);
      }
      assertEquals(names(directory), ["subnet.env"]);
    }));

  Deno.test(`${shell}: the output file keeps its mode, and a failed write leaves nothing`, () =>
    scriptTest(async (host, directory) => {
      await Deno.writeTextFile(`${directory}/subnet.env`, files[0]!);
      await Deno.writeTextFile(`${directory}/docker`, "old");
      await Deno.chmod(`${directory}/docker`, 0o640);
      assertEquals((await call(host, shell, directory, [])).code, 0);
      assertEquals(Deno.statSync(`${directory}/docker`).mode! & 0o777, 0o640);
      await host.sh(`mount --bind ${directory}/docker ${directory}/docker`);
      assertEquals(await call(host, shell, directory, ["-c"]), { code: 0, stdout: "", stderr: "" });
      assertEquals((await host.sh(`cat ${directory}/docker`)).split("\n").length, 2);
      await host.sh(`umount ${directory}/docker`);
      assertEquals((await call(host, shell, directory, ["-d", `${directory}/none/docker`])).code, 1);
      assertEquals((await call(host, shell, directory, ["-d", "/dev/stdout"])).stdout.split("\n").length, 5);
      assertEquals(names(directory), ["docker", "subnet.env"]);
    }));

  Deno.test(`${shell}: another route to the subnet is told after writing`, () =>
    scriptTest(async (host, directory) => {
      await Deno.writeTextFile(`${directory}/subnet.env`, files[0]!);
      await host.sh(
        "ip link add v0 type veth peer name v1; ip addr add 192.0.2.1/24 dev v0; ip link set v0 up",
      );
      await host.sh("ip route add 10.1.74.0/24 dev v0; ip route add 110.1.74.0/24 via 192.0.2.9");
      assertEquals((await call(host, shell, directory, [])).code, 0);
      await Deno.remove(`${directory}/docker`);
      await host.sh("ip route replace 10.1.74.0/24 via 192.0.2.9");
      const { code, stderr } = await call(host, shell, directory, []);
      assertEquals(code, 1);
      assertStringIncludes(stderr, "Your routing table already contains the subnet: 10.1.74.0/24");
      assertStringIncludes(await Deno.readTextFile(`${directory}/docker`), "--bip=10.1.74.1/24");
    }));
}
