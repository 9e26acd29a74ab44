/** The tutorial's flow with host-gw; topology and steps in `tutorial.ts`. */
import { hostGw, tutorial } from "./tutorial.ts";

tutorial(hostGw);
