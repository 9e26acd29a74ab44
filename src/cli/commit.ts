/**
 * Which commit a source tree is. Git is asked about this tree alone: neither a repository around it nor one that the environment
 * names (a hook's) counts, and nothing is written to it.
 */

/** Where the commit can't be told: no git, no repository, no commit. */
export const UNKNOWN = "unknown";

/**
 * The commit of the source tree at `top`: 40 hexadecimal digits, with `-dirty` behind them where a file of the tree is not as
 * committed, new ones included; or UNKNOWN.
 */
export async function describeCommit(top: string): Promise<string> {
  const commit = (await git(top, "rev-parse", "--verify", "--quiet", "HEAD"))?.trim();
  if (commit === undefined || !/^[0-9a-f]{40,64}$/.test(commit)) return UNKNOWN;
  const changes = await git(top, "status", "--porcelain", "--untracked-files=normal");
  return changes === "" ? commit : `${commit}-dirty`;
}

/** What git printed; null where it failed, or isn't there. */
async function git(top: string, ...args: readonly string[]): Promise<string | null> {
  const place = [`--git-dir=${top}/.git`, `--work-tree=${top}`, "-c", "core.fsmonitor=false"];
  const env = { PATH: Deno.env.get("PATH") ?? "", GIT_OPTIONAL_LOCKS: "0" };
  try {
    const command = new Deno.Command("git", {
      args: [...place, ...args],
      cwd: top,
      env,
      clearEnv: true,
      stdin: "null",
    });
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout) : null;
  } catch {
    return null;
  }
}
