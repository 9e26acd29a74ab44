/**
 * A daemon that is asked to stop ends within a second, however its store hangs: an etcd that stands still with all its
 * connections open, a database that another process has locked; while it starts, and later while it runs.
 *
 *   h1 ─ eth0 ── 192.168.64.0/24      etcd on h1
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launch, launchReady } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { CONFIG, sqliteArgs } from "../support/overlay.ts";
import { type Process, say } from "../support/process.ts";
import { scenario, scenariosTogether, type Topology } from "../support/topology.ts";

const KEY = "/coreos.com/network/config";
/** Milliseconds from the signal to the end: a second, and as much again for a machine that is busy. */
const PROMPT_MS = 2_000;

async function startEtcd(net: Topology): Promise<EtcdCluster> {
  const { ip, enter } = net.host(1);
  const members = [{ ip, enter, ports: [2379, 2380] as const }];
  return net.use(await EtcdCluster.start({ members, flags: ["--enable-v2"] }));
}

async function configure(etcd: EtcdCluster): Promise<void> {
  await etcd.ctl("put", KEY, JSON.stringify(CONFIG));
  await etcd.ctl2("set", KEY, JSON.stringify(CONFIG));
}

/** Asks it to stop; it must end well, and soon. */
async function endsSoon(daemon: Process, when: string): Promise<void> {
  const start = performance.now();
  assertEquals(await daemon.stop(), 0);
  const ms = Math.round(performance.now() - start);
  say(`asked to stop ${when}: ended after ${ms} ms`);
  assertMatch(daemon.text, /Exiting cleanly/);
  assert(ms < PROMPT_MS, `asked to stop ${when}: ended after ${ms} ms only`);
}

/** One after the other: every stage of a start, then a daemon that runs. */
async function etcdStandsStill(net: Topology, api: string): Promise<void> {
  const etcd = await startEtcd(net);
  const member = etcd.members[0]!;
  const args = ["-etcd-endpoints", etcd.endpoints, `--etcd-api=${api}`, "-v=6"];
  const h1 = net.host(1);
  const say = (when: string) => `with --etcd-api=${api}, ${when}`;
  const thaw = async () => {
    member.thaw();
    await etcd.ready();
  };

  member.freeze();
  const early = launch(h1, args);
  await early.line(/denim flanneld/);
  await endsSoon(early, say("before etcd ever answered"));
  const later = launch(h1, args);
  await later.line(/no answer/);
  await endsSoon(later, say("while it waits for etcd"));
  await thaw();

  const unconfigured = launch(h1, args);
  await unconfigured.line(/Couldn't fetch network config/);
  member.freeze();
  await endsSoon(unconfigured, say("while it waits for a configuration"));
  await thaw();

  await configure(etcd);
  const taking = launch(h1, args);
  await taking.line(/Found network config/);
  member.freeze();
  await endsSoon(taking, say("while it takes a lease"));
  await thaw();

  // So that it is renewed all the time.
  const running = await launchReady(h1, [...args, "-subnet-lease-renew-margin=1439"]);
  member.freeze();
  await endsSoon(running, say("while it runs and has not noticed yet"));
  await thaw();

  const noticed = await launchReady(h1, args);
  member.freeze();
  await noticed.line(/out of reach/, 40_000);
  await endsSoon(noticed, say("while it knows that etcd is out of reach"));
  await thaw();
}

scenariosTogether(
  "stop: etcd stands still: the end comes within a second",
  ["auto", "v3", "v2", "both"].map((api) => [{ hosts: 1 }, (net) => etcdStandsStill(net, api)]),
);

/** Holds the lock of a SQLite file in a process of its own until that is ended. */
async function locking(net: Topology, file: string): Promise<Process> {
  const script = `
    import { DatabaseSync } from "node:sqlite";
    const file = new DatabaseSync(${JSON.stringify(file)});
    file.exec("PRAGMA busy_timeout = 10000; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    console.log("locked");
    setInterval(() => {}, 1000);`;
  const path = `${net.directory}/lock.ts`;
  await Deno.writeTextFile(path, script);
  const locker = net.host(1).start("locker", [Deno.execPath(), "run", "-A", path]);
  await locker.line(/locked/);
  return locker;
}

scenario("stop: SQLite's file is locked: the end comes within a second", { hosts: 1 }, async (net) => {
  const h1 = net.host(1);
  const args = await sqliteArgs(net);
  const file = `${net.directory}/leases.db`;
  await (await launchReady(h1, args)).stop();

  const locker = await locking(net, file);
  const starting = launch(h1, args);
  await starting.line(/denim flanneld/);
  await endsSoon(starting, "while it opens the database");
  await locker.stop("SIGKILL");

  const running = await launchReady(h1, args);
  const script = `
    import { DatabaseSync } from "node:sqlite";
    const file = new DatabaseSync(${JSON.stringify(file)});
    file.exec("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE");
    console.log("locked");
    setInterval(() => {}, 1000);`;
  await Deno.writeTextFile(`${net.directory}/write_lock.ts`, script);
  const writer = h1.start("writer", [Deno.execPath(), "run", "-A", `${net.directory}/write_lock.ts`]);
  await writer.line(/locked/);
  await endsSoon(running, "while another has the lock");
  await writer.stop("SIGKILL");
});
