/** Every mutation of `udp.ts`. */
import { mustFail } from "../support/mutant.ts";
import { mutations } from "./udp.ts";

mutations.forEach(mustFail);
