/** The cells of the matrix that both sides can do; what they go through is in `cell.ts`. */
import { matrixCell } from "./cell.ts";

for (const backend of ["vxlan", "host-gw", "udp"] as const) {
  matrixCell({ release: "0.28", backend, api: "v3" });
  matrixCell({ release: "0.11", backend, api: "v2" });
}
