/**
 * The contract of the log: one event a line. A message says what happened to what and what will be done about it; `fields`
 * carry the same for programs, under the names that docs/log.md lists; durations are whole milliseconds. Secrets never come
 * here. Messages of upstream that users search for keep their wording.
 */

export type Level = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<
  Record<string, string | number | boolean | null | undefined | readonly string[]>
>;

export interface Log {
  /** False where debug messages go nowhere, so that none need be composed. */
  readonly verbose?: boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
