/**
 * Being told when something in a directory changes. Only a hint, and only where the file system can give it: who uses this
 * polls as well, slowly.
 */

/**
 * Calls `onChange` with the paths of each change below `directory` until `signal` is aborted. Does nothing where the directory
 * can't be watched (absent, no inotify instance left).
 */
export function onDirectoryChange(
  directory: string,
  onChange: (paths: readonly string[]) => void,
  signal: AbortSignal,
): void {
  if (signal.aborted) return;
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(directory, { recursive: false });
  } catch {
    return;
  }
  const close = () => watcher.close();
  signal.addEventListener("abort", close, { once: true });
  (async () => {
    for await (const event of watcher) if (event.kind !== "access") onChange(event.paths);
  })().catch(() => {
    // The hints end here; polling goes on.
    signal.removeEventListener("abort", close);
  });
}
