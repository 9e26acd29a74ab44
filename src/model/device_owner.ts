/**
 * Whose a device is that is not ours, as far as its alias and its name tell: for messages, never for a decision.
 */
import { daemonOf } from "./objects.ts";

interface Device {
  readonly name: string;
  readonly alias: string;
}

/** Names that others give their tunnel devices. */
const makers: readonly (readonly [name: RegExp, maker: string])[] = [
  [/^flannel(-v6)?\.\d+$/, "flannel"],
  [/^flannel\d+$/, "flannel"],
  [/^cilium_/, "Cilium"],
  [/^vxlan(-v6)?\.calico$/, "Calico"],
  [/^antrea-/, "Antrea"],
  [/^(vxlan|genev)_sys_/, "Open vSwitch"],
  [/^vx-[0-9a-f]{4,}/, "Docker's overlay network"],
  [/^vxlan-\d+$/, "Weave"],
  [/^weave$/, "Weave"],
];

/** `of the daemon "blue" of this make`, `of Cilium, as its name says`; empty where nothing tells. */
export function ownerOfDevice({ name, alias }: Device): string {
  const daemon = daemonOf(alias);
  if (daemon !== null) return `of the daemon "${daemon}" of this make`;
  const maker = makers.find(([pattern]) => pattern.test(name))?.[1];
  if (maker !== undefined) return `of ${maker}, as its name says`;
  return alias === "" ? "" : `with the alias ${JSON.stringify(alias)}`;
}
