/** The assertions on errors of `@std/assert`: what is thrown, what rejects, what an error is. */
import { inspect, stripVTControlCharacters } from "node:util";
import { AssertionError, failed } from "./assertion_error.ts";

/** Any error class, abstract ones included. */
// deno-lint-ignore no-explicit-any
export type ErrorClass<E extends Error = Error> = abstract new (...args: any[]) => E;

/** Passes where `error` is an Error of the class, with the text in its message (or matching it). */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(failed(`Expected an Error, got ${inspect(error)}`, msg));
  }
  if (errorClass !== undefined && !(error instanceof errorClass)) {
    throw new AssertionError(failed(`Expected a ${errorClass.name}, got ${inspect(error)}`, msg));
  }
  if (msgMatches !== undefined && !says(error, msgMatches)) {
    const text = `Expected the error's message to include ${inspect(msgMatches)}, got ${
      inspect(error.message)
    }`;
    throw new AssertionError(failed(text, msg));
  }
}

/** Passes where `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(fn: () => unknown, ...rest: Expectation): unknown {
  const expected = expectation(rest);
  try {
    fn();
  } catch (error) {
    return confirmed(error, expected);
  }
  throw new AssertionError(failed("Expected function to throw", expected.msg));
}

/** Passes where the promise of `fn` rejects; resolves with the reason. A synchronous throw is a failure. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(fn: () => PromiseLike<unknown>, ...rest: Expectation): Promise<unknown> {
  const expected = expectation(rest);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError(
      failed(`Function throws when expected to reject: ${inspect(error)}`, expected.msg),
    );
  }
  try {
    await promise;
  } catch (error) {
    return confirmed(error, expected);
  }
  throw new AssertionError(failed("Expected function to reject", expected.msg));
}

type Expectation = [errorClassOrMsg?: ErrorClass | string, msgIncludes?: string, msg?: string];

interface Expected {
  readonly errorClass: ErrorClass | undefined;
  readonly includes: string | undefined;
  readonly msg: string | undefined;
}

function expectation([first, includes, msg]: Expectation): Expected {
  if (typeof first === "string") return { errorClass: undefined, includes: undefined, msg: first };
  return { errorClass: first, includes, msg };
}

function confirmed(thrown: unknown, { errorClass, includes, msg }: Expected): unknown {
  if (errorClass !== undefined) assertIsError(thrown, errorClass, includes, msg);
  return thrown;
}

function says(error: Error, wanted: string | RegExp): boolean {
  const message = stripVTControlCharacters(error.message);
  return typeof wanted === "string"
    ? message.includes(stripVTControlCharacters(wanted))
    : wanted.test(message);
}
