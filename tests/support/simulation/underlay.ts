/** The underlay of a simulated machine: one interface, eth0, whose addresses, MTU and neighbours can change. */
import type { FakeUnderlay } from "../kernel/fake.ts";
import type { DefaultRoute, Interface, InterfaceAddress, RouteAnswer } from "../../../src/kernel/kernel.ts";
import { formatIp, type Ip, parseIp } from "../../../src/model/ip.ts";

export class SimUnderlay implements FakeUnderlay {
  v4: Ip;
  v6: Ip;
  mtu = 1500;
  /** Without an address while false. */
  #addressed = true;
  /** It was without an address at some time. */
  bare = false;
  /** Hosts that are behind a router. */
  readonly distant = new Set<string>();

  /** As it came. */
  readonly first: readonly [Ip, Ip];

  constructor(number: number) {
    this.v4 = parseIp(`192.168.64.${number}`)!;
    this.v6 = parseIp(`fd00:64::${number}`)!;
    this.first = [this.v4, this.v6];
  }

  renumber(v4: Ip, v6: Ip): void {
    this.v4 = v4;
    this.v6 = v6;
  }

  get addressed(): boolean {
    return this.#addressed;
  }

  set addressed(addressed: boolean) {
    this.#addressed = addressed;
    this.bare ||= !addressed;
  }

  get interfaces(): readonly Interface[] {
    const addresses = this.addressed ? [onInterface(this.v4, 24), onInterface(this.v6, 64)] : [];
    return [{ name: "eth0", index: 2, type: "", alias: "", mtu: this.mtu, up: true, addresses }];
  }

  readonly route = (to: Ip): RouteAnswer => {
    const router = parseIp(to.family === 4 ? "192.168.64.254" : "fd00:64::fe");
    const gateway = this.distant.has(formatIp(to)) ? router : null;
    return { device: "eth0", gateway, source: to.family === 4 ? this.v4 : this.v6 };
  };

  readonly defaultRoutes = (): DefaultRoute[] => [{ device: "eth0", gateway: null }];
}

/** A permanent address that tunnels can start from. */
function onInterface(address: Ip, length: number): InterfaceAddress {
  return {
    address,
    length,
    scope: "global",
    deprecated: false,
    tentative: false,
    temporary: false,
    permanent: true,
  };
}
