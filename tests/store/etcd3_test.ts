/** What the etcd store does beyond what every store does: keys and bytes, etcd leases, the configuration's wording, sizes. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UsageError } from "../../src/model/errors.ts";
import type { Lease } from "../../src/model/lease.ts";
import { openV3Store, type V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { connectV3 } from "../../src/store/etcd/v3/client.ts";
import { connectOptions, type EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import { isLost, type Lost } from "../../src/store/store.ts";
import { EtcdCluster, fastDirectory, freePorts } from "../support/etcd.ts";
import { say } from "../support/process.ts";
import { etcdHarness, etcdTest, flags, leaseOf, recordingLog, remaining } from "./etcd3_harness.ts";
import {
  claim,
  isDelete,
  isPut,
  isUnreadable,
  keyOf,
  ours,
  ownValue,
  Reader,
  soon,
  subnets,
  value,
  watch,
} from "./harness.ts";

const A = "192.168.0.1";
const B = "192.168.0.2";

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await EtcdCluster.start();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

/** A test with a prefix of its own. */
function test(name: string, body: (prefix: string) => Promise<void>): void {
  etcdTest(`etcd3: ${name}`, () => body(`/test/${tests++}`));
}

function open(prefix: string, other: Partial<EtcdStoreFlags> = {}): Promise<V3Store> {
  return openV3Store(flags(etcd.endpoints, { prefix, ...other }));
}

function held(result: Lease | Lost): Lease {
  assert(!isLost(result), Deno.inspect(result));
  return result;
}

async function leaseCount(): Promise<number> {
  return (await etcd.ctl("lease", "list")).split("\n").filter((line) => /^[0-9a-f]{8,}$/.test(line)).length;
}

test("key and value are upstream's, byte for byte, with our mark at the end", async (prefix) => {
  await using store = await open(`/${prefix}//`);
  await store.acquire(claim(A, undefined, subnets("10.3.7.0-24")), soon());
  const stored = await etcd.ctl("get", "--prefix", prefix);
  assertEquals(stored, `${prefix}/subnets/10.3.7.0-24\n${ownValue(A)}\n`);
  assert(stored.includes(value(A).slice(0, -1)));
});

test("the store says which subnet it had before", async (prefix) => {
  await using fresh = await open(prefix);
  assertEquals(fresh.name, "Etcd Local Manager with Previous Subnet: None");
  await using again = await open(prefix, { previous: subnets("10.3.7.0-24") });
  assertEquals(again.name, "Etcd Local Manager with Previous Subnet: 10.3.7.0/24");
});

test("renewing uses one etcd lease, for ever, and leaves the record as it is", async (prefix) => {
  await using store = await open(prefix);
  let lease = await store.acquire(claim(A), soon());
  const key = `${prefix}/subnets/${keyOf(lease)}`;
  const [count, id] = [await leaseCount(), await leaseOf(etcd, key)];
  const before = await etcd.ctl("get", "-w", "json", key);
  for (let i = 0; i < 5; i++) lease = held(await store.renew(lease));
  assertEquals([await leaseCount(), await leaseOf(etcd, key)], [count, id]);
  const modified = (json: string) => JSON.parse(json).kvs[0].mod_revision;
  assertEquals(modified(await etcd.ctl("get", "-w", "json", key)), modified(before));
  lease = held(await store.publish(lease, ours(A, "02:00:00:00:00:99")));
  assertEquals([await leaseCount(), await leaseOf(etcd, key)], [count, id]);
});

test("a lost race leaves no etcd lease behind", async (prefix) => {
  await using store = await open(prefix);
  await store.acquire(claim(A), soon());
  const before = await leaseCount();
  const stores = await Promise.all(Array.from({ length: 8 }, () => open(prefix)));
  const wanted = subnets("10.3.7.0-24");
  await Promise.all(stores.map((s, i) => s.acquire(claim(`192.168.3.${i}`, undefined, wanted), soon())));
  assertEquals(await leaseCount(), before + 8);
  for (const s of stores) await s[Symbol.asyncDispose]();
});

test("a record under a lease of another length moves to one of ours", async (prefix) => {
  const { raw } = etcdHarness(etcd, prefix);
  await raw.put("10.3.9.0-24", value(A), 600_000);
  await using store = await open(prefix);
  const lease = await store.acquire(claim(A), soon());
  assertEquals(keyOf(lease), "10.3.9.0-24");
  const left = await remaining(etcd, `${prefix}/subnets/10.3.9.0-24`);
  assert(left !== null && left > 86_000_000, `${left}`);
});

test("a lease that an operator turns into a reservation becomes one", async (prefix) => {
  const { raw } = etcdHarness(etcd, prefix);
  await using store = await open(prefix);
  const lease = await store.acquire(claim(A), soon());
  await raw.put(keyOf(lease), (await raw.get(keyOf(lease)))!);
  // Whoever wrote it, it was not us: the next look is at what stands.
  assertEquals(await store.renew(lease), { lost: "taken", by: lease.record });
  const { found, asWritten } = await store.look(lease);
  assert(!asWritten && found !== null && "record" in found && found.expires === null);
  const published = held(await store.publish(found, ours(A, "02:00:00:00:00:99")));
  assertEquals([published.expires, held(await store.renew(published)).expires], [null, null]);
  assertEquals(await raw.ttl(keyOf(lease)), null);
});

test("etcd writes and deletes on the condition of the revision and of the value", async (prefix) => {
  const key = `${prefix}/subnets/10.3.7.0-24`;
  const remote = connectV3(connectOptions(flags(etcd.endpoints)));
  try {
    const odd = `${value(A)} & ü;=%?"`;
    await etcd.ctl("put", key, odd);
    const expect = (await remote.range({ key, end: null })).kvs[0]!.modRevision;
    for (const put of [{ value: "new", lease: "0" }, null]) {
      for (const wrong of [value(A), "", `${odd} `]) {
        const refused = await remote.write({ key, expect, expectValue: wrong, put });
        assertEquals([refused.succeeded, refused.current?.value], [false, odd]);
      }
    }
    const late = await remote.write({ key, expect: expect - 1, expectValue: odd, put: null });
    assertEquals([late.succeeded, late.current?.value], [false, odd]);
    const put = { value: "new", lease: "0" };
    assert((await remote.write({ key, expect, expectValue: odd, put })).succeeded);
    assertEquals(await etcd.ctl("get", "--print-value-only", key), "new\n");
  } finally {
    await remote.close();
  }
});

test("keys that only begin like ours are not ours", async (prefix) => {
  const { raw } = etcdHarness(etcd, prefix);
  await using store = await open(prefix);
  await using events = watch(store);
  const lease = await store.acquire(claim(A), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  await etcd.ctl("put", `${prefix}/subnets-of-mine/10.3.8.0-24`, value(B));
  await etcd.ctl("put", `${prefix}/subnetsx`, "x");
  const longer = `${keyOf(lease)}&fd00::-64`;
  await raw.put(longer, value(B));
  await events.until("the longer key", isPut(longer));
  await raw.delete(longer);
  await events.until("its end", isDelete(longer));
  assert(!isLost(await store.renew(lease)));
  await raw.put("nested/10.3.8.0-24", value(B));
  await events.until("a path is no lease", isUnreadable("nested/10.3.8.0-24"));
  assertEquals(events.seen.length, 5, Deno.inspect(events.seen));
});

test("without a configuration we say so in upstream's words, with the command that makes one", async (prefix) => {
  await using store = await open(prefix);
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const reading = await readings.until("the problem", () => true);
  assert(reading.type === "problem" && !reading.refused);
  const wording = "flannel config not found in etcd store. Did you create your config using etcdv3 API?";
  assertStringIncludes(reading.error, wording);
  const [, key, text] = /etcdctl put (\S+) '(.*)'$/.exec(reading.error)!;
  await etcd.ctl("put", key!, text!);
  await readings.until("the configuration", ({ type }) => type === "config");
});

test("malformed endpoints are refused, without repeating a password", async (prefix) => {
  const cases: [string, string][] = [
    ["", "no endpoint in it"],
    [" , ", "no endpoint in it"],
    ["ftp://127.0.0.1:2379", 'unknown scheme "ftp"'],
    ["http://127.0.0.1:99999", "not a host and a port"],
    ["http://127.0.0.1:2379/v2", "not a host and a port"],
    ["http://me:s3cret@127.0.0.1:2379", "holds a user or password"],
  ];
  for (const [endpoints, says] of cases) {
    const error = await assertRejects(() => open(prefix, { endpoints }), UsageError);
    assertStringIncludes(error.message, says);
    assert(!error.message.includes("s3cret"));
  }
});

etcdTest("etcd3: a socket of the file system, and an IPv6 address", async () => {
  const directory = await fastDirectory();
  const [port] = freePorts(1);
  // etcd makes its sockets in its working directory.
  const places = `--listen-client-urls=unix://etcd:1,http://[::1]:${port}`;
  await using other = await EtcdCluster.start({
    members: [{ ip: "[::1]", ports: [port!, freePorts(1)[0]!], enter: ["env", "-C", directory] }],
    flags: [places],
  });
  for (const endpoints of [`unix://${directory}/etcd:1`, other.endpoints]) {
    await using store = await openV3Store(flags(endpoints));
    assertEquals((await store.list()).leases, []);
  }
  await Deno.remove(directory, { recursive: true });
});

test("a proxy in the environment is not for etcd", async (prefix) => {
  for (const name of ["http_proxy", "https_proxy", "grpc_proxy"]) Deno.env.set(name, "http://127.0.0.1:1");
  try {
    await using store = await open(prefix);
    assertEquals((await store.list()).leases, []);
  } finally {
    for (const name of ["http_proxy", "https_proxy", "grpc_proxy"]) Deno.env.delete(name);
  }
});

test("plain text to another host is worth a warning, to this host it is not", async (prefix) => {
  const warnings = async (other: Partial<EtcdStoreFlags>) => {
    const lines: string[] = [];
    await (await open(prefix, { ...other, log: recordingLog(lines) }))[Symbol.asyncDispose]();
    return lines;
  };
  assertEquals(await warnings({}), []);
  const far = await warnings({ endpoints: "http://192.0.2.1:2379", username: "u", password: "s3cret" });
  assertStringIncludes(far[0]!, "no certificate provided: connecting to etcd with http. This is insecure");
  assertStringIncludes(far[1]!, "the etcd password goes to");
  assert(!far.join().includes("s3cret"));
});

test("5,000 leases are listed and watched in no time", async (prefix) => {
  for (let high = 0; high < 20; high++) {
    const puts = Array.from({ length: 250 }, (_, low) => {
      const text = value(`172.16.${high}.${low}`).replaceAll('"', '\\"');
      return `put ${prefix}/subnets/10.${high}.${low}.0-24 "${text}"`;
    });
    // etcd takes 128 operations in one transaction.
    for (const part of [puts.slice(0, 125), puts.slice(125)]) await etcd.transact(part);
  }
  await using store = await open(prefix);
  const start = performance.now();
  const listing = await store.list();
  const listed = performance.now();
  assertEquals([listing.leases.length, listing.unreadable.length], [5000, 0]);
  await using events = watch(store);
  await events.until("the snapshot", (event) => event.type === "snapshot" && event.leases.length === 5000);
  const watched = performance.now();
  say(
    `5,000 leases: listed in ${(listed - start).toFixed(0)} ms, watched in ${
      (watched - listed).toFixed(0)
    } ms`,
  );
  assert(watched - start < 5_000);
});
