/**
 * The peers of this host and what they need, following the store's leases: a change is taken in at its own cost (`plan/peer_book.ts`).
 * Everything is worked out anew where who we are has changed, and nothing of it is lost where the kernel can't be asked how a
 * peer is reached: it is taken in with the next round.
 */
import type { Backend, Host } from "../backend/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../model/clock.ts";
import { formatIp } from "../model/ip.ts";
import { type Lease, prefixesOf, publicIpOf } from "../model/lease.ts";
import type { ObjectId } from "../model/objects.ts";
import type { Prefix } from "../model/prefix.ts";
import { baseObjects, enabled } from "../plan/desired.ts";
import { PeerBook, type Ranked } from "../plan/peer_book.ts";
import type { RefusedPeer } from "../plan/peers.ts";
import type { UnderlayRoutes } from "../underlay/routes.ts";
import type { LeaseView } from "./lease_view.ts";
import type { PeerNames } from "./round_peers.ts";

export interface PeerSetPorts {
  readonly view: LeaseView;
  readonly routes: UnderlayRoutes;
  readonly kernel: Pick<Kernel, "routes">;
  readonly clock: Clock;
}

/** What the store says as of one moment. */
export interface PeersNow {
  readonly book: PeerBook;
  readonly inSync: boolean;
  /** The subnets of records that can't be read. */
  readonly unreadable: readonly Prefix[];
}

export class PeerSet implements PeerNames {
  readonly #ports: PeerSetPorts;
  #book: PeerBook | null = null;
  #self: Host | null = null;
  #backend: Backend | null = null;
  /** What the view has told and the book does not have yet. */
  readonly #open = new Map<string, Ranked | null>();
  /** Peers that are gone from the store, by the addresses of their subnets. */
  readonly #gone = new Map<string, Lease>();

  constructor(ports: PeerSetPorts) {
    this.#ports = ports;
  }

  get count(): number {
    return this.#book?.peerCount ?? 0;
  }

  /** Those that have their objects, oldest lease first. */
  get peers(): readonly Lease[] {
    return this.#book?.peers ?? [];
  }

  get refused(): readonly RefusedPeer[] {
    return this.#book?.refused ?? [];
  }

  /** @throws where the kernel can't say how a peer is reached; all that the store has told is kept for the next time */
  async now(self: Host, backend: Backend): Promise<PeersNow> {
    const { view, clock } = this.#ports;
    // At one moment: a list that comes while the kernel is asked below is nothing that these leases are in.
    for (const [name, now] of view.takeChanges(clock.boot())) this.#open.set(name, now);
    const [inSync, unreadable] = [view.inSync, view.unreadable()];
    const isNew = this.#book === null || self !== this.#self || backend !== this.#backend;
    const all = isNew ? view.ranked() : null;
    const turned = await this.#learn(self, backend, all);
    this.#bury();
    if (all === null) {
      this.#book!.update(this.#open);
      this.#book!.reconsider(turned);
    } else {
      this.#book = new PeerBook(self, backend, baseObjects(self, backend));
      this.#book.update(all);
      [this.#self, this.#backend] = [self, backend];
    }
    this.#open.clear();
    return {
      book: this.#book!,
      inSync,
      unreadable: unreadable.flatMap(({ subnets }) => subnets ? prefixesOf(subnets) : []),
    };
  }

  /** The objects of all that are gone are gone too. */
  forget(): void {
    this.#gone.clear();
  }

  peerOf(id: ObjectId): Lease | undefined {
    return this.#book?.peerOf(id);
  }

  peerAt(address: string): Lease | undefined {
    return this.#book?.peerAt(address);
  }

  goneFrom(address: string): Lease | undefined {
    return this.#gone.get(address);
  }

  /** The addresses, as texts, that are reached otherwise than before. */
  async #learn(
    self: Host,
    backend: Backend,
    all: Iterable<readonly [string, Ranked]> | null,
  ): Promise<ReadonlySet<string>> {
    const { routes, kernel } = this.#ports;
    if (!backend.usesUnderlayRoutes(self.network.backend)) return new Set();
    const leases = all ?? (routes.stale ? this.#ports.view.ranked() : this.#open);
    const addresses = [...leases].flatMap(([, now]) =>
      now === null ? [] : enabled(self).flatMap((family) => publicIpOf(now.lease.record, family) ?? [])
    );
    return await routes.learn(kernel, addresses);
  }

  /** Who goes is still to be named. */
  #bury(): void {
    for (const [name, now] of this.#open) {
      const lease = now === null ? this.#book?.leaseOf(name) : undefined;
      for (const { ip } of lease ? prefixesOf(lease.subnets) : []) this.#gone.set(formatIp(ip), lease!);
    }
  }
}
