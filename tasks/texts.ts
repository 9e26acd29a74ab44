/** Checks on the project's text. Pure. */

export interface TextFile {
  /** Relative to the top of the project. */
  readonly path: string;
  readonly text: string;
}

/** No file of code is longer; beyond it, nobody reads it as one thing. */
export const longest = 500;

export function lengthProblems(files: readonly TextFile[]): string[] {
  const code = files.filter((file) => /\.(ts|c|h)$/.test(file.path));
  return code.flatMap(({ path, text }) => {
    const lines = text.split("\n").length - 1;
    return lines > longest ? [`${path}: ${lines} lines, at most ${longest}; split it by purpose`] : [];
  });
}

/** Places that name one of `paths`, which mean something on one machine only. */
export function pathProblems(files: readonly TextFile[], paths: readonly string[]): string[] {
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, index) => {
      const found = paths.find((each) => line.includes(each));
      return found === undefined ? [] : [`${path}:${index + 1}: names "${found}", a path of this machine`];
    })
  );
}
