/** Every mutation of `scenarios.ts`. */
import { mustFail } from "../support/mutant.ts";
import { mutations } from "./scenarios.ts";

mutations.forEach(mustFail);
