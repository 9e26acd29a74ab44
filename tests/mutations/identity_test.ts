/** Every mutation of `identity.ts`. */
import { mustFail } from "../support/mutant.ts";
import { mutations } from "./identity.ts";

mutations.forEach(mustFail);
