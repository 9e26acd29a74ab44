/**
 * Which programs a source file starts by name, read from its text: from the words given to what starts programs (`run([…])`,
 * `host.sh("…")`, `new Deno.Command(…)`), through `env`, `nsenter`, `unshare` and the like, into shell scripts, and through the
 * file's own constants and functions. For the test that holds that each is among the project's packages.
 *
 * Lists that can't be read, because the first word comes from elsewhere, say nothing. Only in `deno test`, whose parser it uses.
 */
import { commandsOf, UNKNOWN, type Words } from "./shell_words.ts";

type Node = Deno.lint.Node;

/** Functions and methods whose first list of words is a command, and those whose words are arguments of their own. */
const TAKES_LIST =
  /^(run|output|capture|inherit|succeed|start|call|says|Process|Place|execute|startProgram|Command)$/;
const TAKES_WORDS = /^(run|must|mustInside|inside|json|startProgram|Command)$/;
/** Whose first argument says where. */
const TAKES_PLACE = /^(inside|mustInside)$/;
/** Properties and variables that hold a command, or what stands in front of one. */
const HOLDS_LIST = /^(command|wrap|enter|runner|shell|prefix)$/i;
const SHELLS = /^(ba|da)?sh$/;
/** Programs that start another one, and their options that have a value of their own. */
const STARTERS: Readonly<Record<string, RegExp>> = {
  env: /^-[uCS]$/,
  nsenter: /^-[tSG]$|^--target$/,
  unshare: /^(--propagation|-[RwSG])$/,
  setpriv: /^--(pdeathsig|reuid|regid|groups|bounding-set|inh-caps|ambient-caps)$/,
  timeout: /^-[ks]$/,
  nice: /^-n$/,
  chroot: /^$/,
  exec: /^-a$/,
  xargs: /^-[nIPLdE]$/,
  command: /^$/,
};
/** How many words of their own they have before the program: a duration, a directory. */
const OWN_WORDS: Readonly<Record<string, number>> = { timeout: 1, chroot: 1 };

/** The programs, sorted, each once. */
export function programsIn(file: string, text: string): string[] {
  const found = new Set<string>();
  const take = (words: Words) => programsOf(words).forEach((program) => found.add(program));
  if (!file.endsWith(".ts")) commandsOf(text).forEach(take);
  else readCommands(file, text, take);
  return [...found].sort();
}

/** The program that starts, those that it starts in turn, and those of a script that is given to a shell. */
export function programsOf(words: Words): string[] {
  const [first, ...rest] = words;
  // What comes first is known elsewhere, as the way into a namespace is; what is started there is known here.
  if (first === undefined) return [];
  if (first === null || first.includes(UNKNOWN)) {
    return rest.includes("--") ? programsOf(rest.slice(rest.indexOf("--") + 1)) : [];
  }
  const name = first.replace(/^.*\//, "");
  const own = isProgram(first) ? [first.startsWith("/") ? name : first] : [];
  if (SHELLS.test(name)) {
    const script = rest[rest.findIndex((word) => /^-\w*c$/.test(word ?? "")) + 1];
    return [
      ...own,
      ...(rest.some((word) => /^-\w*c$/.test(word ?? "")) && script
        ? commandsOf(script).flatMap(programsOf)
        : []),
    ];
  }
  const valued = STARTERS[name];
  if (valued === undefined) return own;
  let at = 0;
  while (at < rest.length && /^-|^\w+=/.test(rest[at] ?? "")) {
    if (rest[at] === "--") {
      at++;
      break;
    }
    // `command -v` only looks.
    if (name === "command") return own;
    at += valued.test(rest[at]!) ? 2 : 1;
  }
  return [...own, ...programsOf(rest.slice(at + (OWN_WORDS[name] ?? 0)))];
}

function isProgram(word: string): boolean {
  return /^[\w./][\w./+-]*$/.test(word) && /[a-z]/.test(word) && !/\.(ts|sh|js)$/.test(word) || word === "[";
}

function readCommands(file: string, text: string, take: (words: Words) => void): void {
  const values = new Map<string, Node>();
  const later: (() => void)[] = [];
  const read = new Reader(values);
  const arrays = (node: Node) => later.push(() => read.lists(node).forEach(take));
  const create = (): Deno.lint.LintVisitor => ({
    VariableDeclarator(node) {
      if (node.id.type !== "Identifier" || node.init === null) return;
      values.set(node.id.name, node.init);
      if (HOLDS_LIST.test(node.id.name)) arrays(node.init);
    },
    Property(node) {
      if (node.key.type === "Identifier" && HOLDS_LIST.test(node.key.name)) arrays(node.value);
    },
    ReturnStatement(node) {
      const name = nameOfFunction(node);
      if (name !== null && node.argument !== null) values.set(name, node.argument);
    },
    CallExpression: (node) => call(node),
    NewExpression: (node) => call(node),
  });
  const call = (node: Deno.lint.CallExpression | Deno.lint.NewExpression) => {
    const name = nameOf(node.callee);
    if (name === "sh") {
      later.push(() => {
        const script = node.arguments[0] === undefined ? null : read.text(node.arguments[0]);
        if (script !== null) commandsOf(script).forEach(take);
      });
    }
    if (TAKES_LIST.test(name)) node.arguments.forEach((argument) => arrays(argument));
    if (TAKES_WORDS.test(name) && !values.has(name)) {
      const own = TAKES_PLACE.test(name) ? node.arguments.slice(1) : node.arguments;
      later.push(() => take(read.words(own)));
    }
  };
  const plugin = { name: "programs", rules: { find: { create } } };
  Deno.lint.runPlugin(plugin, file, text);
  later.forEach((each) => each());
}

/** What the nodes of one file stand for, as far as the file itself says it. */
class Reader {
  /** @param values of the constants, and what functions give back, by name */
  constructor(readonly values: ReadonlyMap<string, Node>) {}

  /** The lists of words that a node may be. */
  lists(node: Node, depth = 0): Words[] {
    const inner = depth > 5 ? [] : alternatives(node);
    if (inner.length > 0) return inner.flatMap((each) => this.lists(each, depth + 1));
    if (node.type === "ArrayExpression") return [this.words(node.elements.filter((each) => each !== null))];
    const value = this.#valueOf(node);
    return value === undefined || depth > 5 ? [] : this.lists(value, depth + 1);
  }

  /** One after the other, lists in their place; null for what is not to be told. */
  words(nodes: readonly Node[], depth = 0): (string | null)[] {
    return nodes.flatMap((node) => {
      const text = this.text(node);
      if (text !== null || depth > 5) return [text];
      if (node.type === "ArrayExpression") {
        return this.words(node.elements.filter((each) => each !== null), depth + 1);
      }
      if (node.type === "ObjectExpression") return this.words(argsOf(node), depth + 1);
      const inner = alternatives(node);
      if (inner.length > 0) return this.words(inner, depth + 1);
      const value = this.#valueOf(node);
      return value === undefined ? [null] : this.words([value], depth + 1);
    });
  }

  /** A text with `UNKNOWN` for its unknown parts; null for what is no text. */
  text(node: Node, depth = 0): string | null {
    if (node.type === "Literal") return typeof node.value === "string" ? node.value : null;
    if (node.type === "TemplateLiteral") {
      return node.quasis.map((quasi, i) => {
        const expression = node.expressions[i];
        return quasi.cooked + (expression === undefined ? "" : this.text(expression, depth) ?? UNKNOWN);
      }).join("");
    }
    if (node.type === "TaggedTemplateExpression") return this.text(node.quasi, depth);
    const value = this.#valueOf(node);
    return value === undefined || depth > 5 ? null : this.text(value, depth + 1);
  }

  #valueOf(node: Node): Node | undefined {
    if (node.type === "Identifier") return this.values.get(node.name);
    return node.type === "CallExpression" ? this.values.get(nameOf(node.callee)) : undefined;
  }
}

function alternatives(node: Node): Node[] {
  switch (node.type) {
    case "ConditionalExpression":
      return [node.consequent, node.alternate];
    case "LogicalExpression":
      return [node.left, node.right];
    case "SpreadElement":
    case "AwaitExpression":
      return [node.argument];
    case "TSAsExpression":
    case "TSNonNullExpression":
      return [node.expression];
    default:
      return [];
  }
}

/** The arguments of `new Deno.Command(program, { args })`. */
function argsOf(node: Deno.lint.ObjectExpression): Node[] {
  const found = node.properties.find((each) =>
    each.type === "Property" && each.key.type === "Identifier" && each.key.name === "args"
  );
  return found?.type === "Property" ? [found.value] : [];
}

function nameOf(callee: Node): string {
  if (callee.type === "Identifier") return callee.name;
  return callee.type === "MemberExpression" && callee.property.type === "Identifier"
    ? callee.property.name
    : "";
}

/** Of the function that a statement stands in. */
function nameOfFunction(node: Node): string | null {
  for (let at: Node | null = node; at !== null; at = "parent" in at ? at.parent as Node | null : null) {
    if (at.type === "FunctionDeclaration") return at.id?.name ?? null;
    if (at.type === "MethodDefinition") return nameOf(at.key);
    if (at.type === "VariableDeclarator") return at.id.type === "Identifier" ? at.id.name : null;
  }
  return null;
}
