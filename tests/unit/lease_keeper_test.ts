/**
 * A lease whose writes are refused: with `onLost: "exit"` only another host's record ends the run. And the rules of
 * `model/identity.ts` as a keeper carries them out on a store.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Identity } from "../../src/control/identity.ts";
import { LeaseKeeper } from "../../src/control/lease_keeper.ts";
import { LeaseLost } from "../../src/model/errors.ts";
import { describeSubnets, type Lease } from "../../src/model/lease.ts";
import { decodeRecord, encodeRecord, formatLeaseKey } from "../../src/model/lease_codec.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { MemoryCluster, type MemoryStore } from "../../src/store/rows/memory.ts";
import { isLost, type Look, type Lost, type Store, StoreUnavailable } from "../../src/store/store.ts";
import { FakeClock, seededRandom } from "../support/clock.ts";
import { lease } from "../support/hosts.ts";
import { claimant, MemoryPlace } from "../support/identity.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function marked(name: string, address: string, mac: string): Lease {
  const { host, run } = claimant(name);
  const plain = lease("10.1.15.0/24", address, mac);
  return { ...plain, record: { ...plain.record, mark: { host, run, turn: 1, after: null } } };
}

const own = marked("own", "192.168.64.11", "02:00:00:00:00:11");
const other = marked("other", "192.168.64.12", "02:00:00:00:00:12");

/** Publishes a change, which the store answers with `lost`, and then shows `found`; what was written afterwards. */
async function publishing(lost: Lost, found: Look["found"]): Promise<string[]> {
  const clock = new FakeClock();
  const written: string[] = [];
  let looks = 0;
  const stands = (how: string, record = own.record) => {
    written.push(how);
    return Promise.resolve({ ...own, record, version: `${++looks}` });
  };
  const store = {
    look: () =>
      Promise.resolve(looks++ === 0 ? { found: own, asWritten: true } : { found, asWritten: false }),
    publish: (_: Lease, record: Lease["record"]) =>
      looks === 1 ? Promise.resolve(lost) : stands("write", record),
    create: (_: unknown, record: Lease["record"]) => stands("create", record),
    release: () => Promise.resolve(),
    acquire: () => stands("acquire"),
  } as unknown as Store;
  const random = seededRandom(1);
  const place = new MemoryPlace();
  place.text = `{"Host":"${own.record.mark!.host}"}`;
  const keeper = new LeaseKeeper(own, {
    store,
    clock,
    random,
    log: quiet,
    marginMs: 1_000,
    onLost: "exit",
    identity: await Identity.open([place], random, quiet),
    config: () => parseNetworkConfig('{"Network": "10.1.0.0/16"}'),
    occupied: () => Promise.resolve([]),
    moved: () => {},
    renamed: () => Promise.resolve(),
    leases: () => [],
    proven: () => {},
  });
  const { mark: _, ...record } = own.record;
  keeper.publish({ ...record, backendData: { VNI: 1, VtepMAC: "02:00:00:00:00:99" } });
  const stop = new AbortController();
  const running = keeper.run(stop.signal);
  running.catch(() => {});
  await clock.advance(5_000);
  stop.abort();
  await running;
  return written;
}

Deno.test("keeper: what nobody has is made again, with what there was to say", async () => {
  assertEquals((await publishing({ lost: "absent" }, null))[0], "create");
});

Deno.test("keeper: what only a process in our name wrote meanwhile is written again", async () => {
  assertEquals((await publishing({ lost: "taken", by: own.record }, { ...own, version: "9" }))[0], "write");
});

Deno.test("keeper: another host's record, or one that can't be read, ends the run where that is asked for", async () => {
  await assertRejects(
    () => publishing({ lost: "taken", by: other.record }, other),
    LeaseLost,
    "192.168.64.12",
  );
  const broken = { key: "10.1.15.0-24", subnets: own.subnets, reason: "broken" };
  await assertRejects(() => publishing({ lost: "taken" }, broken), LeaseLost, "can't be read (broken)");
});

/** A host with its keeper, on a store in memory. */
interface Kept extends AsyncDisposable {
  readonly place: MemoryPlace;
  readonly store: MemoryStore;
  readonly keeper: LeaseKeeper;
  readonly lines: string[];
  /** What the keeper said of itself to others. */
  readonly told: string[];
  readonly identity: Identity;
}

interface Cluster {
  readonly clock: FakeClock;
  readonly memory: MemoryCluster;
  /** @param wrap what of the store's is done otherwise */
  host(
    name: string,
    address: string,
    wrap?: (store: MemoryStore) => Partial<Store>,
    renamed?: () => Promise<void>,
  ): Promise<Kept>;
}

const config = parseNetworkConfig('{"Network": "10.1.0.0/16"}');

function openCluster(): Cluster {
  const clock = new FakeClock();
  const memory = new MemoryCluster(clock);
  let seed = 1;
  const host: Cluster["host"] = async (
    name,
    address,
    wrap = () => ({}),
    renamed = () => Promise.resolve(),
  ) => {
    const random = seededRandom(seed++);
    const store = memory.store({ random });
    const place = new MemoryPlace(name);
    const [lines, told]: [string[], string[]] = [[], []];
    const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
    const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
    const identity = await Identity.open([place], random, log);
    const record = lease("10.1.15.0/24", address, "02:00:00:00:00:11").record;
    const claim = { config, self: identity.claimant(), record, previous: { v4: null, v6: null } };
    const stop = new AbortController();
    const taken = await clock.drive(store.acquire(claim, stop.signal));
    const leases = new Map<string, Lease>();
    const wrapped = wrap(store);
    const keeper = new LeaseKeeper(taken, {
      store: new Proxy(store, {
        get: (_, key) => {
          if (key in wrapped) return wrapped[key as keyof Store];
          const member = store[key as keyof MemoryStore];
          return typeof member === "function" ? (member as () => unknown).bind(store) : member;
        },
      }),
      clock,
      random,
      log,
      marginMs: 3_600_000,
      onLost: "reacquire",
      identity,
      config: () => config,
      occupied: () => Promise.resolve([]),
      moved: ({ subnets }) => void told.push(`moved to ${describeSubnets(subnets)}`),
      renamed: async () => {
        await renamed();
        told.push("renamed");
      },
      leases: () => [...leases.values()],
      proven: () => void told.push("proven"),
    });
    const watching = (async () => {
      for await (const event of store.watch(stop.signal)) {
        if (event.type === "snapshot") {
          leases.clear();
          for (const each of event.leases) leases.set(describeSubnets(each.subnets), each);
        } else if (event.type === "put") leases.set(describeSubnets(event.lease.subnets), event.lease);
        else if (event.type === "delete") leases.delete(describeSubnets(event.subnets));
        keeper.observe(event);
      }
    })();
    const running = keeper.run(stop.signal);
    const dispose = async () => {
      stop.abort();
      await Promise.all([running, watching]);
      await store[Symbol.asyncDispose]();
    };
    return { place, store, keeper, lines, told, identity, [Symbol.asyncDispose]: dispose };
  };
  return { clock, memory, host };
}

const keyOf = ({ keeper }: Kept) => formatLeaseKey(keeper.lease.subnets);
const standing = ({ memory }: Cluster, key: string) => decodeRecord(memory.get(key)!);

Deno.test("keeper: a subnet that is had without a trial is remembered at once, and nothing is written", async () => {
  const cluster = openCluster();
  await using own = await cluster.host("own", "192.168.64.11");
  await cluster.clock.advance(0);
  assertEquals(own.place.text, `{"Host":"${own.identity.host}","Subnets":"${keyOf(own)}"}\n`);
  const before = cluster.memory.get(keyOf(own));
  await cluster.clock.advance(3_600_000);
  assertEquals([cluster.memory.get(keyOf(own)), own.told, own.identity.isNew], [before, [], false]);
});

Deno.test("keeper: a trial is over after fifteen seconds of unbroken contact, and remembered only then", async () => {
  const cluster = openCluster();
  const { clock, memory } = cluster;
  const gone = marked("gone", "192.168.64.11", "02:00:00:00:00:12");
  memory.put("10.1.15.0-24", encodeRecord(gone.record), 86_400_000);
  await using own = await cluster.host("own", "192.168.64.11");
  const { host: after } = gone.record.mark!;
  assertEquals([keyOf(own), standing(cluster, "10.1.15.0-24").mark?.after], ["10.1.15.0-24", after]);
  await clock.advance(14_000);
  assert(own.keeper.onTrial && own.identity.isNew);
  // Whoever is cut off could not hear an objection: it begins anew.
  own.keeper.observe({ type: "resumed" });
  await clock.advance(14_000);
  assert(own.keeper.onTrial && own.identity.isNew);
  assertEquals([own.told, standing(cluster, "10.1.15.0-24").mark?.after], [[], after]);
  await clock.advance(1_500);
  assert(!own.keeper.onTrial);
  assertEquals([own.told, own.identity.subnets], [["proven"], gone.subnets]);
  const { mark } = standing(cluster, "10.1.15.0-24");
  assertEquals(mark, { host: own.identity.host, run: own.identity.run, turn: 1, after: null });
});

Deno.test("keeper: an owner that lives takes its subnet back from a trial; the other draws, with its id, and tries no more", async () => {
  const cluster = openCluster();
  const { clock } = cluster;
  await using own = await cluster.host("own", "192.168.64.11");
  await clock.advance(1_000);
  const [key, mark] = [keyOf(own), own.keeper.lease.record.mark];
  await using other = await cluster.host("other", "192.168.64.11");
  const { host } = other.identity;
  await clock.advance(5_000);
  assertEquals([keyOf(own), standing(cluster, key).mark], [key, mark]);
  assertEquals(own.lines.filter((line) => line.startsWith("error")).length, 1, own.lines.join("\n"));
  assert(keyOf(other) !== key);
  assertEquals([other.told, other.identity.host], [[
    `moved to ${describeSubnets(other.keeper.lease.subnets)}`,
  ], host]);
  assertEquals(other.identity.claimant().passed.map(describeSubnets), [
    describeSubnets(own.keeper.lease.subnets),
  ]);
  const settled = [cluster.memory.get(key), cluster.memory.get(keyOf(other))];
  await clock.advance(3_600_000);
  assertEquals([cluster.memory.get(key), cluster.memory.get(keyOf(other))], settled);
  assertEquals([own.told, other.told.length], [[], 1]);
});

Deno.test("keeper: a renewal that was done without a reply is no copy's doing", async () => {
  const cluster = openCluster();
  const { clock } = cluster;
  let renewals = 0;
  // As etcd's v2 API: to renew is to write the record again.
  await using own = await cluster.host("own", "192.168.64.11", (store) => ({
    async renew(known) {
      const written = await store.publish(known, known.record);
      if (renewals++ === 0) throw new StoreUnavailable("no reply");
      return written;
    },
  }));
  const { mark } = own.keeper.lease.record;
  const key = keyOf(own);
  await clock.advance(24 * 3_600_000);
  assert(renewals > 0);
  assertEquals([keyOf(own), standing(cluster, key).mark, own.told], [key, mark, []]);
  assertEquals(own.lines.filter((line) => line.startsWith("error")), []);
  // And a copy's is, afterwards as before.
  const stands = own.keeper.lease;
  const written = await own.store.publish(stands, stands.record);
  assert(!isLost(written));
  own.keeper.observe({ type: "put", lease: written });
  await clock.advance(5_000);
  const now = standing(cluster, key).mark!;
  assertEquals([now.host, now.turn], [mark!.host, mark!.turn + 1]);
  assert(now.run !== mark!.run && now.run === own.identity.run);
  assertEquals(own.lines.filter((line) => line.startsWith("error")).length, 1, own.lines.join("\n"));
});

Deno.test("keeper: an id that another had first is given up, and the subnet kept; a MAC that can't follow at once follows later", async () => {
  const cluster = openCluster();
  const { clock, memory } = cluster;
  const elder = marked("elder", "192.168.64.12", "02:00:00:00:00:12");
  memory.put("10.1.99.0-24", encodeRecord(elder.record), 86_400_000);
  let busy = 2;
  const renamed = () => busy-- > 0 ? Promise.reject(new Error("no buffer space")) : Promise.resolve();
  await using own = await cluster.host("own", "192.168.64.11", undefined, renamed);
  await clock.advance(1_000);
  const [key, before] = [keyOf(own), own.identity.host];
  const twin = { ...elder.record, mark: { ...elder.record.mark!, host: before } };
  memory.put("10.1.99.0-24", encodeRecord(twin), 86_400_000);
  await clock.advance(500);
  assert(own.identity.host !== before);
  assertEquals([keyOf(own), standing(cluster, key).mark?.host], [key, own.identity.host]);
  assertEquals(JSON.parse(own.place.text!).Host, own.identity.host);
  assertEquals(own.told, []);
  await clock.advance(60_000);
  assertEquals([busy, own.told], [-1, ["renamed"]]);
  assertEquals(own.lines.filter((line) => line.includes("no buffer space")).length, 1, own.lines.join("\n"));
  const settled = memory.get(key);
  await clock.advance(3_600_000);
  assertEquals([memory.get(key), own.told, keyOf(own)], [settled, ["renamed"], key]);
});

Deno.test("keeper: a copy that writes again and again is answered less and less often; meanwhile the lease is not held", async () => {
  const cluster = openCluster();
  const { clock } = cluster;
  await using own = await cluster.host("own", "192.168.64.11");
  const key = keyOf(own);
  const answers: number[] = [];
  let waited = 0;
  for (let second = 0; second < 120; second++) {
    const { mark } = standing(cluster, key);
    if (mark?.run === own.identity.run) {
      answers.push(second);
      const copy = {
        ...own.keeper.lease.record,
        mark: { ...mark!, run: "c".repeat(16), turn: mark!.turn + 1 },
      };
      cluster.memory.put(key, encodeRecord(copy), 86_400_000);
    }
    await clock.advance(1_000);
    if (!own.keeper.held) waited++;
  }
  assert(answers.length >= 4 && answers.length <= 9, answers.join(" "));
  assert(waited > 60, `not held in ${waited} of 120 seconds`);
  await clock.advance(70_000);
  assertEquals([own.keeper.held, standing(cluster, key).mark?.run], [true, own.identity.run]);
});

Deno.test("keeper: a trial that a restored store has undone begins anew, with the same subnet", async () => {
  const cluster = openCluster();
  const { clock, memory } = cluster;
  const before = encodeRecord(marked("gone", "192.168.64.11", "02:00:00:00:00:12").record);
  memory.put("10.1.15.0-24", before, 86_400_000);
  await using own = await cluster.host("own", "192.168.64.11");
  await clock.advance(10_000);
  assert(own.keeper.onTrial);
  own.keeper.observe({ type: "outage", error: "restored" });
  memory.put("10.1.15.0-24", before, 86_400_000);
  own.keeper.observe({ type: "recovered" });
  await clock.advance(14_000);
  const after = claimant("gone").host;
  assertEquals([own.keeper.onTrial, standing(cluster, "10.1.15.0-24").mark?.after], [true, after]);
  await clock.advance(3_000);
  assertEquals([keyOf(own), own.told, own.keeper.onTrial], ["10.1.15.0-24", ["proven"], false]);
});

Deno.test("keeper: whatever the wait for a store that did not answer, it is asked when it answers again", async () => {
  const cluster = openCluster();
  const { clock, memory } = cluster;
  let away = false;
  await using own = await cluster.host("own", "192.168.64.11", (store) => ({
    look: (known) => away ? Promise.reject(new StoreUnavailable("no quorum")) : store.look(known),
  }));
  await clock.advance(1_000);
  const key = keyOf(own);
  away = true;
  memory.delete(key);
  // Twelve waits: the last ones take a minute.
  await clock.advance(600_000);
  away = false;
  own.keeper.observe({ type: "recovered" });
  await clock.advance(100);
  assertEquals(standing(cluster, key).mark?.host, own.identity.host);
});

Deno.test("keeper: of two hosts whose subnets overlap under two keys the younger gives way, once both are known to be two", async () => {
  const cluster = openCluster();
  const { clock, memory } = cluster;
  await using own = await cluster.host("own", "192.168.64.11");
  await clock.advance(1_000);
  const key = keyOf(own);
  const wider = key.replace(/-24$/, "-23").replace(/\.(\d+)\.0-/, (_, n) => `.${Number(n) & ~1}.0-`);
  const of = (host: string) => {
    const { record } = marked("elder", "192.168.64.12", "02:00:00:00:00:12");
    return encodeRecord({ ...record, mark: { ...record.mark!, host } });
  };
  // A younger one that overlaps ours is its host's to give up.
  memory.put(wider, of("e".repeat(32)), 86_400_000);
  await clock.advance(1_000);
  assertEquals([keyOf(own), own.told], [key, []]);
  // With our id it is ours, and then a copy's: the copy that holds it is older than what we make again.
  memory.delete(wider);
  memory.delete(key);
  memory.put(wider, of(own.identity.host), 86_400_000);
  await clock.advance(5_000);
  assertEquals(own.told, ["renamed", `moved to ${describeSubnets(own.keeper.lease.subnets)}`]);
});

Deno.test("keeper: an id that is changed is followed although the write that says so came to nothing", async () => {
  const cluster = openCluster();
  const { clock, memory } = cluster;
  let spoilt = false;
  await using own = await cluster.host("own", "192.168.64.11", (store) => ({
    publish(over, record) {
      // Somebody makes our record unreadable just before it is written.
      if (!spoilt) memory.put(formatLeaseKey(over.subnets), "{", 86_400_000);
      spoilt = true;
      return store.publish(over, record);
    },
  }));
  await clock.advance(1_000);
  const before = own.identity.host;
  const twin = marked("elder", "192.168.64.12", "02:00:00:00:00:12").record;
  memory.delete(keyOf(own));
  memory.put("10.1.99.0-24", encodeRecord({ ...twin, mark: { ...twin.mark!, host: before } }), 86_400_000);
  await clock.advance(60_000);
  assert(spoilt && own.identity.host !== before);
  assertEquals(own.told.filter((what) => what === "renamed"), ["renamed"], own.lines.join("\n"));
});
