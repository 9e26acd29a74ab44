/**
 * Errors that a user meets.
 *
 * Every message follows one grammar: the action, the value in quotes, a colon, the state, then the way out:
 * `parse flag -healthz-port "abc": not a whole number; give a port between 0 and 65535`.
 * The command line prints the message alone, never a stack trace, and exits with `exitCode`.
 */

/** A failure whose message is meant for a person: exit code 1. */
export class Failure extends Error {
  override readonly name: string = "Failure";
  readonly exitCode: number = 1;
}

/** The command line or a file that the user wrote is wrong: exit code 2. */
export class UsageError extends Failure {
  override readonly name = "UsageError";
  override readonly exitCode = 2;
}

/** Our lease became another host's, and the daemon was told to end then (`--on-lease-lost=exit`): exit code 1. */
export class LeaseLost extends Failure {
  override readonly name = "LeaseLost";
}

/**
 * The text of anything thrown, for a log line: the message of an Error, otherwise its string form. Of what the operating system
 * said the words alone, without its number and the runtime's call behind it.
 */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const [state, ...call] = text.split(/ \(os error \d+\)/);
  return call.length === 0 ? text : state!.charAt(0).toLowerCase() + state!.slice(1);
}
