/** The system adapters against the real system: programs, files, time. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { writeFileAtomic } from "../../src/system/atomic_file.ts";
import { systemClock } from "../../src/system/clock.ts";
import { run } from "../../src/system/exec.ts";
import { systemRandom } from "../../src/system/random.ts";
import { Failure } from "../../src/model/errors.ts";

const what = { what: "subnet file" };

async function inDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const modeOf = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o7777;
const names = (path: string) => [...Deno.readDirSync(path)].map((entry) => entry.name);

Deno.test("run gives input, environment, output and exit code", async () => {
  const result = await run("sh", ["-c", 'cat; echo "$A" >&2; exit 3'], { stdin: "in", env: { A: "b" } });
  assertEquals(result, { code: 3, stdout: "in", stderr: "b\n" });
});

Deno.test("run survives a program that ignores its input, and large output", async () => {
  assertEquals((await run("true", [], { stdin: "x".repeat(1_000_000) })).code, 0);
  assertEquals((await run("head", ["-c", "1000000", "/dev/zero"])).stdout.length, 1_000_000);
});

Deno.test("run names a missing program, its purpose and its package", async () => {
  const error = await assertRejects(() => run("iptables-nowhere", []), Failure);
  assertEquals(
    error.message,
    'run "iptables-nowhere" (needed for masquerading and forward rules): not found; ' +
      "install Debian's package iptables, or check PATH",
  );
});

Deno.test("run ends a program that exceeds its time, grandchildren holding its pipes notwithstanding", async () => {
  const error = await assertRejects(
    () => run("sh", ["-c", "trap '' TERM; sleep 3 & sleep 3"], { timeout: 50 }),
    Failure,
  );
  assertStringIncludes(error.message, "no end after 0.05 s");
});

Deno.test("run passes an abort on", async () => {
  const stop = new AbortController();
  const running = run("sleep", ["5"], { signal: stop.signal });
  stop.abort(new Error("stopped"));
  await assertRejects(() => running, Error, "stopped");
});

Deno.test("sleep takes its time, and an abort ends it at once", async () => {
  const clock = systemClock();
  const start = clock.boot();
  await clock.sleep(20);
  assert(clock.boot() - start >= 20);
  const stop = new AbortController();
  const sleeping = clock.sleep(10_000, stop.signal);
  stop.abort(new Error("stopped"));
  await assertRejects(() => sleeping, Error, "stopped");
  assert(clock.boot() - start < 5_000);
});

Deno.test("sleep ends when the boot clock says so, not the timer", async () => {
  let now = 0;
  const clock = systemClock(() => (now += 40));
  await clock.sleep(100);
  assert(now >= 140);
});

Deno.test("random numbers are below their limit and reach all values", () => {
  const seen = new Set(Array.from({ length: 500 }, () => systemRandom.int(5)));
  assertEquals([...seen].sort(), [0, 1, 2, 3, 4]);
  assertEquals(systemRandom.int(1), 0);
});

Deno.test("a new file is 0644 and its directory 0755 under any umask; an existing one keeps its mode", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/run/flannel/subnet.env`;
    const before = Deno.umask(0o077);
    try {
      await writeFileAtomic(path, "one\n", what);
      assertEquals([modeOf(path), modeOf(`${directory}/run/flannel`)], [0o644, 0o755]);
      await Deno.chmod(path, 0o640);
      await writeFileAtomic(path, "two\n", what);
      assertEquals([modeOf(path), await Deno.readTextFile(path)], [0o640, "two\n"]);
      await writeFileAtomic(`${directory}/key`, "k", { what: "key", mode: 0o400 });
      assertEquals(modeOf(`${directory}/key`), 0o400);
    } finally {
      Deno.umask(before);
    }
    assertEquals(names(`${directory}/run/flannel`), ["subnet.env"]);
  }));

Deno.test("a failed write says what, where, why and what to do, and leaves nothing behind", () =>
  inDirectory(async (directory) => {
    await Deno.mkdir(`${directory}/taken`);
    const error = await assertRejects(() => writeFileAtomic(`${directory}/taken`, "x", what), Failure);
    assertEquals(
      error.message,
      `write subnet file "${directory}/taken": is a directory; choose the path of a file`,
    );
    assertEquals(names(directory), ["taken"]);
  }));
