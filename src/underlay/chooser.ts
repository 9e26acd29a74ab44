/** The overlay's question for its underlay, answered by the kernel. How the first choice came about is logged; moves are the follower's to tell. */
import type { Kernel } from "../kernel/kernel.ts";
import { familiesOf, type NetworkConfig } from "../model/network_config.ts";
import type { Log } from "../observe/log.ts";
import { type ChosenUnderlay, findUnderlay, type OverlayParts, type UnderlayOptions } from "./choose.ts";

/** Chooses the external interface. @throws Failure where none fits */
export type ChooseUnderlay = (
  overlay: OverlayParts & { readonly network: NetworkConfig },
) => Promise<ChosenUnderlay>;

export function underlayChooser(
  kernel: Kernel,
  options: UnderlayOptions,
  log: Log,
): ChooseUnderlay {
  let said = false;
  return async (overlay) => {
    const choice = await findUnderlay(kernel, options, familiesOf(overlay.network), overlay);
    if (!said) { for (const line of choice.log) log.info(line); }
    said = true;
    return choice.chosen;
  };
}
