/**
 * The bench of the tests of `ffi/`: the real library against the real kernel, in the network namespace of the test process,
 * which must be a private one:
 *
 *   unshare -n deno test -A tests/kernel
 *
 * Outside of one the tests fail rather than touch the machine's own network; without root they are ignored. Every test gets
 * a pair of veth devices as its underlay and leaves no link behind:
 *
 *   dnm0 10.77.0.1/24 fd77::1/64 ────── dnm1 (same namespace)
 */
import { type Library, loadLibrary } from "../../ffi/library.ts";
import { openNetlink } from "../../ffi/netlink.ts";
import type { LinkRecord, NeighbourRecord, Netlink, RouteRecord, VxlanRecord } from "../../ffi/records.ts";
import { output, run } from "./process.ts";

export interface Bench {
  readonly library: Library;
  readonly netlink: Netlink;
  /** ifindex of dnm0. */
  readonly lower: number;
}

/** A test on the bench. */
export function benchTest(name: string, body: (bench: Bench) => Promise<void>): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    sanitizeOps: true,
    sanitizeResources: true,
    async fn() {
      using library = loadLibrary();
      using netlink = openNetlink(library);
      await refuseSharedNetwork(netlink);
      try {
        const lower = await makeUnderlay(netlink);
        await body({ library, netlink, lower });
      } finally {
        await removeLinks(netlink);
      }
    },
  });
}

/** A namespace of our own has no device that is up but `lo`: whatever a test made before, it has removed. */
async function refuseSharedNetwork(netlink: Netlink): Promise<void> {
  const foreign = (await netlink.links()).find((link) => link.up && link.name !== "lo");
  if (foreign === undefined) return;
  throw new Error(
    `change the network of this namespace: it is in use (the device "${foreign.name}" is up); ` +
      "run the test in one of its own: unshare -n deno test -A tests/kernel",
  );
}

async function makeUnderlay(netlink: Netlink): Promise<number> {
  await sh(`
    ip link set lo up
    ip link add dnm0 type veth peer name dnm1
    ip link set dnm0 up
    ip link set dnm1 up
    ip address add 10.77.0.1/24 dev dnm0
    ip address add fd77::1/64 dev dnm0 nodad
  `);
  return indexOf(netlink, "dnm0");
}

async function removeLinks(netlink: Netlink): Promise<void> {
  const ours = (await netlink.links()).filter((link) => link.name.startsWith("dnm"));
  for (const { name } of ours) await output(["ip", "link", "delete", name]);
}

/** A shell script that stops at the first failing line. */
export function sh(script: string): Promise<string> {
  return run(["sh", "-ec", script]);
}

// deno-lint-ignore no-explicit-any -- what iproute2 prints is compared member by member
export async function json(...command: string[]): Promise<any[]> {
  const text = await run(command);
  return JSON.parse(text.trim() === "" ? "[]" : text);
}

export async function indexOf(netlink: Netlink, name: string): Promise<number> {
  const link = (await netlink.links()).find((link) => link.name === name);
  if (link === undefined) throw new Error(`find the link "${name}": there is none`);
  return link.index;
}

export function vxlan(lower: number, differs: Partial<VxlanRecord> = {}): VxlanRecord {
  return {
    vni: 77,
    lower,
    local: "10.77.0.1",
    group: null,
    port: 8472,
    ttl: 0,
    tos: 0,
    ageing: 300,
    learning: false,
    proxy: false,
    rsc: false,
    l2miss: false,
    l3miss: false,
    gbp: false,
    udpCsum: true,
    udp6ZeroCsumTx: false,
    udp6ZeroCsumRx: false,
    ...differs,
  };
}

/** A vxlan device dnmx on dnm0. */
export function vxlanLink(lower: number, differs: Partial<VxlanRecord> = {}): LinkRecord {
  return {
    index: 0,
    name: "dnmx",
    type: "vxlan",
    alias: "denim:test",
    mac: "02:00:00:00:00:77",
    mtu: 1400,
    up: true,
    vxlan: vxlan(lower, differs),
  };
}

/** Makes dnmx with the address 10.88.0.0/32 and tells its ifindex. */
export async function makeVxlan({ netlink, lower }: Bench): Promise<number> {
  await netlink.applyLinks([{ verb: "create", record: vxlanLink(lower) }]);
  const index = await indexOf(netlink, "dnmx");
  const record = { index, address: "10.88.0.0", length: 32, scope: 0, flags: 0 };
  await netlink.applyAddresses([{ verb: "create", record }]);
  return index;
}

/** A route of peer `n`: 10.x.y.0/24 through its VTEP on the device. */
export function route(index: number, destination: string, differs: Partial<RouteRecord> = {}): RouteRecord {
  return {
    destination,
    gateway: destination.slice(0, destination.indexOf("/")),
    index,
    source: null,
    table: 254,
    protocol: 85,
    scope: 0,
    type: 1,
    onlink: true,
    metric: 0,
    tos: 0,
    paths: 0,
    nexthop: 0,
    ...differs,
  };
}

export function neighbour(
  index: number,
  address: string,
  differs: Partial<NeighbourRecord> = {},
): NeighbourRecord {
  return {
    table: address.includes(":") ? "v6" : "v4",
    index,
    address,
    mac: "02:00:00:00:00:02",
    state: 0x80,
    flags: 0,
    protocol: 85,
    ...differs,
  };
}

/** A forwarding entry: frames for `mac` go to `remote`. */
export function fdb(index: number, mac: string, remote: string): NeighbourRecord {
  return neighbour(index, remote, { table: "fdb", mac, flags: 0x02, protocol: 0 });
}
