/** The assertions on order, strings, arrays and types of `@std/assert`. */
import { inspect, isDeepStrictEqual } from "node:util";
import { AssertionError, failed } from "./assertion_error.ts";

/** Any class, abstract ones included. */
// deno-lint-ignore no-explicit-any
type AnyClass = abstract new (...args: any[]) => unknown;

function check(passed: boolean, text: string, msg?: string): void {
  if (!passed) throw new AssertionError(failed(text, msg));
}

export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  check(actual > expected, `Expected ${inspect(actual)} > ${inspect(expected)}`, msg);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual >= expected, `Expected ${inspect(actual)} >= ${inspect(expected)}`, msg);
}

export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  check(actual < expected, `Expected ${inspect(actual)} < ${inspect(expected)}`, msg);
}

export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual <= expected, `Expected ${inspect(actual)} <= ${inspect(expected)}`, msg);
}

/** Passes where the numbers are at most `tolerance` apart; by default a ten-millionth of `expected`. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const text = `Expected ${actual} to be within ${allowed} of ${expected}`;
  check(Math.abs(expected - actual) <= allowed, text, msg);
}

export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  check(expected.test(actual), `Expected ${inspect(actual)} to match ${expected}`, msg);
}

export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  check(!expected.test(actual), `Expected ${inspect(actual)} not to match ${expected}`, msg);
}

export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  check(actual.includes(expected), `Expected ${inspect(actual)} to contain ${inspect(expected)}`, msg);
}

/** Passes where every item of `expected` has a deeply equal one in `actual`. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void {
  const have = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !have.some((each) => isDeepStrictEqual(each, item)));
  check(missing.length === 0, `Expected ${inspect(have)} to include ${inspect(missing)}`, msg);
}

export function assertInstanceOf<T extends AnyClass>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  check(
    actual instanceof expectedType,
    `Expected an instance of ${expectedType.name}, got ${inspect(actual)}`,
    msg,
  );
}

export function assertNotInstanceOf<A, T>(
  actual: A,
  // deno-lint-ignore no-explicit-any
  unexpectedType: abstract new (...args: any[]) => T,
  msg?: string,
): asserts actual is Exclude<A, T> {
  check(!(actual instanceof unexpectedType), `Expected no instance of ${unexpectedType.name}`, msg);
}
