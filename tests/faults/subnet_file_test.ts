/** The subnet file: damaged before a start, removed or changed while the daemon runs. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { noSubnetFile, openSubnetFile } from "../../src/control/subnet_files.ts";
import { parseSubnetEnv } from "../../src/files/subnet_env.ts";
import { Cluster, type TestHost } from "../support/cluster.ts";
import { FakeClock } from "../support/clock.ts";

/** A host whose file was `text` at its start. */
function found(host: TestHost, text: string): TestHost {
  host.subnetFile = { ...noSubnetFile(), path: "/run/flannel/subnet.env", previous: parseSubnetEnv(text) };
  return host;
}

Deno.test("a damaged subnet file is told, with what was used of it", async () => {
  const cases: [string, RegExp, RegExp][] = [
    ["", /there is no FLANNEL_SUBNET/, /: nothing; which subnet this host had is not known$/],
    ["\0\0\0\0", /line 1 is no NAME=VALUE/, /: nothing;/],
    [
      "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.",
      /FLANNEL_SUBNET "10\.1\.": not an IPv4 prefix/,
      /: network 10\.1\.0\.0\/16; which/,
    ],
    [
      "FLANNEL_NETWORK=\u200b10.1.0.0/16\nFLANNEL_SUBNET=10.1.77.1/24\n",
      /FLANNEL_NETWORK .*: not an IPv4 prefix/,
      /: subnet 10\.1\.77\.0\/24$/,
    ],
  ];
  for (const [text, problem, used] of cases) {
    await using cluster = new Cluster();
    const a = found(cluster.host(11), text);
    await a.start();
    const said = a.said(/^warn: .*subnet file "\/run\/flannel\/subnet\.env":/);
    assertMatch(said[0]!, problem);
    assertMatch(said.at(-1)!, used);
  }
});

Deno.test("a whole subnet file is not worth a word, nor is one that is not there", async () => {
  await using cluster = new Cluster();
  const whole = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.77.1/24\nFLANNEL_MTU=1450\n";
  const [a, b] = [found(cluster.host(11), whole), cluster.host(12)];
  await a.start();
  await b.start();
  assertEquals([...a.said(/^warn/), ...b.said(/^warn/)], []);
  assertMatch(a.overlay!.lease.subnets.v4!.length.toString(), /24/);
});

Deno.test("where the file says nothing, what our device says is told", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  await a.stop();
  found(a, "rubbish");
  await a.start();
  assertMatch(
    a.said(/^warn: used of/)[0]!,
    /: nothing; our device says that our subnet was 10\.1\.\d+\.0\/24$/,
  );
});

Deno.test("a file that somebody removes or changes is written again, and told; again and again, once in a minute", async () => {
  await using cluster = new Cluster();
  const a = cluster.host(11);
  let text: string | null = null;
  let touched = Promise.withResolvers<void>();
  const touch = (by: string | null) => {
    text = by;
    touched.resolve();
  };
  a.subnetFile = {
    ...noSubnetFile(),
    read: () => Promise.resolve(text),
    write: (wanted) => Promise.resolve(void (text = wanted)),
    async *changes(signal) {
      signal.addEventListener("abort", () => touched.resolve());
      for (; !signal.aborted; touched = Promise.withResolvers()) {
        await touched.promise;
        if (!signal.aborted) yield;
      }
    },
  };
  await a.start();
  await cluster.advance(1_000);
  const right = text;
  assert(right !== null);
  for (const [by, how] of [[null, "removed"], ["FLANNEL_SUBNET=", "changed"]] as const) {
    touch(by);
    await cluster.advance(10);
    assertEquals(text, right);
    assertEquals(a.said(new RegExp(`somebody ${how} it; it is written again`)).length, 1);
    await cluster.advance(60_000);
  }
  a.lines.length = 0;
  for (let second = 0; second < 130; second++) {
    touch(null);
    await cluster.advance(1_000);
    assertEquals(text, right);
  }
  assertEquals(a.said(/somebody removed it/).length, 3);
  assertEquals(a.said(/as 5\d times in the last while/).length, 2);
  assertEquals(a.said(/Wrote subnet file/), []);
});

Deno.test("whatever happens to the file is noticed within a second: removed, changed in place, replaced, its directory too", async () => {
  const directory = await Deno.makeTempDir({ prefix: "subnet_file_" });
  const [inside, path] = [`${directory}/flannel`, `${directory}/flannel/subnet.env`];
  const stop = new AbortController();
  try {
    const clock = new FakeClock();
    const file = await openSubnetFile(path, clock);
    await file.write("FLANNEL_MTU=1450\n");
    const changes = file.changes(stop.signal)[Symbol.asyncIterator]();
    await file.read();
    const quiet = changes.next();
    await clock.advance(5_000);
    assertEquals(await Promise.race([quiet, Promise.resolve("nothing")]), "nothing");
    const steps = {
      "removed": () => Deno.remove(path),
      "written by us": () => file.write("FLANNEL_MTU=1450\n"),
      "changed in place": () => Deno.writeTextFile(path, "FLANNEL_MTU=1400\n"),
      "replaced": async () => {
        const { mtime } = await Deno.stat(path);
        await Deno.writeTextFile(`${path}.new`, "FLANNEL_MTU=1300\n");
        await Deno.utime(`${path}.new`, mtime!, mtime!);
        await Deno.rename(`${path}.new`, path);
      },
      "directory removed": () => Deno.remove(inside, { recursive: true }),
      "directory made again, removed again": async () => {
        await file.write("FLANNEL_MTU=1450\n");
        await Deno.remove(inside, { recursive: true });
      },
    };
    let told = quiet;
    for (const [what, step] of Object.entries(steps)) {
      await step();
      assertEquals((await clock.drive(told, 1_000)).done, false, what);
      await file.read();
      told = changes.next();
    }
  } finally {
    stop.abort();
    await Deno.remove(directory, { recursive: true });
  }
});
