/** Hosts and subnets in one range of addresses: who is refused, who is not ready for it, and what is only told. */
import { assert, assertEquals, assertMatch } from "@std/assert";
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
  const a = await cluster.started(11);
  const record = (ip: string, mac: string) =>
    `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VtepMAC":"${mac}"}}`;
  cluster.store.put("10.1.200.0-24", record("192.168.64.12", "00:00:00:00:00:00"));
  cluster.store.put("10.1.201.0-24", record("192.168.64.11", "02:00:00:00:00:12"));
  cluster.store.put("10.2.201.0-24", record("192.168.64.13", "02:00:00:00:00:13"));
  await cluster.advance(1_000);
  const { ready, notes } = a.overlay!.readiness();
  assertEquals([ready, notes.length], [true, 3], notes.join("\n"));
});
