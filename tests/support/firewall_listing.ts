/**
 * The rules of an overlay on a host, in both variants of iptables, as one text that can be compared: chains by their name,
 * rules by that or by the network in them. And what each layout of denim looks like in it.
 */
import type { FirewallLayout, Variant } from "../../src/model/firewall.ts";
import type { Place } from "./netns.ts";

/**
 * Lines like `nft nat -A POSTROUTING …`, in the order in which they stand but for the tables, of which `nat` comes first.
 * `network` as its beginning, like `10.1.`.
 */
export async function overlayRules(host: Place, network: string): Promise<string[]> {
  const texts = await Promise.all((["nft", "legacy"] as const).map(async (variant) => {
    const saved = await host.run([`iptables-${variant}-save`]);
    let table = "";
    return saved.split("\n").flatMap((line) => {
      if (line.startsWith("*")) table = line.slice(1);
      const text = line.replace(/ \[\d+:\d+\]$/, "");
      const ours = /^[-:]/.test(line) && (line.includes("FLANNEL") || line.includes(` ${network}`));
      return ours ? [`${variant} ${table} ${text}`] : [];
    });
  }));
  const nat = (line: string) => Number(line.includes(" nat "));
  return texts.flatMap((lines) => lines.toSorted((a, b) => nat(b) - nat(a)));
}

/** What must stand for masquerading and forwarding, and nothing else. */
export function layoutRules(
  variant: Variant,
  layout: FirewallLayout,
  network: string,
  subnet: string,
): string[] {
  const [masq, forward] = ["masq", "forward"].map((word) => `-m comment --comment "flanneld ${word}"`);
  const chains = [
    "nat :FLANNEL-POSTRTG -",
    `nat -A POSTROUTING ${masq} -j FLANNEL-POSTRTG`,
    `nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 ${masq} -j RETURN`,
    `nat -A FLANNEL-POSTRTG -s ${subnet} -d ${network} ${masq} -j RETURN`,
    `nat -A FLANNEL-POSTRTG -s ${network} -d ${subnet} ${masq} -j RETURN`,
    `nat -A FLANNEL-POSTRTG ! -s ${network} -d ${subnet} ${masq} -j RETURN`,
    `nat -A FLANNEL-POSTRTG -s ${network} ! -d 224.0.0.0/4 ${masq} -j MASQUERADE --random-fully`,
    `nat -A FLANNEL-POSTRTG ! -s ${network} -d ${network} ${masq} -j MASQUERADE --random-fully`,
    "filter :FLANNEL-FWD -",
    `filter -A FORWARD ${forward} -j FLANNEL-FWD`,
    `filter -A FLANNEL-FWD -s ${network} ${forward} -j ACCEPT`,
    `filter -A FLANNEL-FWD -d ${network} ${forward} -j ACCEPT`,
  ];
  const bare = [
    `nat -A POSTROUTING -s ${network} -d ${network} -j RETURN`,
    `nat -A POSTROUTING -s ${network} ! -d 224.0.0.0/4 -j MASQUERADE --random-fully`,
    `nat -A POSTROUTING ! -s ${network} -d ${subnet} -j RETURN`,
    `nat -A POSTROUTING ! -s ${network} -d ${network} -j MASQUERADE --random-fully`,
    `filter -A FORWARD -s ${network} -j ACCEPT`,
    `filter -A FORWARD -d ${network} -j ACCEPT`,
  ];
  return (layout === "chains" ? chains : bare).map((line) => `${variant} ${line}`);
}

/** The subnet that a subnet.env names: `10.1.5.1/24` is `10.1.5.0/24`. */
export function subnetOfEnv(env: Readonly<Record<string, string>>): string {
  return env.FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0/24");
}
