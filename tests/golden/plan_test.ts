/**
 * Plans as readable text: what a start would do on a host, from configuration, leases and what stands already. The texts are
 * in plans/; `UPDATE_GOLDEN=1` writes them anew, and the difference is then read like code.
 */
import { claimant, identityIn, MemoryPlace } from "../support/identity.ts";
import { assertEquals } from "@std/assert";
import { describePreview, preview } from "../../src/control/preview.ts";
import { noSubnetFile } from "../../src/control/subnet_files.ts";
import { underlayChooser } from "../../src/underlay/chooser.ts";
import { FakeKernel } from "../support/kernel/fake.ts";
import { type Ip, parseIp } from "../../src/model/ip.ts";
import { type Obj, route } from "../../src/model/objects.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { MemoryCluster } from "../../src/store/rows/memory.ts";
import { FakeClock, seededRandom } from "../support/clock.ts";

interface Case {
  readonly name: string;
  readonly config: unknown;
  readonly leases: Readonly<Record<string, string>>;
  readonly standing?: readonly Obj[];
  readonly ipMasq?: boolean;
}

const vtep = (ip: string, mac: string) =>
  `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
const own = vtep("192.168.64.11", "02:00:00:00:00:11");
const gateway = (ip: string) => `{"PublicIP":"${ip}","PublicIPv6":null,"BackendType":"host-gw"}`;
const plain = (destination: string, via: string, protocol: number): Obj => {
  const made = route({
    destination: parsePrefix(destination)!,
    gateway: parseIp(via),
    device: "eth0",
    onlink: false,
  });
  return { ...made, fields: { ...made.fields, protocol } };
};
const network = { Network: "10.1.0.0/16", SubnetLen: 24 };

const cases: Case[] = [
  {
    name: "vxlan_fresh",
    config: { ...network, Backend: { Type: "vxlan" } },
    leases: {
      "10.1.15.0-24": own,
      "10.1.16.0-24": vtep("192.168.64.12", "02:00:00:00:00:12"),
      "10.1.17.0-24": vtep("192.168.65.13", "02:00:00:00:00:13"),
    },
    ipMasq: true,
  },
  {
    name: "vxlan_direct_routing",
    config: { ...network, Backend: { Type: "vxlan", DirectRouting: true } },
    leases: {
      "10.1.15.0-24": own,
      "10.1.16.0-24": vtep("192.168.64.12", "02:00:00:00:00:12"),
      "10.1.17.0-24": vtep("192.168.65.13", "02:00:00:00:00:13"),
    },
  },
  {
    name: "host_gw_with_strangers",
    config: { ...network, Backend: { Type: "host-gw" } },
    leases: {
      "10.1.15.0-24": gateway("192.168.64.11"),
      "10.1.16.0-24": gateway("192.168.64.12"),
      "10.1.17.0-24": gateway("192.168.64.13"),
      "10.1.18.0-24": gateway("192.168.65.14"),
      "10.1.19.0-24": "not json",
      "zzz": "{}",
    },
    standing: [plain("10.1.16.0/24", "192.168.64.1", 4), plain("10.1.40.0/24", "192.168.64.40", 85)],
  },
  {
    name: "udp_dual_stack",
    config: {
      ...network,
      EnableIPv6: true,
      IPv6Network: "fd00:1::/48",
      Backend: { Type: "udp", Port: 7890, Queues: 2, Sender: "pool" },
    },
    leases: {
      "10.1.15.0-24&fd00:1:0:15::-64": '{"PublicIP":"192.168.64.11","PublicIPv6":"fd64::11"}',
      "10.1.16.0-24&fd00:1:0:16::-64": '{"PublicIP":"192.168.64.12","PublicIPv6":"fd64::12"}',
      "10.1.17.0-24": '{"PublicIP":"192.168.64.13","PublicIPv6":null}',
      "10.1.18.0-24": vtep("192.168.64.14", "02:00:00:00:00:14"),
      "10.1.19.0-24": '{"PublicIP":"0.0.0.0"}',
    },
    standing: [plain("10.1.0.0/16", "192.168.64.1", 4)],
  },
  {
    name: "dual_stack_hostile",
    config: {
      ...network,
      EnableIPv6: true,
      IPv6Network: "fd00:1::/48",
      Backend: { Type: "vxlan", VNI: 7, Port: 4789, Learning: true },
    },
    leases: {
      "10.1.15.0-24&fd00:1:0:15::-64":
        '{"PublicIP":"192.168.64.11","PublicIPv6":"fd64::11","BackendType":"vxlan","BackendData":{"VNI":7,"VtepMAC":"02:00:00:00:00:11"},"BackendV6Data":{"VNI":7,"VtepMAC":"02:00:00:00:06:11"}}',
      "10.1.16.0-24&fd00:1:0:16::-64":
        '{"PublicIP":"192.168.64.12","PublicIPv6":"fd64::12","BackendType":"vxlan","BackendData":{"VNI":7,"VtepMAC":"02:00:00:00:00:12"},"BackendV6Data":{"VNI":7,"VtepMAC":"02:00:00:00:06:12"}}',
      "10.99.1.0-24": vtep("192.168.64.66", "02:00:00:00:00:66"),
      "10.1.15.128-25": vtep("192.168.64.67", "02:00:00:00:00:67"),
      "10.1.30.0-24": vtep("192.168.64.11", "02:00:00:00:00:68"),
      "10.1.31.0-24": vtep("192.168.64.12", "02:00:00:00:00:69"),
    },
  },
];

for (const testCase of cases) {
  Deno.test(`plan ${testCase.name}`, async () => {
    const text = await planOf(testCase);
    const path = new URL(`./plans/${testCase.name}.txt`, import.meta.url);
    if (Deno.env.has("UPDATE_GOLDEN")) await Deno.writeTextFile(path, text);
    assertEquals(text, await Deno.readTextFile(path));
  });
}

async function planOf({ config, leases, standing = [], ipMasq = false }: Case): Promise<string> {
  const clock = new FakeClock();
  const cluster = new MemoryCluster(clock);
  cluster.setConfig(JSON.stringify(config));
  for (const [key, value] of Object.entries(leases)) cluster.put(key, value);
  const kernel = fakeHost();
  for (const object of standing) kernel.put(object);
  const before = JSON.stringify(kernel.objects());
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const random = seededRandom(1);
  await using store = cluster.store({ random });
  const flags = { iface: ["eth0"], ifaceRegex: [], ifaceCanReach: null, publicIp: null, publicIpv6: null };
  const seen = await preview(
    {
      instance: "default",
      ipMasq,
      forwardRules: ipMasq,
      randomFully: true,
      layout: "chains",
      renewMarginMs: 0,
      onLost: "exit",
      acceptMoved: false,
      firewallPeriodMs: 5_000,
    },
    {
      store,
      kernel,
      clock,
      random,
      log,
      subnetFile: noSubnetFile(),
      identity: identityIn(
        [Object.assign(new MemoryPlace(), { text: `{"Host":"${claimant("golden").host}"}` })],
        random,
        log,
      ),
      chooseUnderlay: underlayChooser(kernel, flags, log),
    },
    new AbortController().signal,
  );
  assertEquals(JSON.stringify(kernel.objects()), before, "a preview changes nothing");
  assertEquals(cluster.keys().length, Object.keys(leases).length);
  return describePreview(seen, kernel.rules);
}

/** eth0 with both families; 192.168.64.0/24 and fd64::/64 are on our link, all else behind a gateway. */
function fakeHost(): FakeKernel {
  const v4 = parseIp("192.168.64.11")!;
  const v6 = parseIp("fd64::11")!;
  const flags = {
    scope: "global",
    deprecated: false,
    tentative: false,
    temporary: false,
    permanent: true,
  } as const;
  const onLink = (to: Ip) => to.family === 6 || to.value >> 8n === v4.value >> 8n;
  return new FakeKernel({
    interfaces: [{
      name: "eth0",
      index: 2,
      type: "",
      alias: "",
      mtu: 1500,
      up: true,
      addresses: [{ address: v4, length: 24, ...flags }, { address: v6, length: 64, ...flags }],
    }],
    route: (to) => ({ device: "eth0", gateway: onLink(to) ? null : parseIp("192.168.64.1"), source: v4 }),
    defaultRoutes: () => [{ device: "eth0", gateway: null }],
  });
}
