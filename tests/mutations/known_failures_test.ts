/** Every row of docs/known-failures.md: its test must notice when what it shows is broken. */
import { mustFail } from "../support/mutant.ts";
import { rowMutations } from "./known_failures.ts";

rowMutations().forEach(mustFail);
