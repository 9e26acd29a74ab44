/**
 * The soak itself, for a moment: three hosts, fifty further leases, twenty seconds of faults, by the very task. What it does and
 * judges: tests/support/soak/soak.ts. The seed has etcd, and a daemon while etcd is away, killed first.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { output, say } from "../support/process.ts";

const SEED = 153754;
const TASK = new URL("../../tasks/soak.ts", import.meta.url).pathname;

for (const api of ["v3", "v2"]) {
  Deno.test({
    name: `soak: three hosts on etcd ${api} under faults for twenty seconds keep nothing and have everything`,
    ignore: Deno.uid() !== 0,
    fn: () => shortSoak(api),
  });
}

async function shortSoak(api: string): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "denim-soak-" });
  try {
    const size = [
      "--hosts=3",
      "--leases=50",
      "--seconds=20",
      "--every=1",
      `--seed=${SEED}`,
      `--etcd-api=${api}`,
    ];
    const command = [Deno.execPath(), "run", "-A", "--no-check", TASK, ...size, "--json", file];
    const { code, stdout, stderr } = await output(command, { deadline: 240_000 });
    assertEquals(code, 0, stdout + stderr);
    assertMatch(stdout, /^all well$/m);
    const lines = (await Deno.readTextFile(file)).trim().split("\n").map((line) => JSON.parse(line));
    const { faults } = lines.at(-1);
    const hosts = new Set(lines.slice(1, -1).map(({ host }) => host));
    const struck = Object.values(faults as Record<string, { struck: number }>).map((tally) => tally.struck);
    say(`${lines.length - 2} samples, ${struck.reduce((a, b) => a + b)} faults`);
    assertEquals([...hosts].sort(), ["h1", "h2", "h3"]);
    for (const name of ["daemon killed", "etcd killed"]) assert(faults[name].struck > 0, name);
  } finally {
    await Deno.remove(file);
  }
}
