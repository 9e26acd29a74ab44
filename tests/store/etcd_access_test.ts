/**
 * What may change in etcd under daemons that run: users are switched on or off, a role is taken away, a password is changed, a
 * token runs out. Nobody restarts them; each is told within seconds, with what to do, and again when it is over.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Clock } from "../../src/model/clock.ts";
import { type EtcdApi, openEtcd } from "../../src/store/etcd/open.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import { isLost, type StoreEvent } from "../../src/store/store.ts";
import { systemClock } from "../../src/system/clock.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { pause, poll } from "../support/process.ts";
import { raw2, startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags } from "./etcd3_harness.ts";
import { claim, isPut, keyOf, Reader, soon, value, watch } from "./harness.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network": "10.3.0.0/16"}';
const NAME = "overlay";
const PASSWORD = "first password";
const PEER = "10.3.200.0-24";

/** Users as each API has them. */
interface Users {
  start(): Promise<EtcdCluster>;
  /** Makes user and role, and has etcd ask for them. */
  enable(etcd: EtcdCluster): Promise<void>;
  disable(etcd: EtcdCluster): Promise<void>;
  revoke(etcd: EtcdCluster): Promise<void>;
  grant(etcd: EtcdCluster): Promise<void>;
  password(etcd: EtcdCluster, password: string): Promise<void>;
  /** A peer's record, written by root. */
  put(etcd: EtcdCluster, mac: string): Promise<void>;
  readonly says: Readonly<Record<"noUser" | "noRole" | "wrongPassword", RegExp>>;
}

const ROOT3 = "--user=root:r00t";
const v3: Users = {
  async start() {
    const etcd = await startEtcd2({ flags: ["--bcrypt-cost=4"] });
    await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
    return etcd;
  },
  enable: (etcd) => etcd.enableUsers(NAME, PASSWORD, PREFIX),
  disable: async (etcd) => void await etcd.ctl(ROOT3, "auth", "disable"),
  revoke: async (etcd) => void await etcd.ctl(ROOT3, "user", "revoke-role", NAME, "overlay"),
  grant: async (etcd) => void await etcd.ctl(ROOT3, "user", "grant-role", NAME, "overlay"),
  password: async (etcd, password) => {
    await etcd.ctl(ROOT3, "user", "delete", NAME);
    await etcd.ctl(ROOT3, "user", "add", `${NAME}:${password}`);
    await v3.grant(etcd);
  },
  put: async (etcd, mac) => {
    await etcd.ctl(ROOT3, "put", `${PREFIX}/subnets/${PEER}`, value("192.168.0.200", mac));
  },
  says: {
    noUser: /asks for a user and password; give -etcd-username and -etcd-password$/,
    noRole: /permission denied; give the etcd user a role that may read and write below -etcd-prefix$/,
    wrongPassword: /as "overlay": user or password wrong; correct -etcd-username and -etcd-password$/,
  },
};

const ROOT2 = ["--username", "root:r00t"] as const;
const v2: Users = {
  async start() {
    const etcd = await startEtcd2();
    await etcd.ctl2("set", `${PREFIX}/config`, CONFIG);
    return etcd;
  },
  async enable(etcd) {
    await etcd.ctl2("user", "add", "root:r00t");
    await etcd.ctl2("role", "add", "overlay");
    await etcd.ctl2("role", "grant", "overlay", "--readwrite", `--path=${PREFIX}/*`);
    await etcd.ctl2("user", "add", `${NAME}:${PASSWORD}`);
    await etcd.ctl2("user", "grant", NAME, "--roles=overlay");
    await etcd.ctl2("auth", "enable");
    await etcd.ctl2(...ROOT2, "role", "revoke", "guest", "--path=/*", "--readwrite");
  },
  disable: async (etcd) => void await etcd.ctl2(...ROOT2, "auth", "disable"),
  revoke: async (etcd) => void await etcd.ctl2(...ROOT2, "user", "revoke", NAME, "--roles=overlay"),
  grant: async (etcd) => void await etcd.ctl2(...ROOT2, "user", "grant", NAME, "--roles=overlay"),
  password: async (etcd, password) => {
    await etcd.ctl2(...ROOT2, "user", "remove", NAME);
    await etcd.ctl2(...ROOT2, "user", "add", `${NAME}:${password}`);
    await v2.grant(etcd);
  },
  put: async (etcd, mac) => {
    await etcd.ctl2(...ROOT2, "set", `${PREFIX}/subnets/${PEER}`, value("192.168.0.200", mac));
  },
  says: {
    noUser: /asks for a user and password; give -etcd-username and -etcd-password$/,
    noRole: /user or password wrong, or the user may not read and write there; .* give the user a role/,
    wrongPassword: /as "overlay": user or password wrong, or .*; correct -etcd-username and -etcd-password/,
  },
};

const known = { username: NAME, password: PASSWORD };
let mac = 0;

/** Everything works: a change comes, and our lease can be renewed. */
async function works(etcd: EtcdCluster, users: Users, store: Awaited<ReturnType<typeof openEtcd>>) {
  await using events = watch(store);
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  const address = `02:00:00:00:01:${String(++mac).padStart(2, "0")}`;
  await users.put(etcd, address);
  await events.until("a change", isPut(PEER, address));
}

type Step = (etcd: EtcdCluster) => Promise<void>;

/** A clock that can be set forward: what is looked at every minute is looked at soon. */
class LeapingClock implements Clock {
  readonly #real = systemClock();
  #ahead = 0;
  wall = () => this.#real.wall();
  boot = () => this.#real.boot() + this.#ahead;
  sleep = (ms: number, signal?: AbortSignal) => this.#real.sleep(ms, signal);
  leap = (ms: number) => this.#ahead += ms;
}

/** One thing happens to a store that runs: it is told as `says`, and once it is undone told as over. */
async function change(
  api: EtcdApi,
  users: Users,
  given: Partial<EtcdStoreFlags>,
  { before, fault, says, cure }: { before?: Step; fault: Step; says: RegExp; cure: Step },
): Promise<void> {
  await using etcd = await users.start();
  await before?.(etcd);
  const clock = new LeapingClock();
  await using store = await openEtcd(api, flags(etcd.endpoints, { ...given, clock }), soon());
  await using events = watch(store);
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  await readings.until("the configuration", ({ type }) => type === "config");
  await fault(etcd);
  clock.leap(60_000);
  const outage = await events.until("the refusal", ({ type }) => type === "outage");
  assert(outage.type === "outage" && outage.refused === true, Deno.inspect(outage));
  assertMatch(outage.error, says);
  assert(!outage.error.includes(PASSWORD));
  // On a busy machine a connection that broke was told first, once: what is asked here is whether the refusal is told.
  await readings.until("the problem", (reading) => reading.type === "problem" && says.test(reading.error));
  await cure(etcd);
  await events.until("its end", ({ type }) => type === "recovered");
  assert(!isLost(await store.renew(lease)));
  assertEquals(kinds(events.seen).filter((type) => type === "outage"), ["outage"]);
  const last = readings.seen.length;
  await readings.until("the configuration again", (r) => r.type === "config" && readings.seen.indexOf(r) > 0);
  assert(readings.seen.length >= Math.min(last, 3));
}

function kinds(events: readonly StoreEvent[]): string[] {
  return events.map(({ type }) => type);
}

for (const [api, users] of Object.entries({ v3, v2 }) as ["v3" | "v2", Users][]) {
  etcdTest(`etcd access: ${api}: users are switched on, and we have none`, () =>
    change(api, users, {}, {
      fault: users.enable,
      says: users.says.noUser,
      cure: users.disable,
    }));

  etcdTest(`etcd access: ${api}: our role is taken away`, () =>
    change(api, users, known, {
      before: users.enable,
      fault: users.revoke,
      says: users.says.noRole,
      cure: users.grant,
    }));

  etcdTest(`etcd access: ${api}: our password is changed`, () =>
    change(api, users, known, {
      before: users.enable,
      fault: (etcd) => users.password(etcd, "another password"),
      says: users.says.wrongPassword,
      cure: (etcd) => users.password(etcd, PASSWORD),
    }));

  etcdTest(
    `etcd access: ${api}: users are switched on and off, and we have the right one: nothing to tell`,
    async () => {
      await using etcd = await users.start();
      await using store = await openEtcd(api, flags(etcd.endpoints, known), soon());
      await using events = watch(store);
      await events.until("a snapshot", ({ type }) => type === "snapshot");
      const lease = await store.acquire(claim("192.168.0.1"), soon());
      await events.until("our lease", isPut(keyOf(lease)));
      await users.enable(etcd);
      await works(etcd, users, store);
      const renewed = await store.renew(lease);
      assert(!isLost(renewed));
      await users.disable(etcd);
      await users.put(etcd, "02:00:00:00:02:00").catch(() => {});
      assert(!isLost(await store.renew(renewed)));
      assertEquals(events.seen.filter(({ type }) => type === "outage"), []);
    },
  );
}

etcdTest(
  "etcd access: v3: a token that runs out while nothing happens is replaced, and nothing is told",
  async () => {
    await using etcd = await startEtcd2({ flags: ["--auth-token-ttl=1", "--bcrypt-cost=4"] });
    await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
    await v3.enable(etcd);
    await using store = await openEtcd("v3", flags(etcd.endpoints, known), soon());
    await using events = watch(store);
    await events.until("a snapshot", ({ type }) => type === "snapshot");
    // Time is what is tested: longer than the token lives and than the pause between two looks.
    await pause(10_500);
    await works(etcd, v3, store);
    assert(!kinds(events.seen).includes("outage"), kinds(events.seen).join());
  },
);

/** How many writes the cluster has agreed on, each with an fsync on every member. */
async function proposals({ endpoints }: EtcdCluster): Promise<number> {
  const metrics = await (await fetch(`${endpoints}/metrics`)).text();
  return Number(/^etcd_server_proposals_committed_total (\S+)$/m.exec(metrics)![1]);
}

/** Waits until etcd is done with what it writes at its start. */
async function settled(etcd: EtcdCluster): Promise<number> {
  let [last, since] = [-1, performance.now()];
  return await poll("etcd to write nothing for two seconds", 30_000, async () => {
    const now = await proposals(etcd);
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > 2_000 && now;
  });
}

etcdTest("etcd access: v2: a daemon that only watches costs etcd no writes", async () => {
  await using etcd = await v2.start();
  await raw2(etcd, PREFIX).put("10.3.7.0-24", value("192.168.0.7"));
  await settled(etcd);
  await using store = await openEtcd("v2", flags(etcd.endpoints), soon());
  await using events = watch(store);
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await readings.until("the configuration", ({ type }) => type === "config");
  const before = await proposals(etcd);
  // Time is what is tested: two of the looks whether the member lives, has a leader and lets us read.
  await pause(17_500);
  assertEquals(await proposals(etcd) - before, 0);
});
