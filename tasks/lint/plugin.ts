/**
 * The project's own lint rules, run by `deno lint` like the built-in ones:
 *
 * - denim/layers: imports go one way (layers.ts);
 * - denim/outside: time and chance come in from outside; only src/system may ask the machine for them;
 * - denim/pure: src/model, src/backend and src/plan do no I/O;
 * - denim/watch: nothing watches directories;
 * - denim/race: promises are raced by src/async/race.ts alone.
 */
import { dirname } from "node:path";
import { layerProblem, resolved } from "./layers.ts";

const top = `${dirname(dirname(import.meta.dirname!))}/`;

/** Relative to the top of the project. */
function pathOf(context: Deno.lint.RuleContext): string {
  const name = context.filename;
  return name.startsWith(top) ? name.slice(top.length) : name.replace(/^.*?((src|ffi|tests|tasks)\/)/, "$1");
}

type Report = (node: Deno.lint.Node, specifier: string) => void;

/** Calls `report` for each module that the file names, statically or in `import()`. */
function onImports(report: Report): Deno.lint.LintVisitor {
  const source = (node: { source: Deno.lint.StringLiteral | null }) => {
    if (node.source !== null) report(node.source, node.source.value);
  };
  return {
    ImportDeclaration: source,
    ExportNamedDeclaration: source,
    ExportAllDeclaration: source,
    ImportExpression(node) {
      if (node.source.type === "Literal") report(node.source, String(node.source.value));
    },
  };
}

const layers: Deno.lint.Rule = {
  create(context) {
    const from = pathOf(context);
    return onImports((node, specifier) => {
      const to = resolved(from, specifier);
      const message = to === null ? null : layerProblem(from, to);
      if (message !== null) context.report({ node, message });
    });
  },
};

/** Members of global objects, and global functions, that ask the machine for time or chance. */
const members = new Set(["Date.now", "performance.now", "Math.random", "AbortSignal.timeout"]);
const globals = new Set(["setTimeout", "setInterval", "setImmediate"]);

/** Certificates, keys and hashes are functions of their input; what draws random numbers or imports everything is not. */
function isHarmless(specifier: Deno.lint.ImportDeclaration["specifiers"][number]): boolean {
  if (specifier.type !== "ImportSpecifier" || specifier.imported.type !== "Identifier") return false;
  return !/^(random|generate|webcrypto|getRandom|set|clear)/.test(specifier.imported.name);
}

const outside: Deno.lint.Rule = {
  create(context) {
    if (!/^(src\/(?!system\/)|ffi\/|main\.ts|mod\.ts)/.test(pathOf(context))) return {};
    const refuse = (node: Deno.lint.Node, name: string) => {
      const hint = "Take a Clock or a Random (src/model/clock.ts); the real ones are in src/system";
      context.report({ node, message: `${name} asks the machine for time or chance`, hint });
    };
    return {
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.property.type !== "Identifier") return;
        const name = `${node.object.name}.${node.property.name}`;
        if (members.has(name) || node.object.name === "crypto") refuse(node, name);
      },
      CallExpression(node) {
        if (node.callee.type === "Identifier" && globals.has(node.callee.name)) {
          refuse(node, node.callee.name);
        }
      },
      NewExpression(node) {
        const now = node.callee.type === "Identifier" && node.callee.name === "Date" &&
          node.arguments.length === 0;
        if (now) refuse(node, "new Date()");
      },
      ImportDeclaration(node) {
        if (!/^(node:)?(crypto|timers)(\/|$)/.test(node.source.value)) return;
        for (const specifier of node.specifiers) {
          if (!isHarmless(specifier)) refuse(specifier, node.source.value);
        }
      },
    };
  },
};

const pure: Deno.lint.Rule = {
  create(context) {
    if (!/^src\/(model|backend|plan)\//.test(pathOf(context))) return {};
    const hint = "src/model, src/backend and src/plan are pure: pass the fact in";
    return {
      Identifier(node) {
        if (["Deno", "fetch", "console", "process"].includes(node.name) && node.parent?.type !== "Property") {
          context.report({ node, message: `${node.name} is I/O`, hint });
        }
      },
      ...onImports((node, specifier) => {
        if (!specifier.startsWith(".")) {
          context.report({ node, message: `${specifier} is from outside`, hint });
        }
      }),
    };
  },
};

const watch: Deno.lint.Rule = {
  create(context) {
    if (!/^(src|ffi|tests)\/|^(main|mod)\.ts/.test(pathOf(context))) return {};
    const message = "Deno.watchFs opens and closes what changes, which drops SQLite's locks on it";
    const hint = "Look again from time to time (src/store/rows/sqlite_file.ts says more)";
    return {
      MemberExpression(node) {
        const found = node.property.type === "Identifier" && node.property.name === "watchFs";
        if (found) context.report({ node, message, hint });
      },
    };
  },
};

const race: Deno.lint.Rule = {
  create(context) {
    if (!/^(src|ffi)\/|^(main|mod)\.ts/.test(pathOf(context))) return {};
    const hint = "Use race() of src/async/race.ts, which leaves nothing behind";
    return {
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.object.name !== "Promise") return;
        const name = node.property.type === "Identifier" ? node.property.name : "";
        if (!["race", "any"].includes(name)) return;
        context.report({
          node,
          message: `Promise.${name} keeps every wait for a promise that never settles`,
          hint,
        });
      },
    };
  },
};

const plugin: Deno.lint.Plugin = { name: "denim", rules: { layers, outside, pure, watch, race } };
export default plugin;
