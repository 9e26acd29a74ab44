/**
 * What this machine's own networks and routes have against a network configuration. A host does not draw a subnet that it has for
 * something else; `config check` and `config explain` on a host say so beforehand. Where the kernel can't be asked, nothing is said.
 */
import { loadLibrary } from "../../../ffi/library.ts";
import { openNetlink } from "../../../ffi/netlink.ts";
import { backendFor } from "../../backend/registry.ts";
import { formerly, ownerOf } from "../../plan/desired.ts";
import { readSubnetEnv } from "../../files/subnet_env.ts";
import { openKernel } from "../../kernel/linux.ts";
import type { NetworkConfig } from "../../model/network_config.ts";
import { type Occupied, withoutOwn } from "../../model/occupied.ts";
import { exampleHost } from "./explain.ts";

/** What this machine has without a flanneld and without what carries the subnets of `subnetFile`. */
export async function occupiedHere(config: NetworkConfig, subnetFile: string): Promise<Occupied[]> {
  const backend = backendFor(config);
  if ("problem" in backend) return [];
  try {
    const before = await readSubnetEnv(subnetFile);
    using kernel = openKernel({ netlink: openNetlink(loadLibrary()), firewall: [] });
    const owner = ownerOf(exampleHost(config, 1500), backend, formerly(before));
    return withoutOwn(await kernel.occupied(owner), before.subnets, "");
  } catch {
    return [];
  }
}
