/**
 * Other hosts that claim what is ours: the address that we publish, or the MAC of our tunnel device. No I/O.
 *
 * A record at our address that stands when we come may be left over from a host that is gone. One that is written while we run
 * is of a host that lives: packets for one of the two reach the other. Nobody but people can end that.
 */
import { describeSubnets, type Lease, type LeaseRecord, sameSubnets, type Subnets } from "../model/lease.ts";
import { isJsonObject, type Json, member } from "../model/json.ts";
import { formatIp } from "../model/ip.ts";
import { isWrittenSince } from "../store/etcd/both/lease.ts";
import { sameAddress } from "../store/choice.ts";
import type { StoreEvent } from "../store/store.ts";

/** What we are, in the store. */
export interface Own {
  readonly id: string;
  readonly subnets: Subnets;
  readonly record: LeaseRecord;
}

export class Rivals {
  /** Records at our address, by their subnets; those that were written while we run are alive. */
  #atOurAddress = new Map<string, { readonly lease: Lease; readonly lives: boolean }>();
  /** Our address when all leases were listed last: at another one, what the next list has may stand there since long. */
  #listedAt = "";

  /** Takes an event in. */
  take(event: StoreEvent, own: Own): void {
    switch (event.type) {
      case "put":
        return this.#put(event.lease, own, this.#isRewritten(event.lease));
      case "delete":
        return void this.#atOurAddress.delete(describeSubnets(event.subnets));
      case "unreadable": {
        const { subnets } = event.unreadable;
        return void (subnets && this.#atOurAddress.delete(describeSubnets(subnets)));
      }
      case "snapshot":
        return this.#replace(event.leases, own);
    }
  }

  /**
   * Records at our address of hosts that live. What a host left behind when it took another subnet is none.
   *
   * @param own as it is now: we may have moved since the last event
   * @param all gives every lease; asked only where there is one to tell of, because they may be many
   */
  living({ record }: Own, all: () => readonly Lease[]): readonly Lease[] {
    const alive = [...this.#atOurAddress.values()].filter(({ lives }) => lives).map(({ lease }) => lease)
      .filter((lease) => sameAddress(lease.record, record));
    if (alive.length === 0) return [];
    const leases = all();
    return alive.filter(({ record: { mark }, created }) =>
      mark === undefined || !leases.some((l) => l.record.mark?.host === mark.host && l.created > created)
    );
  }

  /** True also for what was not there before. */
  #isRewritten(lease: Lease): boolean {
    const known = this.#atOurAddress.get(describeSubnets(lease.subnets));
    return known === undefined || known.lives || isWrittenSince(known.lease, lease);
  }

  #replace(leases: readonly Lease[], own: Own): void {
    const before = this.#atOurAddress;
    const address = addressOf(own);
    const first = address !== this.#listedAt;
    this.#atOurAddress = new Map();
    this.#listedAt = address;
    for (const lease of leases) {
      const known = before.get(describeSubnets(lease.subnets));
      const rewritten = known ? known.lives || isWrittenSince(known.lease, lease) : !first;
      this.#put(lease, own, rewritten);
    }
  }

  #put(lease: Lease, own: Own, lives: boolean): void {
    const key = describeSubnets(lease.subnets);
    const concerns = !isOwn(lease, own) && sameAddress(lease.record, own.record);
    if (concerns) this.#atOurAddress.set(key, { lease, lives });
    else this.#atOurAddress.delete(key);
  }
}

/** True where a record of another host has the MAC that ours publishes. */
export function hasOurMac(lease: Lease, own: Own): boolean {
  if (isOwn(lease, own)) return false;
  const ours = macsOf(own.record);
  return macsOf(lease.record).some((mac) => ours.includes(mac));
}

function isOwn({ subnets, record }: Lease, own: Own): boolean {
  return sameSubnets(subnets, own.subnets) || record.mark?.host === own.id;
}

/** Of both families, where the record tells of a tunnel device. */
export function macsOf({ backendData, backendV6Data }: LeaseRecord): Json[] {
  return [backendData, backendV6Data].flatMap((data) =>
    isJsonObject(data) ? member(data, "VtepMAC") ?? [] : []
  );
}

/** For people: who has our address as well, and the way out. */
export function describeRival({ subnets, record }: Lease, own: Own): string {
  return `another host with subnet ${describeSubnets(subnets)}${
    record.mark ? ` (id ${record.mark.host.slice(0, 8)}…)` : ""
  } publishes our address ${addressOf(own)} too (ours is ${describeSubnets(own.subnets)}, id ${
    own.id.slice(0, 8)
  }…): packets for one of the two go astray; give one of them another address or -public-ip, ` +
    "or remove that record if its host is gone";
}

function addressOf({ record: { publicIp, publicIpv6 } }: Own): string {
  const address = publicIp ?? publicIpv6;
  return address === null ? "" : formatIp(address);
}
