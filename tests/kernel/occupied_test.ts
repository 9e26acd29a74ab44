/** What the real kernel says a host has besides us: networks of its devices and routes, ours left out. */
import { assertEquals } from "@std/assert";
import { describeOccupied } from "../../src/model/occupied.ts";
import { base, base6, driverTest, owner, peer } from "../support/kernel_host.ts";

driverTest("occupied: networks and routes of others, and nothing of ours", async (host) => {
  await host.settle([...base, ...base6, ...peer(1)]);
  await host.place.sh(`
    ip link add docker0 type bridge
    ip addr add 10.5.9.1/24 dev docker0
    ip link set docker0 up
    ip addr add 10.5.30.1/32 dev lo
    ip route add 10.0.0.0/8 via 192.168.77.9
    ip route add 10.5.31.0/24 via 192.168.77.9
    ip route add blackhole 10.5.32.0/24
    ip route add 10.5.33.0/24 dev flannel.1
    ip route add 10.5.34.0/24 via 192.168.77.9 proto 85
    ip -6 route add fd00:5:0:33::/64 via fd77::9
    ip route add default via 192.168.77.9`);
  const found = await host.kernel.occupied(owner);
  const texts = found.map((each) => `${describeOccupied(each)}${each.bridge ? " (a bridge)" : ""}`);
  const inNetworks = texts.filter((text) => /^(10\.|192\.168\.77|fd00:5|fd77|0\.0)/.test(text)).sort();
  assertEquals(inNetworks, [
    "10.0.0.0/8, a route by way of eth0",
    "10.5.30.1/32, the network of lo",
    "10.5.31.0/24, a route by way of eth0",
    "10.5.32.0/24, a route that leads nowhere",
    "10.5.9.0/24, a route by way of docker0 (a bridge)",
    "10.5.9.0/24, the network of docker0 (a bridge)",
    "192.168.77.0/24, a route by way of eth0",
    "192.168.77.0/24, the network of eth0",
    "fd00:5:0:33::/64, a route by way of eth0",
    "fd77::/64, a route by way of eth0",
    "fd77::/64, the network of eth0",
  ]);
});

driverTest(
  "a device with our alias keeps no tunnel address of a network that nobody remembers",
  async (host) => {
    await host.settle([...base, ...base6]);
    await host.place.sh(`
    ip addr add 172.16.5.0/32 dev flannel.1
    ip addr add 172.16.9.9/32 dev flannel.1
    ip -6 addr add fd07:7::/128 dev flannel-v6.1 nodad`);
    assertEquals((await host.settle([...base, ...base6])).sort(), [
      "delete address flannel-v6.1 fd07:7::",
      "delete address flannel.1 172.16.5.0",
    ]);
  },
);
