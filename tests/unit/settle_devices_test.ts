/** What a host's devices are called before there are any, and what is asked of the kernel for it. */
import { assert, assertEquals } from "@std/assert";
import type { Host } from "../../src/backend/backend.ts";
import { udp } from "../../src/backend/udp.ts";
import { vxlan } from "../../src/backend/vxlan.ts";
import { settleDevices } from "../../src/control/host.ts";
import { FakeKernel } from "../support/kernel/fake.ts";
import { host } from "../support/hosts.ts";
import { claimant } from "../support/identity.ts";

const face = (name: string, index: number) => ({
  name,
  index,
  type: "",
  alias: "",
  mtu: 1500,
  up: true,
  addresses: [],
});

class CountingKernel extends FakeKernel {
  listings = 0;

  override interfaces(): ReturnType<FakeKernel["interfaces"]> {
    this.listings++;
    return super.interfaces();
  }
}

function busy(): CountingKernel {
  const interfaces = [face("eth0", 2), face("flannel0", 3), face("flannel2", 4)];
  return new CountingKernel({
    interfaces,
    route: () => null,
    defaultRoutes: () => [{ device: "eth0", gateway: null }],
  });
}

Deno.test("settling devices: a TUN device gets the first free name", async () => {
  const self = host({ Network: "10.1.0.0/16", Backend: { Type: "udp" } }, null);
  assertEquals((await settleDevices(self, udp, busy())).tun, "flannel1");
});

Deno.test("settling devices: a backend without a TUN device costs no listing of the interfaces", async () => {
  const self = host({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } }, null);
  const kernel = busy();
  await settleDevices(self, vxlan, kernel);
  assertEquals(kernel.listings, 0);
});

Deno.test("settling devices: a tunnel that was kept keeps its name, whatever its device says of itself", async () => {
  const self = host({ Network: "10.1.0.0/16", Backend: { Type: "udp" } }, null);
  const kernel = busy();
  kernel.put({ kind: "tunnel", key: "flannel5", fields: { port: null, underlay: [], queues: 0 } });
  assertEquals((await settleDevices(self, udp, kernel)).tun, "flannel5");
});

Deno.test("settling devices: a device keeps its MAC whatever our id is, a new one's follows from that", async () => {
  const config = { Network: "10.1.0.0/16", Backend: { Type: "vxlan" } };
  const [self, other] = ["one", "two"].map((name) => host(config, null, { id: claimant(name).host }));
  const macOf = (self: Host) => vxlan.base(self, 4).find((o) => o.kind === "link")?.fields.mac;
  const kernel = busy();
  assert(
    macOf(await settleDevices(self!, vxlan, kernel)) !== macOf(await settleDevices(other!, vxlan, kernel)),
  );
  kernel.put(vxlan.base({ ...self!, macs: new Map([["flannel.1", "02:aa:aa:aa:aa:aa"]]) }, 4)[0]!);
  for (const each of [self!, other!]) {
    assertEquals(macOf(await settleDevices(each, vxlan, kernel)), "02:aa:aa:aa:aa:aa");
  }
  // Another id while we run.
  assertEquals(macOf(await settleDevices(other!, vxlan, kernel, false)), macOf(other!));
});
