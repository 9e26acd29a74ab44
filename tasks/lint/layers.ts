/**
 * Imports go one way:  model ← async ← system, ffi ← store, backend, kernel, observe, files ← plan, underlay ← control ← embed, cli ← main.ts, mod.ts.
 *
 * Layers on one level don't know each other; the log's contract, `src/observe/log.ts`, and its one tool, `lasting.ts`, are open
 * to all above the model. The backends are pure and see the model alone.
 */

const levels: Readonly<Record<string, number>> = {
  "src/model": 0,
  "src/async": 1,
  "src/system": 2,
  "ffi": 2,
  "src/store": 3,
  "src/backend": 3,
  "src/kernel": 3,
  "src/observe": 3,
  "src/files": 3,
  "src/plan": 4,
  "src/underlay": 4,
  "src/control": 5,
  "src/embed": 6,
  "src/cli": 6,
  "main.ts": 7,
  "mod.ts": 7,
};

const openToAll: readonly string[] = ["src/observe/log.ts", "src/observe/lasting.ts"];

/** `src/kernel/firewall/x.ts` → `src/kernel`; null for what has no place in the picture (tests, tasks, adapters). */
export function layerOf(path: string): string | null {
  return Object.keys(levels).find((layer) => path === layer || path.startsWith(layer + "/")) ?? null;
}

/**
 * Why `from` may not import `to` (both relative to the top, with slashes), or null where it may.
 */
export function layerProblem(from: string, to: string): string | null {
  const [layer, target] = [layerOf(from), layerOf(to)];
  if (layer === null || layer === target) return null;
  if (/^(tests|tasks)\//.test(to)) return `the product does not import ${to}`;
  if (target === null) return null;
  if (layer === "src/backend") {
    return target === "src/model" ? null : `a backend is pure and sees src/model alone`;
  }
  if (openToAll.includes(to) && levels[layer]! > 0) return null;
  if (levels[target]! < levels[layer]!) return null;
  const relation = levels[target] === levels[layer] ? "stands beside" : "stands above";
  return `${target} ${relation} ${layer}: imports go down only`;
}

/** The path that a relative specifier in `from` means, or null for a package. */
export function resolved(from: string, specifier: string): string | null {
  if (!/^\.\.?\//.test(specifier)) return null;
  const base = new URL(from, "file:///top/");
  return new URL(specifier, base).pathname.replace(/^\/top\//, "");
}
