/**
 * Upstream's daemon still runs on the host: ours refuses to start beside it and names its pid, starts with -force, and starts
 * by itself once it is stopped.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { launch, launchReady } from "../support/daemon.ts";
import { startEtcd, startUpstream, withUpstream } from "../support/peers.ts";

const CONFIG = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } };

withUpstream(
  "upstream's daemon on the same host is named, and taken over with -force",
  async (net, upstream) => {
    const host = net.host(1);
    const etcd = await startEtcd(net, CONFIG);
    const args = ["-etcd-endpoints", etcd.endpoints];
    const theirs = net.use(startUpstream(host, upstream, args));
    await theirs.line(/Running backend/, 30_000);
    const refused = launch(host, args);
    assertEquals(await refused.ended(), 1);
    const pid = /flanneld[^ ]*" \(pid (\d+)\)/.exec(refused.text)?.[1];
    assertEquals(Number(pid), theirs.pid);
    const forced = await launchReady(host, [...args, "-force"]);
    assertMatch(forced.text, /taking over all the same/);
    await forced.stop();
    await theirs.stop();
    await launchReady(host, args);
  },
  { hosts: 1 },
);
