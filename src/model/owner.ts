/** By what the kernel side tells our objects from others'. */
import type { FirewallLayout } from "./firewall.ts";
import type { Prefix } from "./prefix.ts";

/** By what our own objects are recognised. */
export interface Owner {
  readonly instance: string;
  /** Other names by which objects are ours as well: those of daemons that run no more. */
  readonly formerInstances?: readonly string[];
  /** Our devices, whether they exist or not. */
  readonly devices: readonly string[];
  /** Networks that are or were ours (now, and in the previous subnet.env): routes to subnets of these can be ours. */
  readonly networks: readonly Prefix[];
  /** Subnets that are or were this host's, likewise: with the networks they give the text of bare firewall rules. */
  readonly subnets: readonly Prefix[];
  /** With `legacy` every bare rule of such a text is ours; with `chains` only a whole set of them is. */
  readonly layout: FirewallLayout;
  /** VNI of each of our devices, for adopting one without an alias. */
  readonly vnis: ReadonlyMap<string, number>;
}
