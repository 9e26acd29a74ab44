/**
 * A value that no printer passes: whatever turns it into text gets a placeholder. It stands in objects beside plain values and is
 * compared like them; only who applies it to the kernel reveals it.
 */
const PLACEHOLDER = "(secret)";

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** For the kernel alone. */
  reveal(): string {
    return this.#value;
  }

  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  toString(): string {
    return PLACEHOLDER;
  }

  toJSON(): string {
    return PLACEHOLDER;
  }

  [Symbol.for("Deno.customInspect")](): string {
    return PLACEHOLDER;
  }
}
