/**
 * Follows the underlay. What was chosen is kept while its addresses stand on its device, whatever else comes and goes: another
 * default route, a virtual address beside it, a device that the flags would take as well. Only the MTU is followed at once.
 *
 * Where an address has gone it is waited for: links flap, and a DHCP client takes its address away and puts it back. After that
 * the flags choose again, as at a start: soon where the same device has another address, later where another device would be
 * taken or a single address (a virtual one) is all that is left. What can't be chosen changes nothing.
 *
 * Looked at once per round, however many events there were.
 */
import type { Host } from "../backend/backend.ts";
import type { Interface, Kernel } from "../kernel/kernel.ts";
import type { Clock, Instant } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import { bits, families, formatIp, type Ip, sameIp } from "../model/ip.ts";
import { prefixesOf } from "../model/lease.ts";
import { familiesOf } from "../model/network_config.ts";
import { addressOf } from "../backend/host.ts";
import { Lasting } from "../observe/lasting.ts";
import type { ChosenUnderlay } from "./choose.ts";
import type { Log } from "../observe/log.ts";
import type { ChooseUnderlay } from "./chooser.ts";
import { canCarry } from "./choose.ts";
import type { UnderlayRoutes } from "./routes.ts";

type Become = (change: Partial<Host>) => Promise<void>;

/** How long an address is waited for where its device has another, and where it has none. */
const SAME_DEVICE_MS = 1_500;
const OTHER_DEVICE_MS = 30_000;

export interface FollowerPorts {
  readonly log: Log;
  readonly chooseUnderlay: ChooseUnderlay;
  readonly clock: Clock;
  readonly kernel: Pick<Kernel, "interfaces">;
  /** Asks for another round after so many milliseconds. */
  lookAgainIn(ms: number): void;
}

export class UnderlayFollower {
  #stale = false;
  readonly #trouble: Lasting;
  /** Since when an address has been missing; null while all stand. */
  #gone: Instant | null = null;

  constructor(readonly ports: FollowerPorts, readonly routes: UnderlayRoutes) {
    this.#trouble = new Lasting(ports.log, ports.clock);
  }

  /** The underlay may have changed. */
  doubt(): void {
    this.#stale = true;
  }

  /** Looks again where there is doubt; `become` gets what is different of the host now. */
  async follow(self: Host, become: Become): Promise<void> {
    if (!this.#stale && this.#gone === null) return;
    this.#stale = false;
    this.routes.doubt();
    try {
      await this.#look(self, become);
    } catch (error) {
      this.#keep(self, messageOf(error));
    }
  }

  async #look(self: Host, become: Become): Promise<void> {
    const interfaces = await this.ports.kernel.interfaces();
    const face = interfaces.find(({ name }) => name === self.underlay.device);
    if (face && missing(self, face).length === 0) {
      if (face.up) this.#back(self);
      else this.#keep(self, `${face.name} is down`);
      if (face.mtu !== 0 && face.mtu !== self.underlay.mtu) {
        await this.#move(self, { ...choiceOf(self), mtu: face.mtu }, become);
      }
      return;
    }
    const now = this.ports.clock.boot();
    this.#gone ??= now;
    const chosen = await this.ports.chooseUnderlay({
      network: self.network,
      subnets: prefixesOf(self.subnets ?? none),
    });
    const wait = patience(self, chosen, interfaces) - (now - this.#gone);
    if (wait > 0) {
      this.#keep(self, absence(self, face));
      return this.ports.lookAgainIn(wait);
    }
    this.#gone = null;
    this.#trouble.over("the underlay is there", { device: chosen.device });
    await this.#move(self, chosen, become);
  }

  async #move(self: Host, chosen: ChosenUnderlay, become: Become): Promise<void> {
    const changes = differences(self, chosen);
    if (changes.length === 0) return;
    this.ports.log.warn(`the underlay has changed (${changes.join(", ")}); following it`, {
      device: chosen.device,
      changes,
    });
    const { publicIp, publicIpv6, ...device } = chosen;
    await become({ publicIp, publicIpv6, underlay: { ...device, route: self.underlay.route } });
  }

  #back(self: Host): void {
    this.#trouble.over(`the underlay is back: ${describe(self)}`, { device: self.underlay.device });
    this.#gone = null;
  }

  /** Said once while it lasts. */
  #keep({ underlay: { device } }: Host, why: string): void {
    this.#trouble.is(why, `follow the underlay: ${why}; keeping ${device} as it was`, { device, error: why });
  }
}

const none = { v4: null, v6: null };

/** Our addresses of the enabled families that can't be used there now; a family that we have none of yet counts too. */
function missing({ underlay, network }: Host, face: Interface): (Ip | null)[] {
  return familiesOf(network).map((family) => addressOf(underlay, family)).filter((address) =>
    address === null || !face.addresses.some((a) => sameIp(a.address, address) && canCarry(a))
  );
}

/** What we have, as a choice. */
function choiceOf({ publicIp, publicIpv6, underlay }: Host): ChosenUnderlay {
  const { device, mtu, v4, v6 } = underlay;
  return { device, mtu, v4, v6, publicIp, publicIpv6 };
}

/** How long what we had is waited for, where `chosen` is what we would go to. */
function patience({ underlay }: Host, chosen: ChosenUnderlay, interfaces: readonly Interface[]): number {
  if (chosen.device !== underlay.device) return OTHER_DEVICE_MS;
  const face = interfaces.find(({ name }) => name === chosen.device);
  const single = face?.addresses.some(({ address, length }) =>
    length === bits(address.family) && families.some((family) => {
      const chosenAddress = family === 4 ? chosen.v4 : chosen.v6;
      return sameIp(address, chosenAddress) && !sameIp(address, addressOf(underlay, family));
    })
  );
  return single ? OTHER_DEVICE_MS : SAME_DEVICE_MS;
}

function absence(self: Host, face: Interface | undefined): string {
  if (face === undefined) return `interface ${self.underlay.device} is gone`;
  const gone = missing(self, face).map((address) => address === null ? "an address" : formatIp(address));
  return `${gone.join(", ")} is gone from ${self.underlay.device}`;
}

function describe({ underlay }: Host): string {
  const addresses = [underlay.v4, underlay.v6].flatMap((address) =>
    address === null ? [] : formatIp(address)
  );
  return `${underlay.device} with ${addresses.join(", ")}`;
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
