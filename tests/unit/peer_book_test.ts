/**
 * The book of peers against working all of it out from all leases: the same objects, peers and refusals after every change,
 * whatever overlaps, shares an address, a MAC or an id, and in whatever order leases come and go.
 */
import { idOf } from "../../src/model/objects.ts";
import { assertEquals } from "@std/assert";
import { backends } from "../../src/backend/registry.ts";
import type { Host } from "../../src/backend/backend.ts";
import { ip } from "../../src/model/ip.ts";
import { doubtful, type Lease } from "../../src/model/lease.ts";
import { prefix } from "../../src/model/prefix.ts";
import { baseObjects, desire } from "../../src/plan/desired.ts";
import { nameOf, PeerBook, type Ranked } from "../../src/plan/peer_book.ts";
import { seededRandom } from "../support/clock.ts";
import { host, lease } from "../support/hosts.ts";

const dual = { EnableIPv6: true, IPv6Network: "fd00:1::/48" };
const networks = {
  "vxlan": host({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } }, "10.1.15.0/24"),
  "vxlan of both families": host(
    { Network: "10.1.0.0/16", ...dual, Backend: { Type: "vxlan", DirectRouting: true } },
    "10.1.15.0/24,fd00:1:0:15::/64",
  ),
  "host-gw": host({ Network: "10.1.0.0/16", Backend: { Type: "host-gw" } }, "10.1.15.0/24"),
  "udp": host({ Network: "10.1.0.0/16", Backend: { Type: "udp" } }, "10.1.15.0/24"),
};

type Draw = ReturnType<typeof seededRandom>;

/** Few subnets of several lengths, few addresses (some of them inside subnets), MACs and ids. */
function drawLease({ int }: Draw, backendType: string, n: number): Lease {
  const length = [24, 24, 24, 23, 22, 25][int(6)]!;
  const subnet = prefix(ip(4, 0x0a010000n + BigInt(int(24) << 8) + BigInt(int(2) << 7)), length);
  const address = int(12) === 0 ? 0x0a010000n + BigInt(int(6_000)) : 0xc0a84000n + BigInt(20 + int(12));
  const mac = `02:00:00:00:00:${(16 + int(10)).toString(16)}`;
  const mark = int(3) === 0
    ? {}
    : { mark: { host: `${int(8)}`.padStart(32, "0"), run: "0".repeat(16), turn: 1, after: null } };
  const record = {
    publicIp: ip(4, address),
    publicIpv6: int(3) === 0 ? null : ip(6, (0xfd64n << 112n) | BigInt(1 + int(12))),
    backendType: int(20) === 0 ? "alloc" : backendType,
    backendData: { VtepMAC: mac },
    backendV6Data: { VtepMAC: mac },
    ...mark,
  };
  const v6 = int(2) === 0 ? null : prefix(ip(6, (0xfd000001n << 96n) | (BigInt(int(20)) << 64n)), 64);
  return { subnets: { v4: subnet, v6 }, record, version: `${n}`, created: int(40), expires: null };
}

/** All leases in the order of their claims. */
function inOrder(leases: ReadonlyMap<string, Ranked>): Lease[] {
  const name = ([text]: readonly [string, Ranked]) => text;
  return [...leases].sort((a, b) =>
    a[1].rank - b[1].rank || a[1].lease.created - b[1].lease.created || (name(a) < name(b) ? -1 : 1)
  ).map(([, { lease }]) => lease);
}

function compare(book: PeerBook, self: Host, leases: ReadonlyMap<string, Ranked>, what: string): void {
  const backend = backends.get(self.network.backend.type)!;
  const scratch = desire(self, backend, inOrder(leases), []);
  const sorted = (objects: Iterable<{ kind: string; key: string; fields: object }>) =>
    [...objects].map(({ kind, key, fields }) => `${kind} ${key} ${JSON.stringify(fields)}`).sort();
  assertEquals(sorted(book.objects.values()), sorted(scratch.objects), `objects ${what}`);
  assertEquals(book.peers.map(nameOf), scratch.peers.map(nameOf), `peers ${what}`);
  assertEquals(
    book.refused.map(({ lease }) => nameOf(lease)),
    scratch.refused.map(({ lease }) => nameOf(lease)),
    `refused ${what}`,
  );
}

for (const [name, self] of Object.entries(networks)) {
  Deno.test(`book, ${name}: after every change it says what all leases together say`, () => {
    const backend = backends.get(self.network.backend.type)!;
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      const book = new PeerBook(self, backend, baseObjects(self, backend));
      const leases = new Map<string, Ranked>();
      const known = new Map(baseObjects(self, backend).map((o) => [idOf(o), o]));
      book.takeChanged();
      for (let step = 0; step < 40; step++) {
        const changes = new Map<string, Ranked | null>();
        for (let n = random.int(4); n >= 0; n--) {
          const names = [...leases.keys()];
          if (random.int(3) === 0 && names.length > 0) changes.set(names[random.int(names.length)]!, null);
          else {
            const lease = drawLease(random, backend.recordType, step);
            const ranked = random.int(8) === 0 ? { lease: doubtful(lease), rank: 1 } : { lease, rank: 0 };
            changes.set(nameOf(lease), ranked);
          }
        }
        for (const [key, now] of changes) {
          if (now === null) leases.delete(key);
          else leases.set(key, now);
        }
        book.update(changes);
        compare(book, self, leases, `of seed ${seed} after step ${step}`);
        // What it says has changed is all that has.
        for (const [id, before] of book.takeChanged()) {
          assertEquals(
            known.get(id),
            before ?? undefined,
            `seed ${seed}, step ${step}: what was wanted before`,
          );
          const now = book.objects.get(id);
          if (now === undefined) known.delete(id);
          else known.set(id, now);
        }
        assertEquals([...known.keys()].sort(), [...book.objects.keys()].sort(), `seed ${seed}, step ${step}`);
      }
    }
  });
}

Deno.test("book: who is reached another way now gets what it takes, and nobody else is looked at", () => {
  let direct = false;
  const self = host(
    { Network: "10.1.0.0/16", Backend: { Type: "vxlan", DirectRouting: true } },
    "10.1.15.0/24",
  );
  const route = () => direct ? { onLink: true, device: self.underlay.device } : { onLink: false, device: "" };
  const routed = { ...self, underlay: { ...self.underlay, route } };
  const backend = backends.get("vxlan")!;
  const book = new PeerBook(routed, backend, baseObjects(routed, backend));
  const leases = [
    lease("10.1.20.0/24", "192.168.64.20", "02:00:00:00:00:20"),
    lease(
      "10.1.21.0/24",
      "192.168.64.21",
      "02:00:00:00:00:21",
    ),
  ];
  book.update(leases.map((each) => [nameOf(each), { lease: each, rank: 0 }] as const));
  book.takeChanged();
  direct = true;
  book.reconsider(new Set(["192.168.64.20"]));
  assertEquals([...book.takeChanged().keys()].sort(), [
    "fdb flannel.1 02:00:00:00:00:20",
    "neighbour flannel.1 10.1.20.0",
    "route 10.1.20.0/24",
  ]);
  const on = (subnet: string) => book.objects.get(`route ${subnet}`)?.on;
  assertEquals([on("10.1.20.0/24"), on("10.1.21.0/24")], [self.underlay.device, "flannel.1"]);
  assertEquals(book.peers.map(nameOf).sort(), leases.map(nameOf));
  book.reconsider(new Set());
  assertEquals(book.takeChanged().size, 0);
});
