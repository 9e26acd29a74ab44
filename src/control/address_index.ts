/**
 * A set of addresses that answers "is any of them in this prefix?" by one look-up, whatever it holds: for each length that was
 * asked about it keeps the addresses cut to that length. So an address costs one step for each such length, 128 at most.
 */
import type { Ip } from "../model/ip.ts";
import { type Prefix, prefix } from "../model/prefix.ts";

export class AddressIndex {
  readonly #addresses: Ip[] = [];
  /** By family and length. */
  readonly #networks = new Map<string, Set<bigint>>();

  add(address: Ip): void {
    this.#addresses.push(address);
    for (const [key, networks] of this.#networks) {
      const [family, length] = key.split("/");
      if (Number(family) === address.family) networks.add(prefix(address, Number(length)).ip.value);
    }
  }

  anyIn({ ip, length }: Prefix): boolean {
    const key = `${ip.family}/${length}`;
    let networks = this.#networks.get(key);
    if (networks === undefined) {
      const ofFamily = this.#addresses.filter(({ family }) => family === ip.family);
      networks = new Set(ofFamily.map((address) => prefix(address, length).ip.value));
      this.#networks.set(key, networks);
    }
    return networks.has(ip.value);
  }
}
