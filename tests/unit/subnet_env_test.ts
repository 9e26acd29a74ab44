/** subnet.env: upstream's bytes out, everybody's spelling in. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  formatSubnetEnv,
  parseSubnetEnv,
  readSubnetEnv,
  writeSubnetEnv,
} from "../../src/files/subnet_env.ts";
import { Failure } from "../../src/model/errors.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { dualStack, trafficOptions } from "../support/firewall_wishes.ts";

const env = { network: dualStack, subnets: trafficOptions().subnets, mtu: 1450, ipMasq: true };
const v4 = (text: string) => ({ v4: parsePrefix(text), v6: null });
const nothing = { v4: null, v6: null };

Deno.test("the file of a dual-stack host", () => {
  assertEquals(
    formatSubnetEnv(env),
    "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\n" +
      "FLANNEL_IPV6_NETWORK=fd00:1::/48\nFLANNEL_IPV6_SUBNET=fd00:1:0:48::1/64\n" +
      "FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
  );
});

Deno.test("the file of a host with one family", () => {
  const network = { ...dualStack, v6: null };
  assertEquals(
    formatSubnetEnv({ network, subnets: v4("10.5.72.0/24"), mtu: 1500, ipMasq: false }),
    "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=false\n",
  );
  assertEquals(
    formatSubnetEnv({ ...env, network: { ...dualStack, v4: null } }).split("\n")[0],
    "FLANNEL_IPV6_NETWORK=fd00:1::/48",
  );
});

Deno.test("what is written is read again", () => {
  assertEquals(parseSubnetEnv(formatSubnetEnv(env)), {
    networks: [parsePrefix("10.5.0.0/16")!, parsePrefix("fd00:1::/48")!],
    subnets: env.subnets,
    problems: [],
  });
});

const spellings: Record<string, string> = {
  "plain": "FLANNEL_SUBNET=10.5.72.1/24",
  "export": "export FLANNEL_SUBNET=10.5.72.1/24",
  "colon": "FLANNEL_SUBNET: 10.5.72.1/24",
  "double quotes": 'FLANNEL_SUBNET="10.5.72.1/24" # ours',
  "single quotes": "  FLANNEL_SUBNET = '10.5.72.1/24'",
  "comment behind": "# before\nFLANNEL_SUBNET=10.5.72.1/24 # behind\r\n",
  "variables": 'BASE=10.5\nFLANNEL_SUBNET="${BASE}.72.1/24"',
  "the last one": "FLANNEL_SUBNET=10.5.1.1/24\nFLANNEL_SUBNET=10.5.72.1/24",
  "a bad entry in a list": "FLANNEL_SUBNET=10.5.72.1,10.5.72.1/24,fd00::1/64",
};

for (const [name, text] of Object.entries(spellings)) {
  Deno.test(`the reader accepts: ${name}`, () => {
    assertEquals(parseSubnetEnv(text).subnets, v4("10.5.72.0/24"));
  });
}

Deno.test("no value, several values and nonsense are no previous subnet, and are told", () => {
  for (const text of ["", "FLANNEL_SUBNET=", "\0garbage\nFLANNEL_SUBNET", "FLANNEL_SUBNETS=10.5.72.1/24"]) {
    const { problems, ...read } = parseSubnetEnv(text);
    assertEquals(read, { networks: [], subnets: nothing });
    assertStringIncludes(problems.at(-1) ?? "nothing", "there is no FLANNEL_SUBNET");
  }
  assertStringIncludes(
    parseSubnetEnv("\0garbage\nFLANNEL_SUB").problems[0]!,
    "line 1 is no NAME=VALUE (and 1 more)",
  );
  assertEquals(parseSubnetEnv("FLANNEL_SUBNET=10.5.1.1/24,10.5.2.1/24").subnets, nothing);
  assertEquals(parseSubnetEnv("FLANNEL_NETWORK=10.5.0.0/16,10.6.0.0/16").networks, []);
  assertEquals(parseSubnetEnv("FLANNEL_SUBNET=10.5.72.1/33").problems, [
    'FLANNEL_SUBNET "10.5.72.1/33": not an IPv4 prefix; it is skipped',
  ]);
});

Deno.test("a file that is not there has nothing to say; one that can't be read or written says why", async () => {
  const directory = await Deno.makeTempDir();
  try {
    assertEquals((await readSubnetEnv(`${directory}/subnet.env`)).problems, []);
    assertStringIncludes((await readSubnetEnv(directory)).problems[0] ?? "", "is a directory");
    await assertRejects(() => writeSubnetEnv(directory, ""), Failure, `write subnet file "${directory}"`);
    await writeSubnetEnv(`${directory}/subnet.env`, formatSubnetEnv(env));
    assertEquals((await readSubnetEnv(`${directory}/subnet.env`)).subnets, env.subnets);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the whole internet is nobody's previous network: everything would be ours to prune", () => {
  const read = parseSubnetEnv(
    "FLANNEL_NETWORK=0.0.0.0/0\nFLANNEL_IPV6_NETWORK=::/0\nFLANNEL_SUBNET=10.5.72.1/24\n",
  );
  assertEquals(read.networks, []);
  assertEquals(read.problems.map((problem) => problem.includes("the whole internet")), [true, true]);
});

Deno.test("variables that name each other over and over fill no memory", () => {
  const doubling = `A=${"x".repeat(60)}\n` + "A=$A$A\n".repeat(60);
  assertEquals(
    parseSubnetEnv(`${doubling}FLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_NETWORK=$A`).subnets,
    v4("10.5.72.0/24"),
  );
});

Deno.test("a symbolic link in the file's place is replaced, not followed", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const [path, target] = [`${directory}/subnet.env`, `${directory}/target`];
    await Deno.writeTextFile(target, "theirs");
    await Deno.symlink(target, path);
    await writeSubnetEnv(path, "ours\n");
    assertEquals([await Deno.readTextFile(target), (await Deno.lstat(path)).isFile], ["theirs", true]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
