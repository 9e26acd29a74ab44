/** The cells of the matrix that both sides can do; what they go through is in `cell.ts`. */
import { matrixCell } from "./cell.ts";

matrixCell({ release: "0.28", backend: "vxlan" });
matrixCell({ release: "0.28", backend: "host-gw" });
matrixCell({ release: "0.28", backend: "udp" });
