/** Every mutation of `faults.ts`. */
import { mustFail } from "../support/mutant.ts";
import { mutations } from "./faults.ts";

mutations.forEach(mustFail);
