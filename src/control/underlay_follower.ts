/**
 * Follows the underlay: when events say that devices, addresses or routes have changed, the external interface is chosen
 * again, once per round however many events there were. An underlay that is gone for the moment changes nothing.
 */
import type { Host } from "../backend/backend.ts";
import { messageOf } from "../model/errors.ts";
import { formatIp, type Ip } from "../model/ip.ts";
import type { ChosenUnderlay } from "./host.ts";
import type { OverlayPorts } from "./start.ts";
import type { UnderlayRoutes } from "./underlay_routes.ts";

type Become = (change: Partial<Host>) => Promise<void>;

export class UnderlayFollower {
  #stale = false;
  #trouble: string | null = null;

  constructor(
    readonly ports: Pick<OverlayPorts, "log" | "chooseUnderlay">,
    readonly routes: UnderlayRoutes,
  ) {}

  /** The underlay may have changed. */
  doubt(): void {
    this.#stale = true;
  }

  /** Looks again where there is doubt; `become` gets what is different of the host now. */
  async follow(self: Host, become: Become): Promise<void> {
    if (!this.#stale) return;
    this.#stale = false;
    this.routes.forget();
    try {
      await this.#look(self, become);
      this.#trouble = null;
    } catch (error) {
      this.#keep(`follow the underlay: ${messageOf(error)}; keeping ${self.underlay.device} as it was`);
    }
  }

  async #look(self: Host, become: Become): Promise<void> {
    const chosen = await this.ports.chooseUnderlay(self.network);
    const changes = differences(self, chosen);
    if (changes.length === 0) return;
    this.ports.log.warn(`the underlay has changed (${changes.join(", ")}); following it`);
    const { publicIp, publicIpv6, ...device } = chosen;
    await become({ publicIp, publicIpv6, underlay: { ...device, route: self.underlay.route } });
  }

  /** Said once while it lasts. */
  #keep(text: string): void {
    if (text !== this.#trouble) this.ports.log.warn(text);
    this.#trouble = text;
  }
}

function differences({ underlay, publicIp, publicIpv6 }: Host, chosen: ChosenUnderlay): string[] {
  const pairs: [string, string, string][] = [
    ["device", underlay.device, chosen.device],
    ["MTU", String(underlay.mtu), String(chosen.mtu)],
    ["address", text(underlay.v4), text(chosen.v4)],
    ["IPv6 address", text(underlay.v6), text(chosen.v6)],
    ["public IP", text(publicIp), text(chosen.publicIp)],
    ["public IPv6", text(publicIpv6), text(chosen.publicIpv6)],
  ];
  return pairs.filter(([, was, is]) => was !== is).map(([name, was, is]) => `${name} ${was} -> ${is}`);
}

function text(address: Ip | null): string {
  return address === null ? "none" : formatIp(address);
}
