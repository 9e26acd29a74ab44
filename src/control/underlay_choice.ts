/** The overlay's question for its underlay, answered by the kernel; what was chosen is logged when it is another one. */
import type { Kernel } from "../kernel/kernel.ts";
import { families } from "../model/ip.ts";
import { networkOf } from "../model/network_config.ts";
import type { Log } from "../observe/log.ts";
import type { OverlayPorts } from "./start.ts";
import { findUnderlay, type UnderlayOptions } from "./underlay.ts";

export function underlayChooser(
  kernel: Kernel,
  options: UnderlayOptions,
  log: Log,
): OverlayPorts["chooseUnderlay"] {
  let said = "";
  return async (network) => {
    const enabled = families.filter((family) => networkOf(network, family) !== null);
    const choice = await findUnderlay(kernel, options, enabled);
    const lines = choice.log.join("\n");
    if (lines !== said) { for (const line of choice.log) log.info(line); }
    said = lines;
    return choice.chosen;
  };
}
