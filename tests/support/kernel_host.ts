/**
 * A host whose kernel is seen through our drivers, for tests of them:
 *
 *   desired ──► diff ──► apply (netlink) ──► read (netlink) ──► diff must be empty
 *
 *   ┌ namespace ────────────────────────────────┐
 *   │ eth0 192.168.77.1/24 ── veth ── peer0     │   an administrator acts with `ip` and `bridge`
 *   │ flannel.1, flannel-v6.1 on top of eth0    │
 *   └───────────────────────────────────────────┘
 */
import { assertEquals } from "@std/assert";
import { loadLibrary } from "../../ffi/library.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import { diff } from "../../src/plan/diff.ts";
import type { Owner } from "../../src/model/owner.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { openKernel } from "../../src/kernel/linux.ts";
import type { SysctlAccess } from "../../src/kernel/sysctls.ts";
import { type Ip, parseIp } from "../../src/model/ip.ts";
import type { Mac } from "../../src/model/mac.ts";
import {
  address,
  fdbEntry,
  neighbour,
  type Obj,
  route,
  sysctl,
  vxlanLink,
  type VxlanSpec,
} from "../../src/model/objects.ts";
import type { Observed, Plan } from "../../src/model/plan.ts";
import { parsePrefix, type Prefix } from "../../src/model/prefix.ts";
import { inside } from "./inside.ts";
import { createNamespace, type Namespace } from "./netns.ts";

export const owner: Owner = {
  instance: "default",
  devices: ["flannel.1", "flannel-v6.1"],
  networks: [parsePrefix("10.5.0.0/16")!, parsePrefix("fd00:5::/48")!],
  subnets: [],
  layout: "chains",
  vnis: new Map([["flannel.1", 1], ["flannel-v6.1", 1]]),
};

export const spec: VxlanSpec = {
  name: "flannel.1",
  alias: "denim:default",
  vni: 1,
  lower: "eth0",
  local: parseIp("192.168.77.1")!,
  port: 8472,
  learning: false,
  gbp: false,
  mtu: 1450,
  mac: "02:00:00:00:00:01",
};
const spec6: VxlanSpec = { ...spec, name: "flannel-v6.1", local: parseIp("fd77::1")!, mtu: 1430 };

export const ip = (text: string): Ip => parseIp(text)!;
export const peerMac = (n: number): Mac => `02:00:00:00:01:0${n}`;

/** What one peer, number 1 to 9, needs through the tunnel. */
export function peer(n: number): Obj[] {
  const destination = parsePrefix(`10.5.${n}.0/24`)!;
  return [
    neighbour("flannel.1", destination.ip, peerMac(n)),
    fdbEntry("flannel.1", peerMac(n), ip(`192.168.77.${n + 100}`)),
    route({ destination, gateway: destination.ip, device: "flannel.1", onlink: true }),
  ];
}

export function peer6(n: number): Obj[] {
  const destination = parsePrefix(`fd00:5:0:${n}::/64`)!;
  return [
    neighbour("flannel-v6.1", destination.ip, peerMac(n)),
    fdbEntry("flannel-v6.1", peerMac(n), ip(`fd77::10${n}`)),
    route({ destination, gateway: destination.ip, device: "flannel-v6.1", onlink: true }),
  ];
}

export const base: Obj[] = [
  vxlanLink(spec),
  sysctl("net/ipv6/conf/flannel.1/accept_ra", "0", "flannel.1"),
  address("flannel.1", ip("10.5.72.0"), 32),
];
export const base6: Obj[] = [
  vxlanLink(spec6),
  sysctl("net/ipv6/conf/flannel-v6.1/accept_ra", "0", "flannel-v6.1"),
  address("flannel-v6.1", ip("fd00:5:0:72::"), 128),
];
export const everything: Obj[] = [...base, ...base6, ...peer(1), ...peer(2), ...peer6(1), ...peer6(2)];

/** One host: its namespace and the kernel seen through our drivers. */
export class Host {
  constructor(readonly place: Namespace, readonly kernel: Kernel) {}

  read(as: Owner = owner): Promise<Observed[]> {
    return this.kernel.read(as, { network: true, firewall: false });
  }

  async find(kind: Obj["kind"], key: string, as: Owner = owner): Promise<Observed | undefined> {
    return (await this.read(as)).find((object) => object.kind === kind && object.key === key);
  }

  async plan(desired: readonly Obj[], as: Owner = owner): Promise<Plan> {
    return diff(desired, await this.read(as), { rules: this.kernel.rules, mayDelete: () => true });
  }

  /** Plans and applies; all must take effect, and nothing may be left to do. Gives what was done. */
  async settle(desired: readonly Obj[]): Promise<string[]> {
    const { operations } = await this.plan(desired);
    const outcomes = await this.kernel.apply(operations);
    assertEquals(outcomes.flatMap(({ error }) => error ?? []), []);
    assertEquals((await this.plan(desired)).operations, []);
    return operations.map(({ verb, object }) => `${verb} ${object.kind} ${object.key}`);
  }

  async error(operation: Parameters<Kernel["apply"]>[0][number]): Promise<string | null> {
    return (await this.kernel.apply([operation]))[0]!.error;
  }

  async index(device: string): Promise<number> {
    const [link] = await this.place.json<{ ifindex: number }[]>("ip", "-j", "link", "show", device);
    return link!.ifindex;
  }
}

/** For all tests: closing a netlink socket waits for its calls, so the library has to outlive it. */
const library = loadLibrary();

export function driverTest(name: string, test: (host: Host) => Promise<void>): void {
  Deno.test(name, async () => {
    await using place = await createNamespace(`kd-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`);
    await place.sh(`
      ip link set lo up
      ip link add eth0 type veth peer name peer0
      ip link set peer0 up
      ip addr add 192.168.77.1/24 dev eth0
      ip -6 addr add fd77::1/64 dev eth0 nodad
      ip link set eth0 up`);
    const netlink = inside(place.pid, () => openNetlink(library));
    using kernel = openKernel({ netlink, firewall: [], sysctls: sysctlsIn(place) });
    await test(new Host(place, kernel));
  });
}

/** /proc/sys shows the namespace of whoever opens it. */
function sysctlsIn(place: Namespace): SysctlAccess {
  return {
    read: async (name) => {
      const { code, stdout } = await place.output(["cat", `/proc/sys/${name}`]);
      return code === 0 ? stdout.trimEnd() : null;
    },
    write: async (name, value) =>
      void await place.run(["dd", "status=none", `of=/proc/sys/${name}`], { input: value }),
  };
}

export const prefix = (text: string): Prefix => parsePrefix(text)!;
export const throughTunnel = (text: string): Obj =>
  route({ destination: prefix(text), gateway: prefix(text).ip, device: "flannel.1", onlink: true });
