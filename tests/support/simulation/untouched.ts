/**
 * Which peers nobody has touched: their record was written once and is still there, and nothing else in the store or about
 * the host can be a reason to drop them. Whatever goes wrong elsewhere, nothing of theirs may be deleted anywhere.
 */
import type { Obj } from "../../../src/model/objects.ts";
import type { SimHost } from "./host.ts";
import { subnetsIn } from "./oracle_peers.ts";
import { SUBNETS, type World } from "./world.ts";

export class Untouched {
  /** Something happened that concerns every peer: another configuration, a backup, a hostile record. */
  all = false;
  readonly #changes = new Map<string, number>();
  /** The keys that a MAC has stood under: an FDB entry is of whichever record has its MAC now. */
  readonly #macs = new Map<string, Set<string>>();

  constructor(readonly world: World) {}

  /** Counts for each subnet that the key names: it may come back in another company. */
  changed(key: string, value: string): void {
    for (const part of key.split("&")) this.#changes.set(part, (this.#changes.get(part) ?? 0) + 1);
    const mac = macIn(value);
    if (mac !== undefined) this.#macs.set(mac, (this.#macs.get(mac) ?? new Set()).add(key));
  }

  /** The key of the untouched peer that an object of `host` belongs to; null where there is none. */
  peerOf(host: SimHost, { kind, key }: Obj): string | null {
    if (this.all || host.addresses.size > 1 || host.underlay.distant.size > 0) return null;
    for (const { key: path, value } of this.world.model.keys.values()) {
      if (!path.startsWith(SUBNETS) || path.split("&").some((part) => this.#changes.get(part) !== 1)) {
        continue;
      }
      const ip = /"PublicIP":"([^"]*)"/.exec(value)?.[1] ?? "";
      const name = path.slice(SUBNETS.length);
      if (subnetsIn(name).some(({ length }) => length < 24)) continue;
      if (host.addresses.has(ip) || !belongs(kind, key, name, value)) continue;
      if (kind === "fdb" && this.#macs.get(macIn(value) ?? "")?.size !== 1) continue;
      return name;
    }
    return null;
  }
}

function macIn(value: string): string | undefined {
  return /"VtepMAC":"([^"]*)"/.exec(value)?.[1];
}

/** True where the object leads to the subnets of the record called `name`. */
function belongs(kind: string, key: string, name: string, value: string): boolean {
  const subnets = name.split("&");
  if (kind === "route") return subnets.some((subnet) => key === subnet.replace(/-(\d+)$/, "/$1"));
  if (kind === "peer") return subnets.some((subnet) => key.endsWith(` ${subnet.replace(/-(\d+)$/, "/$1")}`));
  if (kind === "neighbour") return subnets.some((subnet) => key.endsWith(` ${subnet.replace(/-\d+$/, "")}`));
  const mac = macIn(value);
  return kind === "fdb" && mac !== undefined && key.endsWith(` ${mac}`);
}
