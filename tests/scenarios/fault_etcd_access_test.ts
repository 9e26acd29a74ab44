/**
 * What lets the daemon into etcd runs out or is replaced while it runs: a token of etcd's users, and certificates on disk, in
 * the right order and in the wrong one. Nobody restarts a daemon, and nothing is lost.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *   etcd on h1
 */
import { assert, assertRejects, assertStringIncludes } from "@std/assert";
import type { Identity } from "../support/certs.ts";
import { health, launchReady } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { followed, ghost } from "../support/ghosts.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { CONFIG } from "../support/overlay.ts";
import type { Place } from "../support/netns.ts";
import { pause, type Process, run, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";

const PREFIX = "/coreos.com/network";
const ROOT = "--user=root:r00t";
const PASSWORD = "hunter2-of-overlay";
/** Seconds that a token lives without being used. */
const TOKEN_TTL = 2;
/** Milliseconds within which a new token is at hand: less than a call to etcd is given. */
const PROMPT = 3_500;

async function tokenRunsOut(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const members = [{ ip: h1.ip, enter: h1.enter, ports: [2379, 2380] as const }];
  const limits = [`--auth-token-ttl=${TOKEN_TTL}`, "--bcrypt-cost=4"];
  const etcd = net.use(await EtcdCluster.start({ members, flags: limits }));
  await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify(CONFIG));
  await etcd.enableUsers("overlay", PASSWORD, PREFIX);
  const args = ["-etcd-endpoints", etcd.endpoints, "-etcd-username=overlay", "-v=6", "-healthz-port=300"];
  const options = { env: { FLANNELD_ETCD_PASSWORD: PASSWORD } };
  const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, args, options)));
  const traffic = await SteadyTraffic.start(net, h1, h2);
  // Here time itself is the fault: nobody may use the tokens for so long.
  await pause((TOKEN_TTL + 2) * 1000);
  const begun = daemons.map((daemon) => daemon.lines.length);
  await touchAll(etcd);
  const start = performance.now();
  await Promise.all(
    daemons.map((daemon, i) => daemon.line(/our record for .* was written in our name/, 20_000, begun[i])),
  );
  const ms = Math.round(performance.now() - start);
  say(`tokens ran out: leases written again after ${ms} ms`);
  assert(ms < PROMPT, `tokens ran out: ${ms} ms until anybody wrote again`);
  await etcd.ctl(ROOT, "put", ...ghost(101));
  await followed(net.hosts, 101);
  await traffic.stopWhole("tokens ran out");
  for (const [i, host] of net.hosts.entries()) await keepsToItself(host, daemons[i]!);
}

/** Nobody else on the host learns the password or gets into the process: not from its output, the process list or a port. */
async function keepsToItself(host: Place, daemon: Process): Promise<void> {
  Deno.kill(daemon.pid, "SIGUSR1");
  const places = {
    output: daemon.text,
    "process list": await host.run(["ps", "-eo", "args"]),
    metrics: (await health(host, "/metrics")).body,
    health: (await health(host, "/healthz")).body,
  };
  assertStringIncludes(places.output, "etcd-username");
  for (const [place, text] of Object.entries(places)) assert(!text.includes(PASSWORD), `${place}: ${text}`);
  const listening = await host.run(["ss", "-Hltn"]);
  assert(!listening.includes(":9229"), `SIGUSR1 has opened the inspector: ${listening}`);
  assert(daemon.running);
}

/** Changes every record in a way that means nothing, so that its host has to write. */
async function touchAll(etcd: EtcdCluster): Promise<void> {
  const text = await etcd.ctl(ROOT, "get", "--prefix", `${PREFIX}/subnets/`);
  const lines = text.trim().split("\n");
  for (let i = 0; i < lines.length; i += 2) {
    const value = JSON.stringify({ ...JSON.parse(lines[i + 1]!), Note: "touched" });
    await etcd.ctl(ROOT, "put", "--ignore-lease", lines[i]!, value);
  }
}

async function certificatesReplaced(net: Topology): Promise<void> {
  const etcd = await HostEtcd.start(net, [1]);
  await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify(CONFIG));
  const own = await copies(net, "own", etcd.client);
  const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, etcd.flags(own))));
  const traffic = await SteadyTraffic.start(net, net.host(1), net.host(2));
  const old = await copies(net, "old", etcd.client);

  // As one does it: first whoever connects, who trusts both authorities then.
  await etcd.rotate();
  await Deno.writeTextFile(own.ca, await Deno.readTextFile(old.ca) + await Deno.readTextFile(etcd.client.ca));
  await give(own, etcd.client);
  await etcd.kill(1);
  let start = performance.now();
  await etcd.restart(1);
  await assertRejects(() => etcdctlWith(net, { ...old, ca: own.ca }), Error, "TransientFailure");
  await etcdctlWith(net, own);
  await etcd.ctl("put", ...ghost(101));
  await followed(net.hosts, 101);
  say(
    `certificates replaced: a new peer is known ${
      Math.round(performance.now() - start)
    } ms after the restart`,
  );

  // As it happens: etcd first, so that everybody is refused until the files come.
  await etcd.rotate();
  await etcd.kill(1);
  const begun = daemons.map((daemon) => daemon.lines.length);
  await etcd.restart(1);
  await Promise.all(
    daemons.map((daemon, i) => daemon.line(/certificate is signed by unknown authority/, 20_000, begun[i])),
  );
  await etcd.ctl("put", ...ghost(102));
  start = performance.now();
  await Deno.copyFile(etcd.client.ca, own.ca);
  await give(own, etcd.client);
  await followed(net.hosts, 102);
  say(`certificates replaced late: known ${Math.round(performance.now() - start)} ms after the new files`);
  assert(daemons.every((daemon) => daemon.running));
  await traffic.stopWhole("certificates replaced");
}

/** Copies of the three files under another name. */
async function copies(net: Topology, name: string, files: Identity): Promise<Identity> {
  const path = `${net.directory}/${name}`;
  const copied = { ca: `${path}-ca.pem`, cert: `${path}.pem`, key: `${path}.key` };
  await Deno.copyFile(files.ca, copied.ca);
  await give(copied, files);
  return copied;
}

/** Puts a certificate and its key in the place of others. */
async function give(own: Identity, { cert, key }: Identity): Promise<void> {
  await Deno.copyFile(key, own.key);
  await Deno.copyFile(cert, own.cert);
}

/** One read with these files. */
function etcdctlWith(net: Topology, { ca, cert, key }: Identity): Promise<string> {
  const files = [`--cacert=${ca}`, `--cert=${cert}`, `--key=${key}`];
  const endpoint = `--endpoints=https://${net.host(1).ip}:2379`;
  return run([...net.host(1).enter, "etcdctl", endpoint, ...files, "--command-timeout=2s", "get", "x"], {
    env: { ETCDCTL_API: "3" },
  });
}

scenariosTogether("fault: what lets the daemon into etcd runs out or is replaced", [
  [{ hosts: 2 }, tokenRunsOut],
  [{ hosts: 2 }, certificatesReplaced],
]);
