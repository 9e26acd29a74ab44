/** Taking a subnet: every way an attempt can go, on a store in memory with a clock moved by hand. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { LeaseRecord } from "../../src/model/lease.ts";
import { decodeRecord, encodeRecord, formatLeaseKey, parseAnyLeaseKey } from "../../src/model/lease_codec.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import type { Log } from "../../src/observe/log.ts";
import { acquire } from "../../src/store/acquire.ts";
import { wouldTake } from "../../src/store/choice.ts";
import type { LeaseTable } from "../../src/store/lease_table.ts";
import { MemoryCluster } from "../../src/store/rows/memory.ts";
import type { Claim } from "../../src/store/store.ts";
import { FakeClock, seededRandom, settle } from "../support/clock.ts";
import { claimant } from "../support/identity.ts";

const config = parseNetworkConfig('{"Network": "10.3.0.0/16"}');
const dual = parseNetworkConfig('{"Network": "10.3.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00::/48"}');
const small = parseNetworkConfig('{"Network": "10.3.0.0/22"}');
const none = { v4: null, v6: null };

function record(address: string, extra?: LeaseRecord["extra"]): LeaseRecord {
  const v6 = address.includes(":");
  return {
    publicIp: v6 ? null : parseIp(address),
    publicIpv6: v6 ? parseIp(address) : null,
    backendType: "vxlan",
    ...(extra === undefined ? {} : { extra }),
  };
}

const claim = (address: string, more: Partial<Claim> = {}): Claim => ({
  config,
  self: claimant(address),
  record: record(address),
  previous: none,
  ...more,
});
const previous = (key: string) => parseAnyLeaseKey(key)!;

/** A cluster, and one host on it whose log can be read. */
function open(seed = 1) {
  const clock = new FakeClock();
  const cluster = new MemoryCluster(clock);
  const lines: string[] = [];
  const line = (level: string) => (message: string) => lines.push(`${level} ${message}`);
  const log: Log = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  const store = cluster.store({ random: seededRandom(seed), log });
  const take = async (wanted: Claim) => {
    const lease = await clock.drive(store.acquire(wanted, new AbortController().signal));
    return formatLeaseKey(lease.subnets);
  };
  const put = (key: string, address: string, extra?: LeaseRecord["extra"]) =>
    cluster.put(key, encodeRecord(record(address, extra)), 600_000);
  return { clock, cluster, lines, store, take, put };
}

Deno.test("acquire: a new host says what upstream says", async () => {
  const { take, lines } = open();
  const key = await take(claim("192.168.0.1"));
  const subnet = key.replace("-", "/");
  assertEquals(lines, [
    "info Picking subnet in range 10.3.1.0 ... 10.3.255.0",
    `info Allocated lease (${subnet}) to current node (192.168.0.1)`,
  ]);
  lines.length = 0;
  assertEquals(await take(claim("192.168.0.1")), key);
  assertEquals(lines, [`info Found lease (${subnet}) for current IP (192.168.0.1), reusing`]);
});

Deno.test("acquire: an unchanged record of ours is written again with the next turn, for a full lease time", async () => {
  const { take, cluster, clock, store } = open();
  const key = await take(claim("192.168.0.1"));
  const before = (await store.list()).leases[0]!;
  await clock.advance(3_600_000);
  await take(claim("192.168.0.1"));
  const after = (await store.list()).leases[0]!;
  assert(after.version !== before.version);
  assertEquals(after.created, before.created);
  assertEquals(after.expires! - before.expires!, 3_600_000);
  const { mark, ...content } = decodeRecord(cluster.get(key)!);
  assertEquals([content, mark], [record("192.168.0.1"), { ...before.record.mark!, turn: 2 }]);
});

Deno.test("acquire: of several records with our IP the oldest counts, the others are reported and left", async () => {
  const { take, put, cluster, lines } = open();
  put("10.3.9.0-24", "192.168.0.1");
  put("10.3.8.0-24", "192.168.0.1");
  assertEquals(await take(claim("192.168.0.1")), "10.3.9.0-24");
  assertEquals(cluster.keys(), ["10.3.9.0-24", "10.3.8.0-24"]);
  assert(
    lines.some((line) => line.startsWith("warn Lease (10.3.8.0/24) has our public IP too")),
    lines.join("\n"),
  );
});

Deno.test("acquire: an older record with our IP that does not fit goes, so that the newer one counts", async () => {
  const { take, put, cluster, lines } = open();
  put("10.9.9.0-24", "192.168.0.1");
  put("10.3.8.0-24", "192.168.0.1");
  assertEquals(await take(claim("192.168.0.1")), "10.3.8.0-24");
  assertEquals(cluster.keys(), ["10.3.8.0-24"]);
  assert(
    lines.some((line) =>
      line.includes(
        "(10.9.9.0/24) for current IP (192.168.0.1) but not compatible with current config, deleting",
      )
    ),
  );
});

Deno.test("acquire: a younger record with our id that does not fit goes too: others would take it for the one that counts", async () => {
  const { take, put, cluster } = open();
  put("10.3.8.0-24", "192.168.0.1");
  const { host, run } = claimant("192.168.0.1");
  const own = { ...record("192.168.0.7"), mark: { host, run, turn: 1, after: null } };
  cluster.put("10.9.9.0-24", encodeRecord(own), 600_000);
  cluster.put(
    "10.9.8.0-24",
    encodeRecord({ ...own, mark: { ...own.mark, host: claimant("x").host } }),
    600_000,
  );
  assertEquals(await take(claim("192.168.0.1")), "10.3.8.0-24");
  assertEquals(cluster.keys(), ["10.3.8.0-24", "10.9.8.0-24"]);
});

Deno.test("acquire: the age of records decides, not their order in the list", async () => {
  const clock = new FakeClock();
  const { table, written } = listed([["10.3.8.0-24", 7], ["10.3.9.0-24", 5], ["10.3.7.0-24", 6]]);
  await clock.drive(
    acquire(table, claim("192.168.0.1"), { clock, random: seededRandom(1) }, new AbortController().signal),
  );
  assertEquals(written, ["10.3.9.0-24"]);
});

Deno.test("acquire: a record that changed before it could be removed is looked at again", async () => {
  const { take, put, cluster } = open();
  put("10.9.9.0-24", "192.168.0.1");
  cluster.inject = (_operation, number) => {
    if (number === 1) put("10.9.9.0-24", "192.168.0.1", { Note: "changed" });
    return null;
  };
  const key = await take(claim("192.168.0.1"));
  assertEquals(cluster.keys(), [key]);
});

Deno.test("acquire: our record gives way to another host's older one that overlaps it", async () => {
  const { take, put, cluster } = open();
  put("10.3.8.0-25", "192.168.0.2");
  put("10.3.8.0-24", "192.168.0.1");
  const key = await take(claim("192.168.0.1"));
  assert(key !== "10.3.8.0-24");
  assertEquals(cluster.keys(), ["10.3.8.0-25", key]);
});

Deno.test("acquire: our older record stays where another host's newer one overlaps it", async () => {
  const { take, put } = open();
  put("10.3.8.0-24", "192.168.0.1");
  put("10.3.8.0-25", "192.168.0.2");
  assertEquals(await take(claim("192.168.0.1")), "10.3.8.0-24");
});

Deno.test("acquire: a host that turns on IPv6 keeps its IPv4 subnet", async () => {
  const { take, put, cluster } = open();
  put("10.3.8.0-24", "192.168.0.1");
  const key = await take(claim("192.168.0.1", { config: dual }));
  assert(key.startsWith("10.3.8.0-24&fd00:"), key);
  assertEquals(cluster.keys(), [key]);
});

Deno.test("acquire: a previous subnet that another holds, in part, stays theirs", async () => {
  const { take, put, lines } = open();
  put("10.3.8.128-25", "192.168.0.2");
  const key = await take(claim("192.168.0.1", { previous: previous("10.3.8.0-24") }));
  assert(key !== "10.3.8.0-24");
  assert(
    lines.includes("warn Previously leased subnet (10.3.8.0/24) now belongs to 192.168.0.2; taking another"),
    lines.join("\n"),
  );
});

Deno.test("acquire: what else became of the previous subnet is said", async () => {
  for (
    const [key, text] of [
      ["10.3.8.0-24", "info Found previously leased subnet (10.3.8.0/24), reusing"],
      [
        "10.9.8.0-24",
        "warn Previously leased subnet (10.9.8.0/24) is not compatible with current config; taking another",
      ],
      [
        "10.3.9.0-24",
        "warn Previously leased subnet (10.3.9.0/24) has a record that can't be read; taking another",
      ],
    ] as const
  ) {
    const { take, cluster, lines } = open();
    cluster.put("10.3.9.0-24", "garbage");
    await take(claim("192.168.0.1", { previous: previous(key) }));
    assert(lines.includes(text), lines.join("\n"));
  }
});

Deno.test("acquire: members of others' making outlive an update, our own don't", async () => {
  const { take, put, cluster } = open();
  put("10.3.8.0-24", "192.168.0.1", { Note: "rack 7", Speaks: { udp: null } });
  await take(claim("192.168.0.1", { record: record("192.168.0.1", { Speaks: { ipip: null } }) }));
  assertEquals(decodeRecord(cluster.get("10.3.8.0-24")!).extra, { Note: "rack 7", Speaks: { ipip: null } });
  await take(claim("192.168.0.1"));
  assertEquals(decodeRecord(cluster.get("10.3.8.0-24")!).extra, { Note: "rack 7" });
});

Deno.test("acquire: hosts without IPv4 are told apart by IPv6", async () => {
  const only6 = parseNetworkConfig('{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00::/48"}');
  const { take, cluster } = open();
  const first = await take(claim("2001:db8::1", { config: only6 }));
  const second = await take(claim("2001:db8::2", { config: only6 }));
  assert(first !== second);
  assertEquals(await take(claim("2001:db8::1", { config: only6 })), first);
  assertEquals(cluster.keys().length, 2);
});

Deno.test("acquire: a host without any public address is refused", async () => {
  const { store } = open();
  const nobody = { ...claim("192.168.0.1"), record: { ...record("192.168.0.1"), publicIp: null } };
  await assertRejects(
    () => store.acquire(nobody, new AbortController().signal),
    Failure,
    "no public IP address",
  );
});

Deno.test("acquire: no subnet left", async () => {
  const { take, put } = open();
  for (const n of [1, 2, 3]) put(`10.3.${n}.0-24`, `192.168.1.${n}`);
  await assertRejects(
    () => take(claim("192.168.0.1", { config: small })),
    Failure,
    "out of subnets: all 3 /24 subnets from 10.3.1.0 to 10.3.3.0 are taken; enlarge Network",
  );
});

Deno.test("acquire: an outage is waited out, with one line when it starts and one when it ends", async () => {
  const { clock, cluster, store, lines } = open();
  cluster.startOutage("switched off");
  const waiting = store.acquire(claim("192.168.0.1"), new AbortController().signal);
  await clock.advance(60_000);
  assertEquals(lines, ["warn The store does not answer: switched off; trying again until it does"]);
  // 0.1, 0.2, 0.4 … 3.2 s, then every 5 s.
  assertEquals(cluster.operations, 17);
  cluster.endOutage();
  await clock.drive(waiting);
  assertEquals(lines.at(-1), "info The store answers again after 1 m 1 s");
});

Deno.test("acquire: abort ends the waiting with its reason", async () => {
  const { clock, cluster, store } = open();
  cluster.startOutage();
  const abort = new AbortController();
  const waiting = store.acquire(claim("192.168.0.1"), abort.signal);
  waiting.catch(() => {});
  await clock.advance(10_000);
  abort.abort(new Error("asked to stop"));
  await assertRejects(() => waiting, Error, "asked to stop");
  assertEquals(clock.sleeping, 0);
});

/** A table of records with our IP, by key and age, that tells which ones were written over. */
function listed(rows: readonly (readonly [key: string, created: number])[]) {
  const written: string[] = [];
  const leases = rows.map(([key, created]) => ({
    subnets: previous(key),
    record: record("192.168.0.1"),
    version: "1",
    created,
    expires: 1,
  }));
  const table: LeaseTable = {
    ...contested(0).table,
    list: () => Promise.resolve({ leases, unreadable: [] }),
    update(lease, record) {
      written.push(formatLeaseKey(lease.subnets));
      return Promise.resolve({ ...lease, record });
    },
  };
  return { table, written };
}

/** A table whose creations are lost to others so many times. */
function contested(losses: number): { table: LeaseTable; lists: () => number } {
  let lists = 0;
  const never = () => Promise.reject(new Error("not expected"));
  const table: LeaseTable = {
    list: () => Promise.resolve({ leases: [], unreadable: [], lists: ++lists }),
    look: never,
    create: (subnets, record) =>
      Promise.resolve(losses-- > 0 ? null : { subnets, record, version: "1", created: 1, expires: 1 }),
    update: never,
    renew: never,
    remove: never,
  };
  return { table, lists: () => lists };
}

Deno.test("acquire: a lost race is tried again with a new list, up to thirty times", async () => {
  const clock = new FakeClock();
  const attempt = (table: LeaseTable) =>
    clock.drive(
      acquire(table, claim("192.168.0.1"), { clock, random: seededRandom(1) }, new AbortController().signal),
    );
  const nine = contested(9);
  await attempt(nine.table);
  assertEquals(nine.lists(), 11);
  const started = clock.boot();
  await assertRejects(
    () => attempt(contested(1_000).table),
    Failure,
    "max retries reached trying to acquire a subnet",
  );
  assert(clock.boot() - started < 30_000);
});

Deno.test("acquire: whatever else the table says is the end", async () => {
  const clock = new FakeClock();
  const table = { ...contested(0).table, list: () => Promise.reject(new Failure("wrong password")) };
  const deps = { clock, random: seededRandom(1) };
  await assertRejects(
    () => acquire(table, claim("192.168.0.1"), deps, new AbortController().signal),
    Failure,
    "wrong password",
  );
});

Deno.test("acquire: random schedules of many hosts, latency and lost replies never share a subnet", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const clock = new FakeClock();
    const cluster = new MemoryCluster(clock);
    const random = seededRandom(seed);
    cluster.latencyMs = 5;
    cluster.inject = () =>
      ([null, null, null, null, null, null, "fail", "lose reply"] as const)[random.int(8)]!;
    const leases = await clock.drive(Promise.all(Array.from({ length: 12 }, async (_, i) => {
      await clock.sleep(random.int(30));
      const store = cluster.store({ random });
      return await store.acquire(
        claim(`192.168.0.${i + 1}`, { config: i % 2 ? dual : config }),
        new AbortController().signal,
      );
    })));
    await settle();
    const v4 = leases.map((lease) => formatLeaseKey({ ...lease.subnets, v6: null }));
    assertEquals(new Set(v4).size, 12, `seed ${seed}: ${v4}`);
    assertEquals(
      cluster.keys().toSorted(),
      leases.map((lease) => formatLeaseKey(lease.subnets)).toSorted(),
      `seed ${seed}`,
    );
  }
});

Deno.test("acquire: the record from before our address changed is ours: previous subnet, our device's MAC", async () => {
  const { take, cluster } = open();
  const from = (address: string, mac: string) => ({
    ...record(address),
    backendData: { VNI: 1, VtepMAC: mac },
  });
  const key = "10.3.9.0-24";
  cluster.put(key, encodeRecord(from("192.168.0.1", "02:00:00:00:00:01")), 600_000);
  const stranger = from("192.168.0.2", "02:00:00:00:00:02");
  assert(await take(claim("192.168.0.2", { record: stranger, previous: previous(key) })) !== key);
  const elsewhere = claim("192.168.0.3", { record: from("192.168.0.3", "02:00:00:00:00:01") });
  assert(await take(elsewhere) !== key, "the MAC alone says nothing: clones have it too");
  const moved = from("192.168.0.7", "02:00:00:00:00:01");
  assertEquals(await take(claim("192.168.0.7", { record: moved, previous: previous(key) })), key);
  assertEquals(decodeRecord(cluster.get(key)!).publicIp, parseIp("192.168.0.7"));
});

Deno.test("acquire: a preview comes to where taking would, and says how it is had", async () => {
  const address = "192.168.0.1";
  const marked = (name: string, at: string, after: string | null = null) => {
    const { host, run } = claimant(name);
    return { ...record(at), mark: { host, run, turn: 3, after } };
  };
  const own = claimant(address).host;
  const known: Partial<Claim> = { self: { ...claimant(address), isNew: false } };
  const cases: [
    rows: Record<string, LeaseRecord>,
    more: Partial<Claim>,
    origin: string,
    at: string | null,
  ][] = [
    [{}, {}, "free", null],
    [{}, { previous: previous("10.3.9.0-24") }, "previous", "10.3.9.0-24"],
    [{ "10.3.9.0-24": record(address) }, {}, "held", "10.3.9.0-24"],
    [{ "10.3.9.0-24": marked(address, "192.168.0.9") }, known, "held", "10.3.9.0-24"],
    [{ "10.3.9.0-24": marked("guest", "192.168.0.9", own) }, known, "held", "10.3.9.0-24"],
    [{ "10.3.9.0-24": marked("other", address) }, {}, "trial", "10.3.9.0-24"],
    [{ "10.3.9.0-24": marked("other", address) }, known, "free", null],
    [
      { "10.3.9.0-24": record(address) },
      { self: claimant(address, [previous("10.3.9.0-24")]), previous: previous("10.3.9.0-24") },
      "free",
      null,
    ],
    // Ours, and it does not fit: what we would like to have goes by it.
    [{ "10.9.9.0-24": marked(address, address) }, known, "free", null],
  ];
  for (const [rows, more, origin, at] of cases) {
    const { cluster, store, take } = open();
    for (const [key, row] of Object.entries(rows)) cluster.put(key, encodeRecord(row), 600_000);
    const wanted = claim(address, more);
    const taken = wouldTake(await store.list(), wanted, seededRandom(1));
    const what = Deno.inspect([rows, origin]);
    assert(!("exhausted" in taken), what);
    assertEquals(taken.origin, origin, what);
    assertEquals(at === null ? null : formatLeaseKey(taken.subnets), at, what);
    const key = await take(wanted);
    if (at !== null) assertEquals(key, at, what);
    else assert(!(key in rows), what);
  }
});
