/** The name of an overlay among those of one network namespace: whoever runs under it holds a lock of that name. */
import type { Library } from "../../ffi/library.ts";
import { lock } from "../../ffi/process.ts";

/** What the names of the locks begin with. */
export const LOCK_PREFIX = "denim/";

/** Null where somebody else has it. It is free again however the process ends. */
export function lockName(library: Library, instance: string): Disposable | null {
  return lock(library, `${LOCK_PREFIX}${instance}`);
}
