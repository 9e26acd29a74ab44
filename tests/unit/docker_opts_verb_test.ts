/** The verb docker-opts: files, options and errors; the bytes themselves are tested against the script. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { run } from "../../src/cli/docker_opts.ts";
import { dockerOptsEnvironment, dockerOptsTable } from "../support/docker_opts_table.ts";
import { Failure, UsageError } from "../../src/model/errors.ts";

const subnetEnv =
  "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n";

async function call(words: string[], environment: Record<string, string> = {}): Promise<string> {
  let printed = "";
  const io = { args: words, environment, out: (text: string) => void (printed += text), err: () => {} };
  assertEquals(await run(io), 0);
  return printed;
}

Deno.test("docker-opts: prints, combines, renames, and takes what the variable holds already", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, subnetEnv);
    assertEquals(
      await call(["-f", file, "-d", "-", "-c"]),
      'DOCKER_OPTS=" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472"\n',
    );
    assertEquals(
      await call(["-f", file, "-d", "-", "-c", "-k", "NET", "-m"], { NET: "--debug" }),
      'NET="--debug  --bip=10.1.74.1/24 --mtu=1472"\n',
    );
    assertStringIncludes(await call(["-f", file, "-d", "-"]), 'DOCKER_OPT_BIP="--bip=10.1.74.1/24"\n');
    await call(["-f", file, "-d", `${file}.out`, "-i"]);
    assertStringIncludes(await Deno.readTextFile(`${file}.out`), 'DOCKER_OPT_MTU="--mtu=1472"\n');
  } finally {
    await Deno.remove(file);
    await Deno.remove(`${file}.out`);
  }
});

Deno.test("docker-opts: the bytes of the table of mk-docker-opts.sh", async () => {
  const file = await Deno.makeTempFile();
  try {
    for (const { name, options, subnetFile, output, errors } of dockerOptsTable()) {
      await Deno.writeTextFile(file, subnetFile);
      const printed = call(["-f", file, "-d", "-", ...options], dockerOptsEnvironment);
      if (output !== null) assertEquals([name, await printed], [name, output]);
      else await assertRejects(() => printed, Failure, errors.trimEnd());
    }
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("docker-opts: a missing file and an unknown option have one clear end", async () => {
  await assertRejects(
    () => call(["-f", "/nonexistent/subnet.env"]),
    Failure,
    'read the subnet file "/nonexistent/subnet.env"',
  );
  await assertRejects(() => call(["-x"]), UsageError, 'docker-opts "-x": no such option');
});
