/**
 * What makes one host look like another: disks that are copied or lost, addresses that change hands. A copy of a machine takes its
 * disk along, and its subnet file or not. In the end every address is one host's alone again; who has which id is the product's to
 * sort out.
 */
import type { Fault } from "./faults.ts";
import type { SimHost } from "./host.ts";
import { isRecord } from "./records.ts";
import type { World } from "./world.ts";

export const identityFaults: Readonly<Record<string, Fault>> = {
  "a disk is lost": (world) => {
    const host = world.pick(world.hosts);
    host.disk.text = null;
    return host.name;
  },
  "a disk is damaged": (world) => {
    const host = world.pick(world.hosts);
    host.disk.text = world.pick(["", "{", '{"Host":"7"}', "\0\0\0\0"]);
    return host.name;
  },
  "a machine is started from another's disk": (world) => {
    const [one, other] = pair(world);
    if (!world.gives("no file", "other network") || one.disk.text === null) return null;
    other.kill();
    copy(world, one, other);
    other.start();
    return `${other.name} from ${one.name}'s`;
  },
  "a disk is copied while both run": (world) => {
    const [one, other] = pair(world);
    copy(world, one, other);
    return `${other.name} has ${one.name}'s`;
  },
  "two hosts swap addresses": (world) => {
    const [one, other] = pair(world);
    const { v4, v6 } = one.underlay;
    const down = world.idRandom.int(4);
    if (down & 1) one.kill();
    if (down & 2) other.kill();
    one.renumber(other.underlay.v4, other.underlay.v6);
    other.renumber(v4, v6);
    if (down & 1) one.start();
    if (down & 2) other.start();
    return `${one.name} and ${other.name}`;
  },
  "a host gets an address that another has": (world) => {
    const [one, other] = pair(world);
    one.renumber(other.underlay.v4, other.underlay.v6);
    return `${one.name} that of ${other.name}`;
  },
};

/** Every address is one host's again: its own first one. */
export function settleAddresses(world: World): void {
  const seen = new Set<bigint>();
  for (const host of world.hosts) {
    const shared = world.hosts.some((other) =>
      other !== host && other.underlay.v4.value === host.underlay.v4.value
    );
    if (shared || seen.has(host.underlay.v4.value)) host.renumber(...host.underlay.first);
    seen.add(host.underlay.v4.value);
  }
}

function pair(world: World): [SimHost, SimHost] {
  const one = world.idRandom.int(world.hosts.length);
  const other = (one + 1 + world.idRandom.int(world.hosts.length - 1)) % world.hosts.length;
  world.sameIds = true;
  return [world.hosts[one]!, world.hosts[other]!];
}

/** The other's device stays, and with it the MAC that its record has: it is another host's from now on. */
function copy(world: World, one: SimHost, other: SimHost): void {
  const macs = other.kernel.objects().flatMap((o) => o.kind === "link" ? [o.fields.mac] : []);
  for (const { key, value } of world.models.flatMap(({ keys }) => [...keys.values()])) {
    if (isRecord(key) && macs.some((mac) => typeof mac === "string" && value.includes(mac))) {
      world.untouched.claimed(key, value);
    }
  }
  other.disk.text = one.disk.text;
  if (world.idRandom.int(2) !== 0 || one.file === null) return;
  if (networkIn(one.file) !== networkIn(other.file ?? "")) forgetTerritory(other);
  other.file = one.file;
}

function networkIn(file: string): string | undefined {
  return /FLANNEL_NETWORK=(.*)/.exec(file)?.[1];
}

/** What tells that routes beside our devices are of a network that we had is gone with the file, if we end before it is written anew. */
function forgetTerritory({ kernel, strays }: SimHost): void {
  for (const { kind, key, on } of kernel.objects()) {
    if (kind === "route" && on === "eth0") strays.add(`${kind} ${key}`);
  }
}
