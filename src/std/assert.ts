/**
 * Assertions with the names and signatures of `@std/assert`, over `node:util` and `node:assert`.
 *
 * Limit: equality is `isDeepStrictEqual`, which is stricter than the original in two places: it tells 0 from -0, and an
 * object without a prototype from a plain one. What passes here passes there; the other two parts stand in
 * `assert_errors.ts` and `assert_compare.ts`.
 */
import { AssertionError as NodeAssertionError } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";
import { AssertionError, failed } from "./assertion_error.ts";

export { AssertionError } from "./assertion_error.ts";
export * from "./assert_compare.ts";
export * from "./assert_errors.ts";

/** Passes where `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg || "Expected a truthy value");
}

/** Passes where `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false | 0 | 0n | "" | null | undefined {
  if (expr) throw new AssertionError(msg || `Expected a falsy value, got ${inspect(expr)}`);
}

/** Fails at once. */
export function fail(msg?: string): never {
  throw new AssertionError(failed("Failed assertion", msg));
}

/** Marks a place that must not be reached. */
export function unreachable(reason?: string): never {
  throw new AssertionError(failed("Unreachable code was reached", reason));
}

/** Deep structural equality. */
export function equal(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** Passes where both are deeply equal; the failure shows a line diff. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  const diff = new NodeAssertionError({ actual, expected, operator: "deepStrictEqual" }).message;
  throw new AssertionError(failed(`Values are not equal. ${diff}`, msg));
}

export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(failed(`Expected another value than ${inspect(actual)}`, msg));
}

/** Passes where both are the same value by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const same = equal(actual, expected) ? " (equal, but not the same object)" : "";
  throw new AssertionError(failed(`Expected ${inspect(expected)}, got ${inspect(actual)}${same}`, msg));
}

export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(failed(`Expected another value than ${inspect(actual)}`, msg));
}

/** Passes for everything but null and undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== null && actual !== undefined) return;
  throw new AssertionError(failed(`Expected a value, got ${actual}`, msg));
}

/** Passes where `actual` has at least the members of `expected`, at every depth. */
export function assertObjectMatch(
  actual: Readonly<Record<PropertyKey, unknown>>,
  expected: Readonly<Record<PropertyKey, unknown>>,
  msg?: string,
): void {
  assertEquals<unknown>(pick(actual, expected), expected, msg);
}

/** The part of `actual` that `expected` speaks about. */
function pick(actual: unknown, expected: unknown): unknown {
  if (!isPlain(actual) || !isPlain(expected)) return actual;
  const keys = Reflect.ownKeys(expected).filter((key) => Object.hasOwn(actual, key) || key in actual);
  return Object.fromEntries(keys.map((key) => [key, pick(actual[key], expected[key])]));
}

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== "object" || value === null) return false;
  return !Array.isArray(value) && !(value instanceof Map) && !(value instanceof Set) &&
    !ArrayBuffer.isView(value);
}
