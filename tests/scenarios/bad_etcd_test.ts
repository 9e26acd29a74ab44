/**
 * One clear end for everything that can be wrong with etcd: the certificates, the endpoint, what others wrote into it.
 *
 *   h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2
 *   etcd on 192.168.64.11:2379, mutual TLS
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launch, launchReady } from "../support/daemon.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { NotifySocket } from "../support/notify_socket.ts";
import { pause, poll } from "../support/process.ts";
import { type Host, scenario, type Topology } from "../support/topology.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } });
/** Long enough to see a message that is repeated every second. */
const QUIET = 2500;

type Flags = Parameters<HostEtcd["flags"]>[0];

interface Refusal {
  readonly flags: (etcd: HostEtcd, net: Topology) => Promise<Flags>;
  readonly says: RegExp;
  /** See `DaemonOptions`. */
  readonly wrap?: readonly string[];
}

/** What is wrong, and what the one message must name. All of these are the user's to mend, so the daemon ends. */
const refusals: Record<string, Refusal> = {
  "a CA that did not sign etcd's certificate": {
    flags: async (etcd) => ({ ca: (await etcd.stranger()).ca }),
    says: /192\.168\.64\.11:2379.*(etcd-cafile|certificate)/,
  },
  "a client certificate that etcd does not trust": {
    flags: async (etcd) => {
      const { cert, key } = await etcd.stranger();
      return { cert, key };
    },
    says: /192\.168\.64\.11:2379.*(etcd-certfile|certificate)/,
  },
  "a certificate of etcd for another IP": {
    flags: async (_, net) => {
      await net.host(1).sh("ip address add 192.168.64.50/24 dev eth0");
      net.host(1).start("forward", [
        "socat",
        "TCP-LISTEN:2379,bind=192.168.64.50,fork",
        `TCP:${net.host(1).ip}:2379`,
      ]);
      return { endpoints: "https://192.168.64.50:2379" };
    },
    says: /192\.168\.64\.50.*certificate/,
  },
  "a key file that does not exist": {
    flags: () => Promise.resolve({ key: "/nonexistent/key.pem" }),
    says: /etcd-keyfile.*\/nonexistent\/key\.pem/,
  },
  "a key file that this user may not read": {
    flags: async (etcd) => {
      await Deno.chmod(etcd.client.key, 0);
      return {};
    },
    says: /etcd-keyfile.*client\.key.*permission/i,
    // Root reads everything by these two.
    wrap: ["setpriv", "--bounding-set=-dac_override,-dac_read_search"],
  },
  "a key file that is no key": {
    flags: (etcd) => Promise.resolve({ key: etcd.client.cert }),
    says: /etcd-keyfile/,
  },
};

for (const [what, { flags, says, wrap = [] }] of Object.entries(refusals)) {
  scenario(`bad etcd: ${what} ends it with 1`, { hosts: 1 }, async (net) => {
    const etcd = await HostEtcd.start(net);
    await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
    const daemon = launch(net.host(1), etcd.flags(await flags(etcd, net)), { wrap });
    assertEquals(await daemon.ended(30_000), 1);
    assertMatch(daemon.text, says);
    assert(!/^\s+at .*[:)]|internal error/m.test(daemon.text), daemon.text);
  });
}

scenario("bad etcd: no etcd at start is said once, and waited for", { hosts: 1 }, async (net) => {
  const [host] = net.hosts as [Host];
  const etcd = await HostEtcd.start(net);
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  await etcd.kill(1);
  const socket = await NotifySocket.listen(host, "/run/notify");
  const daemon = launch(host, etcd.flags(), { env: { NOTIFY_SOCKET: socket.address } });
  const says = /"https:\/\/192\.168\.64\.11:2379": connection refused/;
  await daemon.line(says);
  await pause(QUIET);
  assertEquals(daemon.lines.filter((line) => says.test(line)).length, 1, daemon.text);
  await etcd.restart(1);
  await socket.ready();
});

scenario("bad etcd: malformed keys and records of others harm nobody", { hosts: 2 }, async (net) => {
  const etcd = await HostEtcd.start(net, [1]);
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  const rubbish = {
    "zzz": "{}",
    "10.1.300.0-24": "{}",
    "10.1.20.0-24": "not JSON",
    "10.1.21.0-24": '{"PublicIP":null}',
    "10.1.22.0-24":
      '{"PublicIP":"192.168.64.77","BackendType":"vxlan","BackendData":{"VtepMAC":"ff:ff:ff:ff:ff:ff"}}',
    "192.0.2.0-24":
      '{"PublicIP":"192.168.64.78","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:78"}}',
    "0.0.0.0-0":
      '{"PublicIP":"192.168.64.79","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:79"}}',
  };
  const put = async (from: number, to: number) => {
    for (const [key, value] of Object.entries(rubbish).slice(from, to)) {
      await etcd.ctl("put", `${PREFIX}/subnets/${key}`, value);
    }
  };
  await put(0, 3);
  const daemon = await launchReady(net.host(1), etcd.flags());
  await put(3, 7);
  await launchReady(net.host(2), etcd.flags());
  await poll("the route to h2", 10_000, async () => /via .* onlink/.test(await routes(net.host(1))));
  assertEquals((await routes(net.host(1))).trim().split("\n").length, 1, await routes(net.host(1)));
  for (const key of Object.keys(rubbish)) {
    const shown = key.replace("-", "[-/]").replaceAll(".", "\\.");
    assertMatch(daemon.text, new RegExp(shown), `nothing is said about ${key}`);
  }
  assert(daemon.running);
});

function routes(host: Host): Promise<string> {
  return host.run(["ip", "route", "show", "dev", "flannel.1"]);
}
