/** Three etcd members: the one in use is killed, frozen or cut off, and the store goes on with another. */
import { assert, assertEquals } from "@std/assert";
import type { Lease } from "../../src/model/lease.ts";
import { openV3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { isLost, StoreUnavailable } from "../../src/store/store.ts";
import { EtcdCluster, type EtcdMember } from "../support/etcd.ts";
import { run, say } from "../support/process.ts";
import { etcdTest, flags } from "./etcd3_harness.ts";
import { claim, isPut, keyOf, record, soon, watch } from "./harness.ts";

/** The member that our process has connections to. */
async function inUse(etcd: EtcdCluster): Promise<EtcdMember> {
  const table = await run(["ss", "-Htnp", "state", "established"]);
  const ours = table.split("\n").filter((line) => line.includes(`pid=${Deno.pid},`));
  const found = etcd.members.find(({ url }) => ours.some((line) => line.includes(`:${new URL(url).port} `)));
  assert(found !== undefined, table);
  return found;
}

function mac(n: number): string {
  return `02:00:00:00:00:${n.toString(16).padStart(2, "0")}`;
}

async function three(): Promise<EtcdCluster> {
  return await EtcdCluster.start({ members: [{}, {}, {}] });
}

etcdTest("etcd3 cluster: the member in use is killed three times; the watch loses nothing", async () => {
  await using etcd = await three();
  await using store = await openV3Store(flags(etcd.endpoints));
  await using events = watch(store);
  let lease = await store.acquire(claim("192.168.0.1"), soon());
  let written = 0;
  let slowest = 0;
  const write = async () => {
    const start = performance.now();
    const result = await store.publish(lease, record("192.168.0.1", mac(written + 1)));
    assert(!isLost(result), Deno.inspect(result));
    lease = result;
    written++;
    slowest = Math.max(slowest, performance.now() - start);
  };
  for (let kills = 0; kills < 3; kills++) {
    for (let i = 0; i < 10; i++) await write();
    const member = await inUse(etcd);
    await member.kill();
    for (let i = 0; i < 10; i++) await write();
    member.launch();
    await etcd.ready();
  }
  await events.until("the last change", isPut(keyOf(lease), mac(written)));
  const seen = events.seen.flatMap((event) =>
    event.type === "put" ? [(event.lease.record.backendData as { VtepMAC: string }).VtepMAC] : []
  );
  // The first record has the MAC of the first write.
  assertEquals(seen.slice(1), Array.from({ length: written }, (_, i) => mac(i + 1)));
  say(
    `three kills: ${written} of ${seen.length - 1} changes in order, the slowest write took ${
      slowest.toFixed(0)
    } ms`,
  );
});

etcdTest("etcd3 cluster: the member in use freezes; renewing and watching go on", async () => {
  await using etcd = await three();
  await using store = await openV3Store(flags(etcd.endpoints));
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  const member = await inUse(etcd);
  member.freeze();
  const start = performance.now();
  const renewed = await store.renew(lease);
  assert(!isLost(renewed));
  say(`a frozen member: renewed after ${(performance.now() - start).toFixed(0)} ms`);
  const published = await store.publish(renewed, record("192.168.0.1", mac(9)));
  assert(!isLost(published));
  await events.until("the change", isPut(keyOf(lease), mac(9)));
  member.thaw();
});

etcdTest("etcd3 cluster: without a majority there is an outage, not a loss", async () => {
  await using etcd = await three();
  await using store = await openV3Store(flags(etcd.endpoints));
  await using events = watch(store);
  const lease: Lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  const survivor = await inUse(etcd);
  const others = etcd.members.filter((member) => member !== survivor);
  for (const member of others) await member.kill();
  await events.until("the outage", ({ type }) => type === "outage");
  const failure = await store.renew(lease).catch((error: unknown) => error);
  assert(failure instanceof StoreUnavailable, String(failure));
  for (const member of others) member.launch();
  await etcd.ready();
  await events.until("the end of the outage", ({ type }) => type === "recovered");
  assert(!isLost(await store.renew(lease)));
});
