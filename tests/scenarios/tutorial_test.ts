/** The tutorial's flow with vxlan; topology and steps in `tutorial.ts`. */
import { tutorial, vxlan } from "./tutorial.ts";

tutorial(vxlan);
