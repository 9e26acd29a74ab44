/**
 * A page of documentation as steps that can be run. Pure.
 *
 *     <!-- on: host1 host2 -->
 *
 *     ```sh
 *     commands, as a reader types them
 *     ```
 *
 *     ```text
 *     what the last commands print; … stands for anything in a line, a line of … for any lines
 *     ```
 *
 * `<!-- on: host1 (repeat) -->` is for commands that look at what comes by itself and may not be there yet.
 *
 * A fence without a kind is a picture, drawn with lines; others are not allowed: nobody would run them.
 */

export interface Step {
  /** Of the line with the commands, from 1. */
  readonly line: number;
  readonly hosts: readonly string[];
  /** The commands only look, at what comes by itself: they are run until they print what is expected. */
  readonly repeat: boolean;
  readonly script: string;
  /** Null where the page does not say what is printed. */
  readonly expected: string | null;
}

interface Fence {
  readonly line: number;
  readonly kind: string;
  readonly text: string;
  /** The last line before it that is not blank. */
  readonly before: string;
}

/** @throws Error, naming the line, for a fence that would not be run */
export function readSteps(markdown: string): Step[] {
  const steps: Step[] = [];
  for (const { line, kind, text, before } of fences(markdown)) {
    const last = steps.at(-1);
    if (kind === "sh") {
      const hosts = hostsOf(before);
      if (hosts === null) throw new Error(`line ${line}: commands without <!-- on: HOST -->`);
      steps.push({ line, hosts, repeat: before.includes("(repeat)"), script: text, expected: null });
    } else if (kind === "text" && last !== undefined && last.expected === null && last.hosts.length === 1) {
      steps[steps.length - 1] = { ...last, expected: text };
    } else if (kind !== "" || !/[─│]/.test(text)) {
      throw new Error(`line ${line}: a fence of kind "${kind}" that nothing runs or prints`);
    }
  }
  return steps;
}

function hostsOf(comment: string): readonly string[] | null {
  return /^<!-- on: (\w+(?: \w+)*)(?: \(repeat\))? -->$/.exec(comment)?.[1]?.split(" ") ?? null;
}

function fences(markdown: string): Fence[] {
  const found: Fence[] = [];
  const lines = markdown.split("\n");
  let before = "";
  for (let i = 0; i < lines.length; i++) {
    const kind = /^```(.*)$/.exec(lines[i]!)?.[1];
    if (kind === undefined) {
      if (lines[i]!.trim() !== "") before = lines[i]!;
      continue;
    }
    const end = lines.indexOf("```", i + 1);
    if (end < 0) throw new Error(`line ${i + 1}: a fence without an end`);
    found.push({ line: i + 1, kind, text: lines.slice(i + 1, end).join("\n"), before });
    before = "";
    i = end;
  }
  return found;
}

/** Whether `actual` is what the page shows; blanks at the ends of lines don't count. */
export function matches(expected: string, actual: string): boolean {
  const pattern = tidy(expected).map((line) => line === "…" ? "(?:.*\n)*?" : `${quoted(line)}\n`).join("");
  return new RegExp(`^${pattern}$`).test(tidy(actual).map((line) => `${line}\n`).join(""));
}

function tidy(text: string): string[] {
  return text.trim().split("\n").map((line) => line.trimEnd());
}

function quoted(line: string): string {
  return line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*");
}
