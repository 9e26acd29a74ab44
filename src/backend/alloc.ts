/** Backend `alloc`: a subnet and nothing else; somebody else moves the packets. */
import type { Backend } from "./backend.ts";

export const alloc: Backend = {
  type: "alloc",
  recordType: "",
  members: {},
  check: () => null,
  usesUnderlayRoutes: () => false,
  unsuited: () => null,
  device: () => null,
  base: () => [],
  toward: () => [],
  publish: () => undefined,
  mtu: (self) => self.underlay.mtu,
};
