/** The assertion adapter: each assertion both passes and fails where it should. */
import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotInstanceOf,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";
import * as nodeAssert from "node:assert";

/** The message with which `fn` failed; an error where it passed. Independent of the adapter under test. */
function failure(fn: () => void): string {
  try {
    fn();
  } catch (error) {
    nodeAssert.ok(error instanceof AssertionError, `threw ${error}`);
    return error.message;
  }
  throw new Error("the assertion passed");
}

const pairs: [name: string, passes: () => void, fails: () => void][] = [
  ["assert", () => assert(1), () => assert("")],
  ["assertFalse", () => assertFalse(0), () => assertFalse([])],
  [
    "assertEquals, deep",
    () => assertEquals({ a: [1n, new Map([[1, 2]])] }, { a: [1n, new Map([[1, 2]])] }),
    () => assertEquals({ a: [1n] }, { a: [2n] }),
  ],
  [
    "assertEquals, bytes",
    () => assertEquals(new Uint8Array([1]), new Uint8Array([1])),
    () => assertEquals(new Uint8Array([1]), new Uint8Array([2])),
  ],
  [
    "assertEquals, missing member",
    () => assertEquals({ a: NaN }, { a: NaN }),
    () => assertEquals<unknown>({ a: undefined }, {}),
  ],
  ["assertNotEquals", () => assertNotEquals([1], [2]), () => assertNotEquals([1], [1])],
  ["assertStrictEquals", () => assertStrictEquals(NaN, NaN), () => assertStrictEquals({}, {})],
  ["assertNotStrictEquals", () => assertNotStrictEquals({}, {}), () => assertNotStrictEquals(1, 1)],
  ["assertExists", () => assertExists(0), () => assertExists(null)],
  ["assertGreater", () => assertGreater(2, 1), () => assertGreater(1, 1)],
  ["assertGreaterOrEqual", () => assertGreaterOrEqual(1, 1), () => assertGreaterOrEqual(0, 1)],
  ["assertLess", () => assertLess(1n, 2n), () => assertLess(1, 1)],
  ["assertLessOrEqual", () => assertLessOrEqual("a", "a"), () => assertLessOrEqual("b", "a")],
  ["assertAlmostEquals", () => assertAlmostEquals(0.1 + 0.2, 0.3), () => assertAlmostEquals(1, 1.1, 0.05)],
  ["assertMatch", () => assertMatch("abc", /b/), () => assertMatch("abc", /x/)],
  ["assertNotMatch", () => assertNotMatch("abc", /x/), () => assertNotMatch("abc", /b/)],
  ["assertStringIncludes", () => assertStringIncludes("abc", "bc"), () => assertStringIncludes("abc", "x")],
  [
    "assertArrayIncludes",
    () => assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]),
    () => assertArrayIncludes([1], [1, 2]),
  ],
  ["assertInstanceOf", () => assertInstanceOf(new TypeError(), Error), () => assertInstanceOf({}, Error)],
  ["assertNotInstanceOf", () => assertNotInstanceOf(1, Error), () => assertNotInstanceOf(new Error(), Error)],
  [
    "assertObjectMatch",
    () => assertObjectMatch({ a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } }),
    () => assertObjectMatch({ b: { c: 2 } }, { b: { c: 2, e: 1 } }),
  ],
  [
    "assertIsError",
    () => assertIsError(new TypeError("no way"), TypeError, /way/),
    () => assertIsError("text"),
  ],
  ["assertThrows", () => assertThrows(() => nodeAssert.fail("boom")), () => assertThrows(() => 1)],
  ["assertThrows, class", () => assertThrows(thrower, RangeError), () => assertThrows(thrower, TypeError)],
  [
    "assertThrows, text",
    () => assertThrows(thrower, Error, "of range"),
    () => assertThrows(thrower, Error, "xyz"),
  ],
];

function thrower(): void {
  throw new RangeError("out of range");
}

for (const [name, passes, fails] of pairs) {
  Deno.test(`${name} passes and fails where it should`, () => {
    passes();
    failure(fails);
  });
}

Deno.test("fail and unreachable always fail", () => {
  nodeAssert.match(failure(() => fail("why")), /why/);
  nodeAssert.match(failure(() => unreachable()), /Unreachable/);
});

Deno.test("assertEquals shows both values and the caller's words", () => {
  const message = failure(() => assertEquals({ mtu: 1450 }, { mtu: 1400 }, "after the restart"));
  nodeAssert.match(message, /1450/);
  nodeAssert.match(message, /1400/);
  nodeAssert.match(message, /after the restart/);
});

Deno.test("assertRejects gives the reason, and fails on a promise that resolves", async () => {
  const error = await assertRejects(() => Promise.reject(new RangeError("far out")), RangeError, "far");
  nodeAssert.equal(error.message, "far out");
  await nodeAssert.rejects(() => assertRejects(() => Promise.resolve()), AssertionError);
  await nodeAssert.rejects(
    () => assertRejects(() => Promise.reject(new Error("x")), TypeError),
    AssertionError,
  );
});

Deno.test("assertRejects takes a synchronous throw for a failure", async () => {
  const throwsAtOnce = (): Promise<never> => {
    throw new Error("at once");
  };
  await nodeAssert.rejects(() => assertRejects(throwsAtOnce), /when expected to reject/);
});
