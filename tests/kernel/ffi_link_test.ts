/** Links through the library, compared with what `ip -d -j link` says of them. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { LinkRecord, VxlanRecord } from "../../ffi/records.ts";
import { type Bench, benchTest, indexOf, json, sh, vxlanLink } from "../support/ffi.ts";
import { poll, Process } from "../support/process.ts";

const EEXIST = -17;
const ENODEV = -19;
const EINVAL = -22;
const EOPNOTSUPP = -95;

async function read({ netlink }: Bench, name = "dnmx"): Promise<LinkRecord> {
  const link = (await netlink.links()).find((link) => link.name === name);
  assert(link, `no link ${name}`);
  return link;
}

/** Applies one link record and tells its result. */
async function apply(
  { netlink }: Bench,
  verb: "create" | "replace" | "change" | "delete",
  record: LinkRecord,
) {
  return (await netlink.applyLinks([{ verb, record }]))[0];
}

/** What iproute2 says of the device, in our words. */
async function asIproute2Sees(bench: Bench): Promise<LinkRecord> {
  const [link] = await json("ip", "-d", "-j", "link", "show", "dnmx");
  const data = link.linkinfo.info_data;
  const on = (value: unknown) => value === true;
  return {
    index: link.ifindex,
    name: link.ifname,
    type: link.linkinfo.info_kind,
    alias: link.ifalias ?? "",
    mac: link.address,
    mtu: link.mtu,
    up: link.flags.includes("UP"),
    vxlan: {
      vni: data.id,
      lower: data.link === undefined ? 0 : await indexOf(bench.netlink, data.link),
      local: data.local ?? data.local6 ?? null,
      group: data.group ?? data.group6 ?? data.remote ?? data.remote6 ?? null,
      port: data.port,
      ttl: data.ttl ?? 0,
      tos: typeof data.tos === "string" ? Number(data.tos) : data.tos ?? 0,
      ageing: data.ageing ?? 0,
      learning: on(data.learning),
      proxy: on(data.proxy),
      rsc: on(data.rsc),
      l2miss: on(data.l2miss),
      l3miss: on(data.l3miss),
      gbp: on(data.gbp),
      udpCsum: on(data.udp_csum),
      udp6ZeroCsumTx: on(data.udp_zero_csum6_tx),
      udp6ZeroCsumRx: on(data.udp_zero_csum6_rx),
    },
  };
}

const everySwitch: Partial<VxlanRecord> = {
  learning: true,
  proxy: true,
  rsc: true,
  l2miss: true,
  l3miss: true,
  gbp: true,
  udpCsum: false,
  udp6ZeroCsumTx: true,
  udp6ZeroCsumRx: true,
};

const settings: Record<string, Partial<VxlanRecord>> = {
  "as a flannel peer has it": {},
  "with every switch the other way": everySwitch,
  "with every number": { vni: 0xfffffe, port: 4789, ttl: 64, tos: 8, ageing: 77 },
  "over IPv6": { local: "fd77::1" },
  "with a multicast group": { group: "239.1.1.1" },
  "with an IPv6 remote": { local: "fd77::1", group: "fd77::2" },
};

for (const [name, differs] of Object.entries(settings)) {
  benchTest(`vxlan device ${name}: what was asked for is what is there`, async (bench) => {
    const wanted = vxlanLink(bench.lower, differs);
    assertEquals(await apply(bench, "create", wanted), 0);
    const there = await read(bench);
    assertEquals({ ...there, index: 0 }, wanted);
    assertEquals(there, await asIproute2Sees(bench));
  });
}

benchTest("a vxlan device without lower device, MAC or MTU gets the kernel's", async (bench) => {
  const wanted = { ...vxlanLink(0, { local: null }), mac: null, mtu: 0, alias: "", up: false };
  assertEquals(await apply(bench, "create", wanted), 0);
  const there = await read(bench);
  assertEquals(there, await asIproute2Sees(bench));
  assertEquals([there.alias, there.up, there.mtu > 0, there.mac === null], ["", false, true, false]);
});

benchTest("the MAC counts as set at creation, so that udev leaves it alone", async (bench) => {
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
  const NET_ADDR_SET = 3;
  assertEquals(
    await sh("unshare -m sh -ec 'mount -t sysfs s /sys; cat /sys/class/net/dnmx/addr_assign_type'"),
    `${NET_ADDR_SET}\n`,
  );
});

benchTest("what the kernel changes in place is changed in place", async (bench) => {
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
  const before = await read(bench);
  const other = await indexOf(bench.netlink, "dnm1");
  const wanted: LinkRecord = {
    ...vxlanLink(other, { local: "10.77.0.9", ttl: 9, tos: 4, ageing: 33, learning: true }),
    alias: "denim:other",
    mac: "02:00:00:00:00:78",
    mtu: 1300,
    up: false,
  };
  assertEquals(await apply(bench, "change", wanted), 0);
  assertEquals(await read(bench), { ...wanted, index: before.index });
  assertEquals(await read(bench), await asIproute2Sees(bench));
});

benchTest("each setting alone, and back again", async (bench) => {
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
  const { index } = await read(bench);
  for (
    const differs of [{ ttl: 3 }, { tos: 8 }, { ageing: 44 }, { learning: true }, { local: "10.77.0.3" }]
  ) {
    for (const record of [vxlanLink(bench.lower, differs), vxlanLink(bench.lower)]) {
      assertEquals(await apply(bench, "change", record), 0, JSON.stringify(differs));
      assertEquals(await read(bench), { ...record, index });
    }
  }
  for (const differs of [{ mtu: 1234 }, { alias: "" }, { mac: "02:00:00:00:00:01" }, { up: false }]) {
    for (const record of [{ ...vxlanLink(bench.lower), ...differs }, vxlanLink(bench.lower)]) {
      assertEquals(await apply(bench, "change", record), 0, JSON.stringify(differs));
      assertEquals(await read(bench), { ...record, index });
    }
  }
});

benchTest(
  "what the kernel cannot change in place is refused and leaves everything as it was",
  async (bench) => {
    assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
    const before = await read(bench);
    for (
      const differs of [{ port: 4789 }, { vni: 78 }, { gbp: true }, { udpCsum: false }, { l2miss: true }]
    ) {
      const record = { ...vxlanLink(bench.lower, differs), mtu: 1234 };
      assertEquals(await apply(bench, "change", record), EOPNOTSUPP, JSON.stringify(differs));
      assertEquals(await read(bench), before);
    }
  },
);

benchTest(
  "GBP cannot be taken back in place, and a device of another kind cannot become a vxlan",
  async (bench) => {
    assertEquals(await apply(bench, "create", vxlanLink(bench.lower, { gbp: true })), 0);
    assertEquals(await apply(bench, "change", vxlanLink(bench.lower)), EOPNOTSUPP);
    const veth = { ...vxlanLink(bench.lower), name: "dnm1" };
    assertEquals(await apply(bench, "change", veth), EOPNOTSUPP);
  },
);

benchTest("fields left out of a change stay as they are", async (bench) => {
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
  const before = await read(bench);
  const bare = { ...before, name: "", type: "", mac: null, mtu: 0, vxlan: null };
  assertEquals(await apply(bench, "change", bare), 0);
  assertEquals(await read(bench), before);
});

benchTest("create, where something is there, changes nothing; replace takes its place", async (bench) => {
  await sh("ip link add dnmx alias foreign type bridge 2>/dev/null || ip link add dnmx type bridge");
  const foreign = await read(bench);
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), EEXIST);
  assertEquals(await read(bench), foreign);
  assertEquals(await apply(bench, "replace", vxlanLink(bench.lower)), 0);
  const there = await read(bench);
  assertNotEquals(there.index, foreign.index);
  assertEquals({ ...there, index: 0 }, vxlanLink(bench.lower));
});

benchTest("delete by name, by index, and of what is gone", async (bench) => {
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
  assertEquals(await apply(bench, "delete", vxlanLink(bench.lower)), 0);
  assertEquals(await apply(bench, "delete", vxlanLink(bench.lower)), ENODEV);
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), 0);
  const { index } = await read(bench);
  assertEquals(await apply(bench, "delete", { ...vxlanLink(bench.lower), index, name: "" }), 0);
  assertEquals(await apply(bench, "change", vxlanLink(bench.lower)), ENODEV);
});

benchTest("a link whose UDP port is taken is not left behind half made", async (bench) => {
  await using taken = new Process("socat", ["socat", "-u", "UDP-RECV:8472", "-"]);
  await poll("the port to be taken", 5000, async () => (await sh("ss -Hlun")).includes(":8472"));
  const EADDRINUSE = -98;
  assertEquals(await apply(bench, "create", vxlanLink(bench.lower)), EADDRINUSE);
  assertEquals((await bench.netlink.links()).some((link) => link.name === "dnmx"), false);
  assert(taken.running);
});

benchTest("records that make no sense fail alone", async (bench) => {
  const good = vxlanLink(bench.lower);
  const bad = [
    { ...good, name: "a-name-that-is-too-long" },
    { ...good, mac: "02:00:00:00:00" },
    { ...good, vxlan: { ...good.vxlan!, local: "10.77.0.256" } },
    { ...good, type: "" },
    { ...good, vxlan: { ...good.vxlan!, port: 65536 } },
  ];
  const changes = [...bad, good].map((record) => ({ verb: "create" as const, record }));
  assertEquals(await bench.netlink.applyLinks(changes), [...bad.map(() => EINVAL), 0]);
});
