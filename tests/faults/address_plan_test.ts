/** Hosts and subnets in one range of addresses: who is refused, who is not ready for it, and what is only told. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { noSubnetFile } from "../../src/control/subnet_files.ts";
import { parseSubnetEnv } from "../../src/files/subnet_env.ts";
import { formatIp } from "../../src/model/ip.ts";
import { formatLeaseKey } from "../../src/model/lease_codec.ts";
import { Cluster, config } from "../support/cluster.ts";

/** Hosts of tests are at 192.168.64.x. */
const around = { ...config, Network: "192.168.0.0/16" };

Deno.test("hosts inside the network, where nothing can be leased, find each other", async () => {
  for (const Type of ["vxlan", "udp", "host-gw"]) {
    const plan = { ...around, SubnetMin: "192.168.100.0", SubnetMax: "192.168.199.0", Backend: { Type } };
    await using cluster = new Cluster(1, plan);
    const [a, b] = [await cluster.started(11), await cluster.started(12)];
    await cluster.advance(1_000);
    assertEquals([a.overlay!.peers.length, b.overlay!.peers.length], [1, 1], Type);
    assertEquals(a.overlay!.readiness(), { ready: true, reasons: [], notes: [] }, Type);
  }
});

Deno.test("our own configuration refuses every peer: not ready, with the reason; the subnet file waits for nobody", async () => {
  await using cluster = new Cluster(1, around);
  const [a] = [await cluster.started(11), await cluster.started(12)];
  await cluster.advance(1_000);
  const { ready, reasons, notes } = a.overlay!.readiness();
  assertEquals([ready, reasons.length], [false, 1]);
  assertMatch(
    reasons[0]!,
    /^our own configuration refuses every peer: .*192\.168\.64\.12 lies inside 192\.168\.64\.0\/24/,
  );
  assert(await a.subnetFile.read() !== null);
  assertMatch(notes[0]!, /^other hosts refuse us: our own address 192\.168\.64\.11 lies inside/);
  assertEquals(a.said(/other hosts refuse us/).length, 1);
});

Deno.test("host-gw, and every peer is behind a gateway: not ready; as soon as one is on our link, a note", async () => {
  await using cluster = new Cluster(1, { ...config, Backend: { Type: "host-gw" } });
  const a = cluster.host(11);
  const { route } = a.kernel.underlay;
  const distant = new Set([0xc0a8400cn, 0xc0a8400dn]);
  a.kernel.underlay.route = (to) => ({ ...route(to)!, gateway: distant.has(to.value) ? to : null });
  await a.start();
  await cluster.started(12);
  await cluster.started(13);
  assertMatch(
    a.overlay!.readiness().reasons.join(),
    /refuses every peer: .* is not on our link.* \(and 1 more\)$/,
  );
  distant.delete(0xc0a8400cn);
  a.kernel.emit(new Set(["route"]));
  await cluster.advance(1_000);
  const { ready, notes } = a.overlay!.readiness();
  assert(ready);
  assertMatch(notes.join(), /192\.168\.64\.13 is not on our link/);
});

Deno.test("what is wrong with the records of all others is a note", async () => {
  await using cluster = new Cluster();
  const record = (ip: string, mac: string) =>
    `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VtepMAC":"${mac}"}}`;
  // One of ours is older; this was left over.
  const keys = ["10.1.202.0-24", "10.1.201.0-24"];
  for (const key of keys) cluster.store.put(key, record("192.168.64.11", "02:00:00:00:00:12"));
  const a = await cluster.started(11);
  cluster.store.put("10.1.200.0-24", record("192.168.64.12", "00:00:00:00:00:00"));
  cluster.store.put("10.2.201.0-24", record("192.168.64.13", "02:00:00:00:00:13"));
  await cluster.advance(1_000);
  const { ready, notes } = a.overlay!.readiness();
  assertEquals([ready, notes.length], [true, 3], notes.join("\n"));
});

const dual = { ...config, EnableIPv6: true, IPv6Network: "fd00:1::/48" };
const moved = { ...dual, Network: "10.77.0.0/16", IPv6Network: "fd00:77::/48" };

Deno.test("in another network a device has the address of that network alone, whoever remembers the old one", async () => {
  for (const Type of ["vxlan", "udp"]) {
    for (const file of ["whole", "lost"]) {
      await using cluster = new Cluster(1, { ...dual, Backend: { Type } });
      const a = await cluster.started(11);
      const old = formatLeaseKey(a.overlay!.lease.subnets);
      const text = await a.subnetFile.read();
      await a.stop();
      const none = noSubnetFile();
      a.subnetFile = file === "lost" ? none : { ...none, previous: parseSubnetEnv(text!) };
      cluster.store.delete(old);
      cluster.store.setConfig(JSON.stringify({ ...moved, Backend: { Type } }));
      await a.start();
      await cluster.advance(5_000);
      const { v4, v6 } = a.overlay!.lease.subnets;
      const addresses = [v4!, v6!].map(({ ip }) => formatIp(ip));
      assertMatch(addresses.join(), /^10\.77\..*,fd00:77:/);
      assertEquals(
        a.keys("address").map((key) => key.split(" ")[1]).sort(),
        addresses.sort(),
        `${Type} ${file}`,
      );
      assert(a.readiness().ready);
    }
  }
});

Deno.test("a subnet that was lost is no address any more, across a restart too", async () => {
  for (const Type of ["vxlan", "udp"]) {
    await using cluster = new Cluster(1, { ...dual, Backend: { Type } });
    const a = await cluster.started(11);
    const was = formatLeaseKey(a.overlay!.lease.subnets);
    const record = cluster.store.get(was)!.replace("192.168.64.11", "192.168.64.99").replace(
      "fd00:64::11",
      "fd00:64::99",
    );
    const restart = async () => {
      await a.stop();
      const others = record.replaceAll(/VtepMAC":"../g, 'VtepMAC":"0e').replace(/"Host":"../, '"Host":"0e');
      cluster.store.put(was, others);
      await a.start();
      await cluster.advance(5_000);
    };
    await restart();
    const { v4, v6 } = a.overlay!.lease.subnets;
    assert(formatLeaseKey(a.overlay!.lease.subnets) !== was);
    const addresses = [v4!, v6!].map(({ ip }) => formatIp(ip)).sort();
    assertEquals(a.keys("address").map((key) => key.split(" ")[1]).sort(), addresses, Type);
  }
});

Deno.test("no subnet is drawn that this host has for something else; where there is no other, the start says why", async () => {
  const inside = { ...config, Network: "192.168.0.0/16" };
  await using cluster = new Cluster(1, { ...inside, SubnetMin: "192.168.64.0", SubnetMax: "192.168.65.0" });
  const a = await cluster.started(11);
  assertEquals(formatLeaseKey(a.overlay!.lease.subnets), "192.168.65.0-24");
  assertEquals(a.said(/Leaving out what overlaps 192\.168\.64\.0\/24, the network of eth0/).length, 1);
  const b = await cluster.started(12);
  assertMatch(
    b.failure ?? "none",
    /every free \/24 subnet .* overlaps what this host has: 192\.168\.64\.0\/24, the network of eth0/,
  );
});

Deno.test("a subnet that we hold is kept, whatever comes in its way, and that is told for as long as it is so", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const key = formatLeaseKey(a.overlay!.lease.subnets);
  const { interfaces } = a.kernel.underlay;
  const [eth0] = interfaces;
  const { ip } = a.overlay!.lease.subnets.v4!;
  const address = { ...eth0!.addresses[0]!, address: { ...ip, value: ip.value + 9n } };
  a.kernel.underlay.interfaces = [...interfaces, { ...eth0!, name: "eth1", index: 9, addresses: [address] }];
  a.kernel.emit(new Set(["address"]));
  await cluster.advance(1_000);
  const says = /our subnet 10\.1\.\d+\.0\/24 overlaps 10\.1\.\d+\.0\/24, the network of eth1; give SubnetMin/;
  assertMatch(a.readiness().notes.join(), says);
  assertEquals([a.readiness().ready, a.said(says).length], [true, 1]);
  for (const step of ["a lost key", "a restart"]) {
    if (step === "a restart") await a.stop();
    else cluster.store.delete(key);
    if (step === "a restart") await a.start();
    await cluster.advance(5_000);
    assertEquals(formatLeaseKey(a.overlay!.lease.subnets), key, step);
  }
  a.kernel.underlay.interfaces = interfaces;
  a.kernel.emit(new Set(["address"]));
  await cluster.advance(1_000);
  assertEquals([a.readiness().notes, a.said(/over after .*: our subnet/).length], [[], 1]);
});
