/**
 * One clear end for every bad input: the daemon either ends at once with a code and one message that says what to do, or says
 * once what it waits for, and goes on as soon as that is there. Never a stack trace.
 *
 *   h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2        (one host where one is enough; leases in SQLite)
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { type DaemonOptions, health, launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { NotifySocket } from "../support/notify_socket.ts";
import { CONFIG, linkOf, sqliteArgs } from "../support/overlay.ts";
import { pause, type Process } from "../support/process.ts";
import { type Host, scenario, type Topology } from "../support/topology.ts";

/** Long enough to see a message that is repeated every second. */
const QUIET = 2500;

interface Case extends DaemonOptions {
  /** Shell script run on the host first. */
  readonly given?: string;
  readonly config?: unknown;
  readonly args?: readonly string[];
  readonly says: RegExp;
}

/** The daemon ends: 1 where something failed, 2 where the command line is wrong. */
const ends: Record<string, Case & { readonly code: number }> = {
  "an unknown flag": { args: ["-no-such-flag"], code: 2, says: /no-such-flag/ },
  "a value that is no number": { args: ["-healthz-port=abc"], code: 2, says: /"abc".*healthz-port/ },
  "a store of an unknown kind": { args: ["-store=mysql"], code: 2, says: /store.*mysql/ },
  "an interface that does not exist": { args: ["-iface=nope0"], code: 1, says: /interface.*nope0/ },
  "a public IP that is no address": { args: ["-public-ip=1.2.3"], code: 2, says: /public-ip.*1\.2\.3/ },
  "a health port that is taken": {
    given: "socat TCP-LISTEN:300,fork /dev/null > /dev/null 2>&1 & until ss -Hltn | grep -q :300; do :; done",
    args: ["-healthz-port=300"],
    code: 1,
    says: /300.*in use/i,
  },
  "no permission for netlink": {
    wrap: ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"],
    code: 1,
    says: /CAP_NET_ADMIN/,
  },
  "an underlay too narrow for any tunnel": {
    given: "ip link set eth0 mtu 100",
    code: 1,
    says: /MTU.*eth0/,
  },
  "a tunnel port that is taken": {
    given: "socat -u UDP-RECV:7890 - > /dev/null 2>&1 & until ss -Hlun | grep -q :7890; do :; done",
    config: { Network: "10.1.0.0/16", Backend: { Type: "udp", Port: 7890 } },
    code: 1,
    says: /flannel0.*"192\.168\.64\.11" port 7890: .*taken.*choose another port/,
  },
  "another make's flanneld at work": {
    given: "cp $(command -v sleep) /run/flanneld && /run/flanneld 60 > /dev/null 2>&1 & " +
      'until [ -n "$(ls -l /proc/[0-9]*/exe 2> /dev/null | grep /run/flanneld)" ]; do :; done',
    code: 1,
    says: /"flanneld" \(pid \d+\) runs in this network namespace.*stop it.*--force/,
  },
  "no /dev/net/tun": {
    given: "mount -t tmpfs tmpfs /dev/net",
    config: { Network: "10.1.0.0/16", Backend: { Type: "udp" } },
    code: 1,
    says: /flannel0.*load the kernel module tun/,
  },
  "a store file that cannot be made": {
    args: ["-store=sqlite:/proc/leases.db"],
    code: 1,
    says: /\/proc\/leases\.db/,
  },
};

for (const [what, expected] of Object.entries(ends)) {
  scenario(`bad input: ${what} ends it with ${expected.code}`, { hosts: 1 }, async (net) => {
    const daemon = await launchCase(net, expected);
    assertEquals(await daemon.ended(), expected.code);
    assertClear(daemon, expected.says);
  });
}

/** The daemon says once what is wrong with the configuration, and starts when that is mended. */
const waits: Record<string, { readonly config: unknown; readonly says: RegExp }> = {
  "a configuration that is not JSON": { config: '{"Network": ', says: /JSON/ },
  "a Network that is too small": { config: { Network: "10.1.0.0/29" }, says: /too small.*\/28/ },
  "a configuration without Network": { config: {}, says: /Network/ },
  "an unknown backend": {
    config: { Network: "10.1.0.0/16", Backend: { Type: "vxlam" } },
    says: /backend.*vxlam.*vxlan/,
  },
  "a backend member of the wrong type": {
    config: { Network: "10.1.0.0/16", Backend: { Type: "vxlan", VNI: "one" } },
    says: /VNI/,
  },
};

for (const [what, { config, says }] of Object.entries(waits)) {
  scenario(`bad input: ${what} is said once and waited out`, { hosts: 1 }, async (net) => {
    const [host] = net.hosts as [Host];
    const socket = await NotifySocket.listen(host, "/run/notify");
    const daemon = launch(host, await sqliteArgs(net, config), { env: { NOTIFY_SOCKET: socket.address } });
    await daemon.line(says);
    await pause(QUIET);
    assertEquals(daemon.lines.filter((line) => says.test(line)).length, 1, daemon.text);
    assertEquals(socket.received.includes("READY"), false);
    await sqliteArgs(net, CONFIG);
    await socket.ready();
    assertEquals(await daemon.stop(), 0);
    assertClear(daemon, says);
  });
}

scenario(
  "bad input: a configuration that is waited for does not keep it from stopping",
  { hosts: 1 },
  async (net) => {
    const daemon = launch(net.host(1), await sqliteArgs(net, "nonsense"));
    await daemon.line(/JSON/);
    assertEquals(await daemon.stop(), 0);
  },
);

scenario("bad input: no free subnet ends it with 1", { hosts: 2 }, async (net) => {
  const only = {
    Network: "10.1.0.0/16",
    SubnetMin: "10.1.5.0",
    SubnetMax: "10.1.5.0",
    Backend: { Type: "vxlan" },
  };
  const args = await sqliteArgs(net, only);
  await launchReady(net.host(1), args);
  const daemon = launch(net.host(2), args);
  assertEquals(await daemon.ended(), 1);
  assertClear(daemon, /subnet.*10\.1\.5\.0/);
});

scenario(
  "bad input: a read-only /run is said once, and not ready until it can be written",
  { hosts: 1 },
  async (net) => {
    const [host] = net.hosts as [Host];
    const socket = await NotifySocket.listen(host, `${net.directory}/notify`);
    await host.run(["mount", "-o", "remount,ro", "/run"]);
    const daemon = launch(host, [...await sqliteArgs(net), "-healthz-port=300"], {
      env: { NOTIFY_SOCKET: socket.address },
    });
    const says = /\/run\/flannel.*read-only/i;
    await daemon.line(says);
    await pause(QUIET);
    assertEquals(daemon.lines.filter((line) => says.test(line)).length, 1, daemon.text);
    assertEquals(socket.received.includes("READY"), false);
    const { status, body } = await health(host, "/readyz");
    assertEquals(status, 503);
    assertMatch(
      body,
      /the subnet file is not written: write subnet file ".*": read-only file system; choose/,
    );
    await host.run(["mount", "-o", "remount,rw", "/run"]);
    await socket.ready();
  },
);

scenario(
  "bad input: a public IP that is not ours is published, the tunnel keeps our own",
  { hosts: 2 },
  async (net) => {
    const [host, peer] = net.hosts as [Host, Host];
    const args = await sqliteArgs(net);
    await launchReady(host, [...args, "-public-ip=198.51.100.7"]);
    assertMatch((await subnetEnv(host)).FLANNEL_SUBNET!, /^10\.1\./);
    assertMatch(await host.run(["ip", "-d", "link", "show", "flannel.1"]), new RegExp(`local ${host.ip} `));
    await launchReady(peer, args);
    // What others learn of us is where they send to.
    const { address } = await linkOf(host);
    assertMatch(
      await peer.run(["bridge", "fdb", "show", "dev", "flannel.1"]),
      new RegExp(`^${address} dst 198\\.51\\.100\\.7 `, "m"),
    );
  },
);

scenario(
  "bad input: a lease that another host has by now ends it with 1 where that is asked for, 0 as upstream",
  { hosts: 1 },
  async (net) => {
    const [host] = net.hosts as [Host];
    const args = [...await sqliteArgs(net), "-on-lease-lost=exit"];
    for (const [more, code] of [[[], 1], [["-upstream-exit-codes"], 0]] as const) {
      const daemon = await launchReady(host, [...args, ...more]);
      giveAway(`${net.directory}/leases.db`, host.ip, "192.168.64.99");
      await daemon.line(/Lease has been revoked.*belongs to 192\.168\.64\.99 now/);
      assertEquals(await daemon.ended(), code);
    }
  },
);

/** Writes another host's address into every record of `ip`, as a program does that knows the tables. */
function giveAway(path: string, ip: string, other: string): void {
  using db = new DatabaseSync(path);
  for (const { key } of db.prepare("SELECT key FROM leases WHERE value LIKE ?").all(`%"${ip}"%`)) {
    const revision = db.prepare("INSERT INTO changes (key) VALUES (?)").run(key!).lastInsertRowid;
    db.prepare(
      `UPDATE leases SET value = json_set(
         json_remove(replace(value, ?, ?), '$.Host', '$.Run', '$.Turn'),
         '$.BackendData.VtepMAC', '0e:00:00:00:00:99'), modified = ? WHERE key = ?`,
    ).run(`"${ip}"`, `"${other}"`, revision, key!);
  }
}

scenario("bad input: without br_netfilter it goes on, and says so once", { hosts: 1 }, async (net) => {
  const [host] = net.hosts as [Host];
  await host.sh("if [ -d /proc/sys/net/bridge ]; then mount -t tmpfs tmpfs /proc/sys/net/bridge; fi");
  const daemon = await launchReady(host, [...await sqliteArgs(net), "-ip-masq"]);
  assertEquals(daemon.lines.filter((line) => line.includes("modprobe br_netfilter")).length, 1, daemon.text);
});

async function launchCase(net: Topology, { given, config, args = [], ...options }: Case): Promise<Process> {
  const [host] = net.hosts as [Host];
  if (given !== undefined) await host.sh(given);
  return launch(host, [...await sqliteArgs(net, config), ...args], options);
}

/** The message is there, and nothing of the inside of the program. */
function assertClear(daemon: Process, says: RegExp): void {
  assertMatch(daemon.text, new RegExp(says, says.flags + "m"));
  assert(!/^\s+at .*[:)]|internal error|undefined/m.test(daemon.text), daemon.text);
}
