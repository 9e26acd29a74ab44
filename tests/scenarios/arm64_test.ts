/**
 * arm64, on any machine: the C library, the launcher and dist/flanneld-aarch64 are built for it and run under qemu-user. What the
 * processors do differently (alignment, char, memory order of fields) shows there; UndefinedBehaviorSanitizer refuses unaligned
 * accesses that the emulator would let pass. The emulator knows too little of netlink for a daemon with a network.
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runnerFor } from "../../tasks/compile_emulate.ts";
import { targetOf } from "../../tasks/compile_target.ts";
import { processorOf } from "../../tasks/compile_program.ts";
import { top } from "../../tasks/run.ts";
import { version } from "../../src/cli/version.ts";
import { compile } from "../support/binary.ts";
import { LauncherBench } from "../support/launcher.ts";
import { output, run } from "../support/process.ts";

const native = `${top}/native`;
const arm64 = targetOf("aarch64-unknown-linux-gnu")!;
const CC = "aarch64-linux-gnu-gcc";

Deno.test("the C library's own tests pass on arm64, without an unaligned access", async () => {
  const scratch = await Deno.makeTempDir({ prefix: "denim-arm64-" });
  try {
    const sanitize = "-O1 -g -static -fsanitize=undefined -fno-sanitize-recover=all";
    const variables = [
      `CC=${CC}`,
      `BUILD=${scratch}`,
      `SANITIZE=${sanitize}`,
      "EMULATOR=qemu-aarch64-static",
    ];
    const command = ["make", "--silent", "--no-print-directory", "-j2", "-C", native, "test", ...variables];
    const tested = await output(command, { deadline: 300_000 });
    assertEquals(tested.code, 0, tested.stdout + tested.stderr);
    const passed = tested.stdout.match(/^ok \w+$/gm) ?? [];
    const count = `cat ${native}/test/*.c ${native}/launcher/test/*.c | grep -c 'RUN([a-z]'`;
    const written = await run(["sh", "-ec", count]);
    assertEquals(passed.length, Number(written));
    const kind = await run(["od", "-An", "-tu1", "-j18", "-N1", `${scratch}/test/parse_test`]);
    assertEquals(kind.trim(), "183", "they are arm64 programs");
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
});

Deno.test("the launcher extracts and starts a program on arm64", async () => {
  const runner = await runnerFor(arm64);
  if (runner === null) throw new Error("run arm64 programs: install qemu-user-static");
  using bench = await LauncherBench.create({ compiler: CC, static: true });
  const binary = bench.binary();
  for (let i = 0; i < 2; i++) {
    const started = await bench.start([...runner, binary, "-ip-masq"]);
    assertEquals([started.code, started.stderr], [7, ""]);
    assertEquals(started.all("arg").at(-1), "-ip-masq");
  }
  const verified = await output([...runner, binary, "--verify"], { env: { DENIM_EXTRACT_DIR: bench.base } });
  assertMatch(verified.stdout, /^v1\.0\.0-[0-9a-f]{16}: 2 files in ".*" are as built\n$/);
  Deno.writeFileSync(binary, Deno.readFileSync(binary).subarray(0, -1));
  assertMatch((await bench.start([...runner, binary])).stderr, /damaged or cut off/);
});

Deno.test("dist/flanneld-aarch64, with Deno as npm has it, is built and run", async () => {
  const directory = await Deno.makeTempDir({ prefix: "denim-arm64-" });
  try {
    const words = ["--kind=launcher", `--target=${arm64.triple}`, `--directory=${directory}`];
    const built = await compile(words, { deadline: 600_000 });
    assertEquals(built.code, 0, built.stdout + built.stderr);
    const binary = `${directory}/flanneld-aarch64`;
    // Tried means: started, with this Deno and the library, as far as a daemon comes without a network.
    assertStringIncludes(built.stdout, `${binary} ${version}, launcher, tried without a network\n`);
    assertEquals(processorOf(Deno.readFileSync(binary)), "aarch64");
    const sums = await run(["sh", "-ec", 'cd "$1"; sha256sum --check SHA256SUMS', "sh", directory]);
    assertStringIncludes(sums, "flanneld-aarch64: OK\n");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
