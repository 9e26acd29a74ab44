/**
 * Remembers what a pure function said of an object, for as long as the object lives and what it was asked about besides stays
 * the very same. From one round to the next nearly all leases and kernel objects are the same: only the others cost.
 */

/** `compute` with a memory. `scope` is compared member by member with `===`; another one empties the memory. */
export function remembered<Scope extends readonly unknown[], Key extends WeakKey, Value>(
  compute: (key: Key, ...scope: Scope) => Value,
): (key: Key, ...scope: Scope) => Value {
  let current: Scope | null = null;
  let answers = new WeakMap<Key, { readonly value: Value }>();
  return (key, ...scope) => {
    if (current === null || scope.some((part, i) => part !== current![i])) {
      current = scope;
      answers = new WeakMap();
    }
    let answer = answers.get(key);
    if (answer === undefined) {
      answer = { value: compute(key, ...scope) };
      answers.set(key, answer);
    }
    return answer.value;
  };
}
