/**
 * Everything that can be said about the project without running it: `deno task check`. Ends with `N passed, N failed`.
 *
 * Layers, purity and forbidden names are lint rules (tasks/lint/), so that `deno lint` says the same.
 */
import { flagsFile, formattedFlagsPage } from "./docs.ts";
import { capture, deno, projectFiles, say, top } from "./run.ts";
import { lengthProblems, pathProblems, type TextFile } from "./texts.ts";

/** What is wrong, line by line; nothing where all is well. */
type Check = () => Promise<string[]>;

const checks: Readonly<Record<string, Check>> = {
  "format (deno fmt)": () => program(deno, "fmt", "--check"),
  "lint, layers, purity (deno lint)": () => program(deno, "lint"),
  "types (deno check)": () => program(deno, "check", "--quiet", "."),
  "C warnings (make check)": () =>
    program("make", "--silent", "--no-print-directory", "-C", "native", "check"),
  "length of files": async () => lengthProblems(await texts()),
  "no paths of this machine": async () => pathProblems(await texts(), [top, ...homes()]),
  [`${flagsFile} is current`]: flagsAreCurrent,
};

async function program(...command: string[]): Promise<string[]> {
  const { code, output } = await capture(command);
  return code === 0 ? [] : [output.trimEnd() || `${command.join(" ")} ended with code ${code}`];
}

async function texts(): Promise<TextFile[]> {
  const files = (await projectFiles()).filter((path) =>
    /\.(ts|c|h|sh|md|json|toml|yml|service)$|^\.ci\//.test(path)
  );
  return files.map((path) => ({ path, text: Deno.readTextFileSync(`${top}/${path}`) }));
}

/** The home directory, where it is one of a person's own. */
function homes(): string[] {
  const home = Deno.env.get("HOME") ?? "";
  return /^\/home\/./.test(home) ? [home] : [];
}

async function flagsAreCurrent(): Promise<string[]> {
  const written = await Deno.readTextFile(`${top}/${flagsFile}`).catch(() => "");
  return written === await formattedFlagsPage()
    ? []
    : [`${flagsFile} differs from the flag table; run deno task docs`];
}

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const problems = await check();
  if (problems.length > 0) failed++;
  say(`${problems.length > 0 ? "FAILED" : "ok    "} ${name}`);
  for (const problem of problems) say(problem.replace(/^/gm, "       "));
}
say(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);
