/** Joins an overlay, shows who else is there, and leaves. `deno run -A docs/examples/join.ts DATABASE INTERFACE` */
// deno-lint-ignore-file no-console -- a program that speaks to a terminal
import { describeSubnets, formatIp, join } from "../../mod.ts";

const [database = "leases.db", iface = "eth0"] = Deno.args;
const membership = await join({
  database,
  network: { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } },
  iface,
});

console.log(`our subnet is ${describeSubnets(membership.lease.subnets)}`);
for (const peer of membership.peers()) {
  const { publicIp } = peer.record;
  console.log(
    `peer ${describeSubnets(peer.subnets)} at ${publicIp ? formatIp(publicIp) : "an unknown address"}`,
  );
}

await membership.leave();
