/**
 * Both families at once, on one code path: a second device, and routes, neighbours and FDB entries of IPv6 beside those of
 * IPv4. What is deleted of it comes back, and a restart finds the same subnets.
 *
 *     h1: flannel.1, flannel-v6.1 ── 192.168.64.0/24, fd00:64::/64 ── h2: the same
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { deviceAddress, linkOf, sqliteArgs } from "../support/overlay.ts";
import { poll } from "../support/process.ts";
import { scenario } from "../support/topology.ts";
import { ping } from "../support/traffic.ts";

const CONFIG = {
  Network: "10.1.0.0/16",
  EnableIPv6: true,
  IPv6Network: "fd00:1::/48",
  Backend: { Type: "vxlan" },
};

scenario(
  "dual stack: both families reach the other host and are mended",
  { hosts: 2, ipv6: true },
  async (net) => {
    const [h1, h2] = [net.host(1), net.host(2)];
    const args = [...await sqliteArgs(net, CONFIG), "-ip-masq"];
    const first = await launchReady(h1, args);
    await launchReady(h2, args);
    const env = await subnetEnv(h1);
    assertEquals(
      Object.keys(env).join(),
      "FLANNEL_NETWORK,FLANNEL_SUBNET,FLANNEL_IPV6_NETWORK,FLANNEL_IPV6_SUBNET,FLANNEL_MTU,FLANNEL_IPMASQ",
    );
    assertMatch(env.FLANNEL_IPV6_SUBNET!, /^fd00:1:0:[0-9a-f]+::1\/64$/);
    assertEquals([env.FLANNEL_MTU, (await linkOf(h1, "flannel-v6.1")).mtu, (await linkOf(h1)).mtu], [
      "1430",
      1430,
      1450,
    ]);
    const [v4, v6] = [await deviceAddress(h2, "flannel.1"), await deviceAddress(h2, "flannel-v6.1")];
    await poll("answers over both families", 10_000, async () => await ping(h1, v4) && await ping(h1, v6));

    await h1.run(["ip", "-6", "route", "del", `${v6}/64`]);
    await poll(
      "the IPv6 route is back",
      5_000,
      async () => (await h1.run(["ip", "-6", "route"])).includes(`${v6}/64`),
    );
    await h1.run(["ip", "link", "del", "flannel-v6.1"]);
    await poll("the IPv6 device is back, with its peer", 5_000, () => ping(h1, v6));
    assertStringIncludes(await h1.run(["ip6tables", "-t", "nat", "-S"]), "-N FLANNEL-POSTRTG");

    assertEquals(await first.stop(), 0);
    await launchReady(h1, args);
    assertEquals(await subnetEnv(h1), env);
    assertEquals(await ping(h1, v6), true);
  },
);
