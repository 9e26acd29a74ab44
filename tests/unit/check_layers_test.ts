/** The project's own lint rules: what they refuse, and what they let through. */
import { assertEquals } from "@std/assert";
import { layerProblem, resolved } from "../../tasks/lint/layers.ts";
import plugin from "../../tasks/lint/plugin.ts";

const top = new URL("../../", import.meta.url).pathname;

/** The rules that `text` breaks as the file `path`, in order. */
function broken(path: string, text: string): string[] {
  return Deno.lint.runPlugin(plugin, top + path, text).map((diagnostic) => diagnostic.id);
}

Deno.test("imports go down, never up or sideways", () => {
  const cases: [from: string, to: string, allowed: boolean][] = [
    ["src/store/etcd/v3/v3_store.ts", "src/model/ip.ts", true],
    ["src/store/etcd/v3/v3_store.ts", "src/store/store.ts", true],
    ["src/store/etcd/v3/v3_store.ts", "src/observe/log.ts", true],
    ["src/store/etcd/v3/v3_store.ts", "src/observe/metrics.ts", false],
    ["src/store/etcd/v3/v3_store.ts", "src/kernel/kernel.ts", false],
    ["src/kernel/firewall/rules.ts", "ffi/records.ts", true],
    ["src/model/ip.ts", "src/observe/log.ts", false],
    ["src/model/ip.ts", "src/system/clock.ts", false],
    ["src/backend/vxlan.ts", "src/system/clock.ts", false],
    ["src/backend/vxlan.ts", "src/observe/log.ts", false],
    ["ffi/library.ts", "src/store/store.ts", false],
    ["src/control/loop.ts", "src/cli/options.ts", false],
    ["src/cli/daemon.ts", "src/control/loop.ts", true],
    ["src/cli/demo.ts", "tests/support/netns.ts", false],
    ["main.ts", "src/cli/help.ts", true],
    ["tests/unit/x_test.ts", "src/cli/help.ts", true],
  ];
  for (const [from, to, allowed] of cases) {
    assertEquals(layerProblem(from, to) === null, allowed, `${from} → ${to}`);
  }
});

Deno.test("specifiers are resolved from the file that has them; packages are no paths", () => {
  assertEquals(resolved("src/kernel/firewall/x.ts", "../../model/ip.ts"), "src/model/ip.ts");
  assertEquals(resolved("src/kernel/x.ts", "./y.ts"), "src/kernel/y.ts");
  assertEquals(resolved("src/kernel/x.ts", "node:path"), null);
});

Deno.test("every form of import is looked at", () => {
  const forms = [
    `import { a } from "../control/loop.ts";`,
    `import type { A } from "../control/loop.ts";`,
    `export { a } from "../control/loop.ts";`,
    `export * from "../control/loop.ts";`,
    `await import("../control/loop.ts");`,
  ];
  for (const text of forms) assertEquals(broken("src/store/x.ts", text), ["denim/layers"], text);
});

Deno.test("time and chance are refused outside src/system, tests and tasks", () => {
  const texts = [
    "Date.now();",
    "new Date();",
    "performance.now();",
    "setTimeout(() => {}, 1);",
    "setInterval(() => {}, 1);",
    "Math.random();",
    "crypto.randomUUID();",
    `import { randomBytes } from "node:crypto";`,
    "AbortSignal.timeout(1);",
  ];
  for (const text of texts) {
    assertEquals(broken("src/store/x.ts", text), ["denim/outside"], text);
    assertEquals(broken("main.ts", text), ["denim/outside"], text);
    for (const path of ["src/system/x.ts", "tests/unit/x.ts", "tasks/x.ts"]) {
      assertEquals(broken(path, text), [], path);
    }
  }
  const harmless =
    `import { X509Certificate } from "node:crypto"; new Date(5); clock.now(); // Date.now()\nconst text = "Date.now()";`;
  assertEquals(broken("src/store/x.ts", harmless), []);
});

Deno.test("model and backends do no I/O", () => {
  for (const text of [`Deno.readTextFileSync("x");`, `fetch("x");`, `import { join } from "node:path";`]) {
    assertEquals(broken("src/model/x.ts", text), ["denim/pure"], text);
    assertEquals(broken("src/backend/x.ts", text), ["denim/pure"], text);
    assertEquals(broken("src/kernel/x.ts", text), [], text);
  }
});

Deno.test("promises are raced by one tool, which leaves nothing behind", () => {
  for (const text of ["await Promise.race([a, b]);", "await Promise.any([a, b]);"]) {
    assertEquals(broken("src/store/x.ts", text), ["denim/race"], text);
    assertEquals(broken("tests/store/x.ts", text), []);
  }
  assertEquals(broken("src/store/x.ts", "await race([a, b]);"), []);
});
