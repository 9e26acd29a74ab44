/** What the library does for the process: sd_notify, the boot clock, SIGUSR1, the lock; and how it is found and checked. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { closeDescriptor, describeDescriptor, setCloseOnExec } from "../../ffi/descriptors.ts";
import { ABI_VERSION } from "../../ffi/layout.ts";
import { loadLibrary } from "../../ffi/library.ts";
import { memoryFile } from "../../ffi/memory_file.ts";
import { bootTime, ignoreInspectorSignal, lock, notify, notifyWithDescriptors } from "../../ffi/process.ts";
import { Failure } from "../../src/model/errors.ts";
import { output, poll, Process } from "../support/process.ts";

function failureOf(action: () => unknown): string {
  return assertThrows(action, Failure).message;
}

/** socat as the service manager's end of a notify socket. */
async function listen(address: string): Promise<Process> {
  const target = address.startsWith("@") ? `ABSTRACT-RECV:${address.slice(1)}` : `UNIX-RECV:${address}`;
  const listener = new Process("socat", ["socat", "-u", target, "-"]);
  await poll(
    `the socket ${address}`,
    5000,
    async () => (await Deno.readTextFile("/proc/net/unix")).includes(address),
  );
  return listener;
}

for (const kind of ["path", "abstract"]) {
  Deno.test(`notify reaches a socket with an ${kind} address`, async () => {
    using library = loadLibrary();
    const directory = await Deno.makeTempDir();
    const address = kind === "path" ? `${directory}/notify` : `@denim-notify-test-${Deno.pid}`;
    try {
      await using listener = await listen(address);
      notify(library, address, "READY=1\nSTATUS=two lines\n");
      await listener.line(/READY=1/);
      await listener.line(/STATUS=two lines/);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("descriptors go with a message, unless one is not open", async () => {
  using library = loadLibrary();
  const address = `@denim-fdstore-test-${Deno.pid}`;
  await using listener = await listen(address);
  notifyWithDescriptors(library, address, "FDSTORE=1\nFDNAME=udp\n", [1, 2]);
  await listener.line(/FDSTORE=1/);
  const lost = failureOf(() => notifyWithDescriptors(library, address, "FDSTORE=1", [1, 9999]));
  assertMatch(lost, /EBADF/);
  const many = failureOf(() => notifyWithDescriptors(library, address, "FDSTORE=1", Array(65).fill(1)));
  assertMatch(many, /E2BIG/);
});

Deno.test("a descriptor that is not open is nothing, and can neither be kept nor closed", () => {
  using library = loadLibrary();
  assertEquals(describeDescriptor(library, 9999), null);
  assertEquals(describeDescriptor(library, -1), null);
  assertMatch(failureOf(() => setCloseOnExec(library, 9999)), /keep the descriptor 9999 .*EBADF/);
  assertMatch(failureOf(() => closeDescriptor(library, 9999)), /close the descriptor 9999: .*EBADF/);
});

Deno.test("notify says why it could not", () => {
  using library = loadLibrary();
  const missing = failureOf(() => notify(library, "/nowhere/notify", "READY=1"));
  assertEquals(missing, 'notify the service manager at "/nowhere/notify": there is no such entry (ENOENT)');
  assertMatch(failureOf(() => notify(library, "relative", "READY=1")), /EINVAL/);
  assertMatch(failureOf(() => notify(library, `/${"x".repeat(200)}`, "READY=1")), /EINVAL/);
});

Deno.test("bootTime is the boot clock, in milliseconds", () => {
  using library = loadLibrary();
  const uptime = () => 1000 * Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  const [before, boot, after] = [uptime(), bootTime(library), uptime()];
  assert(boot > before - 20 && boot < after + 20, `${before} ≤ ${boot} ≤ ${after}`);
  assert(bootTime(library) > boot);
});

Deno.test("a lock is held once, and free again after its holder let go", () => {
  using library = loadLibrary();
  const name = `denim-lock-test-${Deno.pid}`;
  const held = lock(library, name);
  assert(held !== null);
  assertEquals(lock(library, name), null);
  held[Symbol.dispose]();
  held[Symbol.dispose]();
  using again = lock(library, name);
  assert(again !== null);
  assertMatch(failureOf(() => lock(library, "")), /take the lock "": .*EINVAL/);
});

const module = (name: string) => new URL(`../../ffi/${name}`, import.meta.url).href;

/** A program in a process of its own that has loaded the library. */
function program(code: string): string[] {
  const script = `
    import { loadLibrary } from "${module("library.ts")}";
    import { ignoreInspectorSignal, lock } from "${module("process.ts")}";
    const library = loadLibrary();
    ${code}
    Deno.addSignalListener("SIGUSR2", () => console.log("SIGUSR2 came"));
    console.log("started");
    setInterval(() => {}, 1000);
  `;
  return [Deno.execPath(), "eval", script];
}

Deno.test("a lock is free again after its holder was killed", async () => {
  using library = loadLibrary();
  const name = `denim-lock-kill-test-${Deno.pid}`;
  await using other = new Process("holder", program(`lock(library, "${name}");`));
  await other.line(/started/);
  assertEquals(lock(library, name), null);
  Deno.kill(other.pid, "SIGKILL");
  using held = await poll("the lock", 5000, () => lock(library, name));
  assert(held);
});

/** Whether the process listens on any TCP port. */
async function listens(pid: number): Promise<boolean> {
  const inodes = new Set<string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const LISTEN = "0A";
  const lines = (await Deno.readTextFile(`/proc/${pid}/net/tcp`)).split("\n").slice(1).map((l) =>
    l.trim().split(/\s+/)
  );
  return lines.some((fields) => fields[3] === LISTEN && inodes.has(fields[9] ?? ""));
}

const LATE = `
  setTimeout(() => {
    ignoreInspectorSignal(library);
    console.log("ignored");
    setTimeout(() => console.log("later"), 1000);
  }, 1500);
`;

/** Asks for the inspector until it is there: Deno listens for SIGUSR1 some time after the start, before that it is fatal. */
async function openInspector(pid: number): Promise<void> {
  await poll(`the handler for SIGUSR1 in process ${pid}`, 10_000, () => catches(pid, "SigCgt"));
  Deno.kill(pid, "SIGUSR1");
  await poll(`the inspector of process ${pid}`, 10_000, () => listens(pid));
}

/** Whether SIGUSR1 is in that set of the process. */
function catches(pid: number, set: "SigCgt" | "SigIgn"): boolean {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const SIGUSR1 = 10n;
  return ((BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)`, "m").exec(status)?.[1]}`) >> (SIGUSR1 - 1n)) &
    1n) === 1n;
}

Deno.test("SIGUSR1 opens no inspector once it is ignored, early or late; without that it does", async () => {
  await using closed = new Process("closed", program("ignoreInspectorSignal(library);"));
  await using late = new Process("late", program(LATE));
  await closed.line(/started/);
  Deno.kill(closed.pid, "SIGUSR1");
  {
    // When this one has its inspector, Deno has done in all of them what it does some time after the start. The inspector
    // has one fixed port: this one must be gone before the others are tried.
    await using open = new Process("open", program(""));
    await open.line(/started/);
    await openInspector(open.pid);
  }
  await late.line(/ignored/);
  for (const process of [closed, late]) {
    Deno.kill(process.pid, "SIGUSR1");
    Deno.kill(process.pid, "SIGUSR2");
    await process.line(/SIGUSR2 came/);
  }
  await late.line(/later/);
  assertEquals([await listens(closed.pid), await listens(late.pid)], [false, false]);
  assertEquals([closed.running, late.running], [true, true]);
  assertEquals(catches(closed.pid, "SigIgn"), false, "child processes would inherit it");
});

Deno.test("ignoring SIGUSR1 twice is fine", () => {
  using library = loadLibrary();
  ignoreInspectorSignal(library);
  ignoreInspectorSignal(library);
});

Deno.test("one library serves several users", () => {
  using library = loadLibrary();
  using second = loadLibrary(library.path);
  assert(bootTime(library) > 0 && bootTime(second) > 0);
});

Deno.test("a library that is not there, or is none, is told with the way out", async () => {
  assertMatch(
    failureOf(() => loadLibrary("/nowhere/libdenim.so")),
    /"\/nowhere\/libdenim.so".*deno task native/,
  );
  const path = await Deno.makeTempFile({ suffix: ".so" });
  try {
    assertMatch(failureOf(() => loadLibrary(path)), /load the C library ".*": .*deno task native/);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a library of another version or layout is refused, both versions named", async () => {
  const directory = await Deno.makeTempDir();
  const build = async (name: string, version: number, values: string) => {
    const functions = Object.keys((await import("../../ffi/symbols.ts")).symbols).filter((n) =>
      !n.endsWith("Later")
    );
    const stubs = functions.filter((f) => !/abi_version|layout/.test(f)).map((f) => `void ${f}(void) {}`);
    const source = `#include <stdint.h>
      uint32_t denim_abi_version(void) { return ${version}; }
      uint32_t denim_layout(uint32_t *out, uint32_t room) { ${values} }
      ${stubs.join("\n")}`;
    const path = `${directory}/${name}.so`;
    const compiled = await output(["cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-"], { input: source });
    assertEquals(compiled.code, 0, compiled.stderr);
    return path;
  };
  try {
    const old = await build("old", 0, "return 0;");
    const refusal = failureOf(() => loadLibrary(old));
    assertStringIncludes(refusal, `interface version 0, this program needs version ${ABI_VERSION}`);
    const short = await build("short", ABI_VERSION, "return 3;");
    assertMatch(failureOf(() => loadLibrary(short)), /version \d+ with 3 layout values instead of \d+/);
    const shifted = await build(
      "shifted",
      ABI_VERSION,
      "for (unsigned i = 0; i < room; i++) out[i] = i; return room;",
    );
    assertMatch(failureOf(() => loadLibrary(shifted)), /another layout of "head.size"/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("DENIM_LIBRARY names the library", async () => {
  const env = { DENIM_LIBRARY: "/nowhere/else.so" };
  const code = `import { loadLibrary } from "${module("library.ts")}"; loadLibrary();`;
  const ended = await output([Deno.execPath(), "eval", code], { env });
  assertEquals(ended.code, 1);
  assertMatch(ended.stderr, /load the C library "\/nowhere\/else.so"/);
});

Deno.test({
  name: "an embedded library is loaded from memory, where no directory can be written to or run from",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const program = `
      import { loadLibrary } from ${JSON.stringify(module("library.ts"))};
      import { memoryFile } from ${JSON.stringify(module("memory_file.ts"))};
      const found = loadLibrary().path;
      using library = loadLibrary(memoryFile("libdenim.so", Deno.readFileSync(found)));
      console.log(library.symbols.denim_abi_version());
      console.log(/memfd:libdenim.so/.test(Deno.readTextFileSync("/proc/self/maps")));`;
    const script = `mount -t tmpfs -o $1 none /tmp; shift; exec "$@"`;
    for (const options of ["ro", "noexec", "ro,noexec"]) {
      const command = ["unshare", "--mount", "--propagation=private", "sh", "-ec", script, "sh", options];
      const loaded = await output([...command, Deno.execPath(), "eval", "--no-check", program]);
      assertEquals(loaded.stdout, `${ABI_VERSION}\ntrue\n`, loaded.stderr);
    }
  },
});

Deno.test("where the kernel gives no memory file, the message says what to do", () => {
  // Names are limited to 249 bytes.
  const message = failureOf(() => memoryFile("x".repeat(300), new Uint8Array(1)));
  assertMatch(message, /^load the C library "x+" from memory: memfd_create is refused; .* in DENIM_LIBRARY$/);
});
