/** A preview names the subnet that a start takes, whatever decides it. */
import { assertEquals } from "@std/assert";
import { noSubnetFile } from "../../src/control/subnet_files.ts";
import { parseIp } from "../../src/model/ip.ts";
import { describeSubnets } from "../../src/model/lease.ts";
import { formatLeaseKey } from "../../src/model/lease_codec.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";

/** What was there before; `a` is a host that had `key` and was stopped. */
const cases: Readonly<Record<string, (cluster: Cluster, a: TestHost, key: string) => void>> = {
  "its record still stands": () => {},
  "only its device's address tells": (cluster, a, key) => {
    a.subnetFile = noSubnetFile();
    cluster.store.delete(key);
  },
  "its address has changed, and its device's MAC tells the record": (_, { kernel }) => {
    const [eth0] = kernel.underlay.interfaces;
    const [address] = eth0!.addresses;
    const moved = { ...eth0!, addresses: [{ ...address!, address: parseIp("192.168.64.77")! }] };
    kernel.underlay.interfaces = [moved];
  },
  "an older record of another host overlaps its own": (cluster, _, key) => {
    const record = cluster.store.get(key)!;
    cluster.store.delete(key);
    const theirs = record.replace("192.168.64.11", "192.168.64.99").replace(/VtepMAC":"../, 'VtepMAC":"0e');
    cluster.store.put(key.replace("-24", "-25"), theirs);
    cluster.store.put(key, record);
  },
  "a record that can't be read has its key": (cluster, _, key) => cluster.store.put(key, "{"),
  "an interface has come into its subnet": (cluster, { kernel }, key) => {
    cluster.store.delete(key);
    const [eth0] = kernel.underlay.interfaces;
    const address = parseIp(key.replace("0-24", "9"))!;
    const eth1 = { ...eth0!, name: "eth1", index: 9, addresses: [{ ...eth0!.addresses[0]!, address }] };
    kernel.underlay.interfaces = [eth0!, eth1];
  },
};

for (const [name, change] of Object.entries(cases)) {
  Deno.test(`a preview names the subnet that a start takes: ${name}`, async () => {
    // Of two subnets only one is left where the host's own is gone; of many, its own is no accident.
    const SubnetMax = /tell/.test(name) ? "10.1.199.0" : "10.1.71.0";
    await using cluster = new Cluster(1, { ...config, SubnetMin: "10.1.70.0", SubnetMax });
    const a = await cluster.started(11);
    const key = formatLeaseKey(a.overlay!.lease.subnets);
    await a.stop();
    change(cluster, a, key);
    const { subnets } = await a.preview();
    await a.start();
    await cluster.advance(1_000);
    assertEquals(describeSubnets(subnets), describeSubnets(a.overlay!.lease.subnets));
  });
}
