/** What goes wrong with etcd, on the way to it, and with what stands in it. */
import { formatIp } from "../../../src/model/ip.ts";
import { familiesIn, isRecord, nameOf, ownerIn, SUBNET6, SUBNETS } from "./records.ts";
import { configText, type World } from "./world.ts";
import type { Fault } from "./faults.ts";
import type { SimHost } from "./host.ts";

/** What can go wrong where both of etcd's APIs are spoken: the rest have their hands in the content of one. */
export const faultsOfBoth: ReadonlySet<string> = new Set([
  "etcd is out of reach",
  "etcd answers again",
  "a host is cut off",
  "etcd is slow",
  "calls fail",
  "replies get lost",
  "calls are done twice",
  "etcd refuses a host",
  "watches break",
  "watches fall silent",
  "history is compacted",
  "history is compacted while watches are down",
  "a lease is deleted",
]);

export const storeFaults: Readonly<Record<string, Fault>> = {
  "etcd is out of reach": ({ model, models }) => {
    if (model.outage !== null) return null;
    for (const each of models) each.startOutage("no quorum");
    return "all hosts";
  },
  "etcd answers again": ({ model, models }) => {
    if (model.outage === null) return null;
    for (const each of models) each.endOutage();
    return "all hosts";
  },
  "a host is cut off": (world) => {
    const { faults, name } = world.pick(world.hosts);
    faults.partitioned = !faults.partitioned;
    return `${faults.partitioned} for ${name}`;
  },
  "etcd is slow": (world) => {
    const { faults, name } = world.pick(world.hosts);
    faults.latencyMs = world.pick([0, 20, 400, 2_000]);
    return `up to ${faults.latencyMs} ms for ${name}`;
  },
  "calls fail": (world) => calls(world, "fail"),
  "replies get lost": (world) => calls(world, "lose reply"),
  "calls are done twice": (world) => calls(world, "twice"),
  "etcd refuses a host": (world) => {
    const { faults, name } = world.pick(world.hosts);
    faults.refusedCalls = 1 + world.random.int(5);
    return `${faults.refusedCalls} calls of ${name}`;
  },
  "watches break": ({ models }) => {
    for (const model of models) model.breakWatches();
    return "all of them";
  },
  "watches fall silent": ({ models }) => {
    for (const model of models) {
      model.muteWatches = !model.muteWatches;
      model.wake();
    }
    return String(models[0]!.muteWatches);
  },
  "history is compacted": ({ models }) => {
    for (const model of models) model.compact();
    return `revision ${models[0]!.revision}`;
  },
  "history is compacted while watches are down": ({ models }) => {
    for (const model of models) {
      model.breakWatches();
      model.put("/elsewhere", "x");
      model.compact();
    }
    return `revision ${models[0]!.revision}`;
  },
  "a backup is taken": (world) => {
    world.backup = world.model.snapshot();
    return `revision ${world.model.revision}`;
  },
  "the backup is restored": (world) => {
    if (world.backup === null) return null;
    const { revision } = world.model;
    for (const key of world.model.keys.keys()) tamper(world, key);
    for (const key of world.backup.keys.keys()) tamper(world, key);
    world.untouched.restored(world.model.keys, world.backup.keys);
    world.model.restore(world.backup);
    // As etcd's manual has it (etcdutl snapshot restore --bump-revision --mark-compacted): else revisions are given out a second
    // time, and who comes back when they have caught up can't tell the old ones from the new.
    world.model.revision = revision + 1_000;
    world.model.compact();
    return `revision ${world.model.revision}`;
  },
  "lists lack records": (world) => {
    const host = world.pick(world.hosts);
    host.faults.thinLists = 1;
    world.thin = true;
    world.untouched.misled.add(host);
    world.model.breakWatches();
    world.model.compact();
    return `of ${host.name}`;
  },
  "a foreign host joins": (world) => {
    const n = 101 + world.random.int(9);
    if (world.model.keys.has(world.key(n))) return null;
    world.model.put(world.key(n), world.record(n));
    return world.key(n);
  },
  "a foreign host leaves": (world) => {
    const n = 101 + world.random.int(9);
    if (!world.model.keys.has(world.key(n))) return null;
    world.model.delete(world.key(n));
    return world.key(n);
  },
  "a record can't be read": (world) => {
    const keys = [...world.model.keys.keys()].filter(isRecord);
    const key = keys.length > 0 && world.chance(2) ? world.pick(keys) : world.key(111 + world.random.int(5));
    tamper(world, key);
    world.untouched.claimed(key, world.model.keys.get(key)?.value ?? "");
    const value = world.pick([
      "{broken",
      "[]",
      '{"PublicIP":null}',
      "",
      `{"PublicIP":"${"9".repeat(70_000)}"}`,
    ]);
    world.model.put(key, value);
    return `${key} = ${value.slice(0, 20)}`;
  },
  "ten megabytes stand in a record": (world) => {
    world.model.put(world.key(120), huge);
    return world.key(120);
  },
  "a key names nothing": (world) => {
    const four = ["nonsense", "10.1.7.1-24", "../../x", "10.1.7.0-24/x", "10.1.7.0-0", "fd00:10:0:7::-64"];
    const six = ["nonsense", "10.1.7.0-24", "fd00:10:0:7::-64/x", "fd00:10:0:7::-0", "FD00:10:0:7::-64"];
    const key = !world.network.families.includes(4) && world.chance(2)
      ? SUBNET6 + world.pick(six)
      : SUBNETS + world.pick(four);
    world.model.put(key, world.record(130));
    return key;
  },
  "a hostile record": (world) => {
    const [key, value] = hostile(world);
    world.untouched.claimed(key, value);
    world.model.put(key, value);
    return `${key} = ${value}`;
  },
  "a lease is stolen": (world) =>
    onLease(
      world,
      (key) => world.model.put(key, world.record(140 + world.random.int(3), {}, familiesIn(key))),
    ),
  "a lease is deleted": (world) =>
    onLease(world, (key) => world.models.forEach((model) => model.delete(key))),
  "a lease runs out": (world) =>
    onLease(world, (key) => world.model.revoke(world.model.keys.get(key)!.lease)),
  "the configuration can't be read": (world) => {
    world.model.put("/coreos.com/network/config", world.pick(["{", '{"Network":"10.1.0.0/29"}', "{}"]));
    return "until it is written again";
  },
  "the configuration has another VNI": (world) => {
    if (!world.gives("other names", "no marks")) return null;
    world.untouched.all = true;
    world.setConfig({ ...world.network, vni: world.pick([1, 7]) });
    return `VNI ${world.network.vni}`;
  },
  "another etcd answers, with the same content": (world) => {
    world.model.cluster = String(1 + world.random.int(3));
    world.model.breakWatches();
    return `cluster ${world.model.cluster}`;
  },
  "the configuration has another network": (world) => {
    // Plain routes do not say of which daemon: what no daemon had the time to write down, nobody knows in another network.
    if (world.network.v4 !== "10.1.0.0/16" || world.hosts.some(({ file }) => file === null)) return null;
    if (!world.gives("other network", "no file")) return null;
    world.untouched.all = true;
    world.setConfig({ ...world.network, v4: "10.2.0.0/16" });
    return world.network.v4;
  },
  "the configuration gives IPv4 up, or takes it back": (world) => {
    const { families } = world.network;
    if (world.api === "v2" || !families.includes(6) || world.hosts.some(({ file }) => file === null)) {
      return null;
    }
    if (!world.gives("other network", "no file") || !world.gives("other names", "no marks")) return null;
    world.untouched.all = true;
    world.setConfig({ ...world.network, families: families.includes(4) ? [6] : [4, 6] });
    return configText(world.network);
  },
  "the configuration has another backend": (world) => {
    if (!world.gives("other names", "no marks")) return null;
    world.untouched.all = true;
    const type = world.pick(["vxlan", "host-gw"] as const);
    world.setConfig({ ...world.network, type: world.udpRandom.int(3) === 0 ? "udp" : type });
    return world.network.type;
  },
  "the configuration has DirectRouting": (world) => {
    world.untouched.all = true;
    world.setConfig({ ...world.network, direct: !world.network.direct });
    return String(world.network.direct);
  },
};

const huge = `{"PublicIP":"192.168.65.120","X":"${"x".repeat(10_000_000)}"}`;

function calls(world: World, fault: "fail" | "lose reply" | "twice"): string {
  const { faults, name } = world.pick(world.hosts);
  const before = Array.from({ length: world.random.int(4) }, () => null);
  const times = Array.from({ length: 1 + world.random.int(3) }, () => fault);
  faults.storeCalls = [...before, ...times];
  return `${times.length} of ${name}`;
}

function tamper(world: World, key: string): void {
  if (isRecord(key)) world.tampered.add(nameOf(key));
}

/** Something that somebody does to the record of one of our hosts. */
function onLease(world: World, action: (key: string) => void): string | null {
  const keys = [...world.model.keys.values()].filter(({ key, value }) =>
    isRecord(key) && world.hosts.some((host) => isOf(host, value))
  );
  if (keys.length === 0) return null;
  const { key } = world.pick(keys);
  tamper(world, key);
  world.untouched.claimed(key, world.model.keys.get(key)!.value);
  action(key);
  return key;
}

function isOf({ addresses }: SimHost, value: string): boolean {
  return addresses.has(ownerIn(value) ?? "");
}

/** Records that claim what is not theirs. */
function hostile(world: World): [key: string, value: string] {
  const victim = world.pick(world.hosts);
  const n = 150 + world.random.int(5);
  const mac = "02:00:00:00:00:01";
  if (!world.network.families.includes(4)) return hostile6(world, victim, n);
  const outside = `${SUBNETS}${world.pick(["10.77.1.0-24", "192.168.64.0-24", "0.0.0.0-1", "10.1.0.0-16"])}`;
  return world.pick<[string, string]>([
    [outside, world.record(n)],
    [world.key(n), world.record(n, { PublicIP: formatIp(victim.underlay.v4) })],
    [world.key(n), world.record(n, { PublicIP: world.pick(["127.0.0.1", "224.0.0.9", "10.1.3.4"]) })],
    [world.key(n), world.record(n, { BackendData: { VNI: 1, VtepMAC: mac } })],
    [world.key(n), world.record(n, { BackendData: { VNI: 1, VtepMAC: "ff:ff:ff:ff:ff:ff" } })],
    [world.key(n), world.record(n, { BackendType: "carrier-pigeon" })],
    [`${SUBNETS}10.1.${n & ~1}.0-23`, world.record(n)],
  ]);
}

/** The same of IPv6 alone. */
function hostile6(world: World, victim: SimHost, n: number): [key: string, value: string] {
  const data = (mac: string) => ({ BackendV6Data: { VNI: 1, VtepMAC: mac } });
  const outside = world.pick(["fd00:77::-64", "fd00:64::-64", "8000::-1", "fd00:10::-48"]);
  return world.pick<[string, string]>([
    [SUBNET6 + outside, world.record(n)],
    [world.key(n), world.record(n, { PublicIPv6: formatIp(victim.underlay.v6) })],
    [world.key(n), world.record(n, { PublicIPv6: world.pick(["::1", "ff02::9", "fd00:10:0:3::4"]) })],
    [world.key(n), world.record(n, data("02:00:00:00:00:01"))],
    [world.key(n), world.record(n, data("ff:ff:ff:ff:ff:ff"))],
    [world.key(n), world.record(n, { BackendType: "carrier-pigeon" })],
  ]);
}
