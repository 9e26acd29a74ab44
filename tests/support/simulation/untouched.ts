/**
 * Which peers nobody has touched: their record was written once and is still there, and nothing else in the store or about
 * the host can be a reason to drop them. Whatever goes wrong elsewhere, nothing of theirs may be deleted anywhere.
 *
 * What a fault gives a reason for is as narrow as the fault: a hostile record concerns those whose subnet, address or MAC it
 * claims; a backup that is restored those whose records it changes. A list that lacks records may cost that host single peers
 * until it is found out, but never most of them at once: that is what the second look is for.
 */
import type { Obj } from "../../../src/model/objects.ts";
import type { EtcdModel, ModelKey } from "../etcd_model.ts";
import type { SimHost } from "./host.ts";
import { type Subnet, subnetsIn } from "./oracle_peers.ts";
import { idsIn, isRecord, nameOf, ownerIn } from "./records.ts";
import { overlapping } from "./texts.ts";
import type { World } from "./world.ts";

export class Untouched {
  /** Something happened that concerns every peer: another configuration. */
  all = false;
  /** Hosts that were shown a list without some of the records. */
  readonly misled = new Set<SimHost>();
  readonly #changes = new Map<EtcdModel, Map<string, number>>();
  /** The keys that a MAC has stood under: an FDB entry is of whichever record has its MAC now. */
  readonly #macs = new Map<string, Set<string>>();
  /** What others than its owner have laid claim to: subnets, addresses, MACs. */
  readonly #claimedSubnets: Subnet[] = [];
  readonly #claimed = new Set<string>();

  constructor(readonly world: World) {}

  /** Counts for each subnet that the key names: it may come back in another company. */
  changed(model: EtcdModel, key: string, value: string): void {
    const changes = this.#changes.get(model) ?? new Map<string, number>();
    this.#changes.set(model, changes);
    for (const part of key.split("&")) changes.set(part, (changes.get(part) ?? 0) + 1);
    const mac = macIn(value);
    if (mac !== undefined) this.#macs.set(mac, (this.#macs.get(mac) ?? new Set()).add(key));
  }

  /** A record that claims what may be another's, or whose claims count less from now on. */
  claimed(key: string, value: string): void {
    const name = nameOf(key);
    this.#claimedSubnets.push(...name.split("&").flatMap((part) => anySubnet(part)));
    for (const text of [macIn(value), ownerIn(value)]) if (text !== undefined) this.#claimed.add(text);
  }

  /** Everything is as it was then: what differs has changed. */
  restored(now: ReadonlyMap<string, ModelKey>, then: ReadonlyMap<string, ModelKey>): void {
    for (const key of new Set([...now.keys(), ...then.keys()])) {
      const [is, was] = [now.get(key), then.get(key)];
      if (is?.value === was?.value && is?.createRevision === was?.createRevision) continue;
      for (const kv of [is, was]) {
        if (kv !== undefined && isRecord(key)) this.claimed(key, kv.value);
      }
      this.changed(this.world.model, key, was?.value ?? "");
    }
  }

  /** The key of the untouched peer that an object of `host` belongs to; null where there is none. */
  peerOf(host: SimHost, { kind, key }: Obj): string | null {
    if (this.all || host.addresses.size > 2 || host.underlay.distant.size > 0) return null;
    for (const { key: path, value } of this.world.model.keys.values()) {
      if (!isRecord(path) || !this.#writtenOnce(path)) continue;
      const name = nameOf(path);
      if (host.addresses.has(ownerIn(value) ?? "") || !belongs(kind, key, name, value)) continue;
      // What has had another record's MAC too may have to give way to that; so it may to a host with its MAC.
      if ((this.#macs.get(macIn(value) ?? "")?.size ?? 1) > 1) continue;
      if (this.#isClaimed(name, value) || this.#isCopied(value)) continue;
      return name;
    }
    return null;
  }

  /** In every API, and there it is. */
  #writtenOnce(path: string): boolean {
    return this.world.models.every((model) =>
      model.keys.has(path) && path.split("&").every((part) => this.#changes.get(model)?.get(part) === 1)
    );
  }

  /** Two hosts have had the id: until one of them has another, the younger of their records counts. */
  #isCopied(value: string): boolean {
    const ids = idsIn(value);
    return this.world.hosts.filter(({ disk }) => ids.some((id) => disk.ids.has(id))).length > 1;
  }

  #isClaimed(name: string, value: string): boolean {
    return [ownerIn(value), macIn(value)].some((text) => text !== undefined && this.#claimed.has(text)) ||
      subnetsIn(name).some((own) =>
        own.length < 24 || this.#claimedSubnets.some(({ text }) => overlapping(text, own.text))
      );
  }
}

function macIn(value: string): string | undefined {
  return /"VtepMAC":"([^"]*)"/.exec(value)?.[1];
}

/** A subnet in a key, whatever network it is in; none where it is nonsense. */
function anySubnet(part: string): Subnet[] {
  const [, address, length] = /^([0-9a-f.:]+)-(\d+)$/.exec(part) ?? [];
  if (address === undefined || length === undefined) return [];
  const family = address.includes(":") ? 6 : 4;
  return [{ family, address, length: Number(length), text: `${address}/${length}` }];
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
