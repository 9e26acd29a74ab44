/** Writes docs/flags.md from the flag table: `deno task docs`. `deno task check` compares it. */
import { flagsPage } from "../src/cli/help.ts";
import { deno, top } from "./run.ts";

export const flagsFile = "docs/flags.md";

/** The page as it should stand, in the project's format. */
export async function formattedFlagsPage(): Promise<string> {
  const command = new Deno.Command(deno, {
    args: ["fmt", "--ext=md", "-"],
    cwd: top,
    stdin: "piped",
    stdout: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(flagsPage()));
  await writer.close();
  const { code, stdout } = await child.output();
  if (code !== 0) throw new Error(`format ${flagsFile}: deno fmt ended with code ${code}`);
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) Deno.writeTextFileSync(`${top}/${flagsFile}`, await formattedFlagsPage());
