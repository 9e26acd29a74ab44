/**
 * kill -9 at random moments, ten times in a row: of daemons whose network stands, and of one that is just setting its network up
 * for the first time. What stands stays, no packet is lost, and in the end there is one lease for each host and no other.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2        h3: new
 *   etcd on h1
 */
import { assertEquals } from "@std/assert";
import type { Random } from "../../src/model/clock.ts";
import { seededRandom } from "../support/clock.ts";
import { launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { CONFIG, standing } from "../support/overlay.ts";
import { pause, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { type Host, scenario } from "../support/topology.ts";
import { reachable } from "../support/traffic.ts";

const KILLS = 10;

scenario(
  "fault: kill -9 at random moments, under traffic and during the first set-up",
  { hosts: 3 },
  async (net) => {
    const [h1, h2, h3] = net.hosts as [Host, Host, Host];
    const etcd = await HostEtcd.start(net, [1]);
    await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
    const args = [...etcd.flags(), "-ip-masq"];
    const begun = performance.now();
    const first = await Promise.all([h1, h2].map((host) => launchReady(host, args)));
    const usual = Math.round(performance.now() - begun);
    const traffic = await SteadyTraffic.start(net, h1, h2);
    const before = await Promise.all([h1, h2].map(stateOf));
    await Promise.all(first.map((daemon) => daemon.stop("SIGKILL")));

    const seed = Number(Deno.env.get("DENIM_SEED") ?? Math.floor(Math.random() * 1e6));
    say(`a start takes ${usual} ms; DENIM_SEED=${seed} kills at the same moments again`);
    await Promise.all(
      net.hosts.map((host, i) => killAtRandom(host, args, seededRandom(seed + i), usual * 1.3)),
    );

    const again = await Promise.all([h1, h2].map(stateOf));
    assertEquals(again.map(({ env }) => env), before.map(({ env }) => env));
    await Promise.all(net.hosts.map((host) => launchReady(host, args)));
    await reachable(traffic.from, (await subnetEnv(h3)).FLANNEL_SUBNET!.split("/")[0]!.replace(/1$/, "0"));
    const after = await Promise.all([h1, h2].map(stateOf));
    assertEquals(after.map(({ env }) => env), before.map(({ env }) => env));
    assertEquals(after.map(withoutThird), before.map(withoutThird));
    const keys = await etcd.ctl("get", "--prefix", "--keys-only", "/coreos.com/network/subnets/");
    assertEquals(keys.trim().split(/\n+/).length, 3, `a lease for each host and no other: ${keys}`);
    await traffic.stopWhole(`${KILLS} kills on each of 3 hosts`);
  },
);

/** Here time itself is the fault: the moment is drawn, whatever the daemon is at then. */
async function killAtRandom(
  host: Host,
  args: readonly string[],
  random: Random,
  within: number,
): Promise<void> {
  for (let i = 0; i < KILLS; i++) {
    const daemon = launch(host, args);
    await pause(random.int(within));
    await daemon.stop("SIGKILL");
  }
}

interface State {
  readonly env: string;
  readonly standing: string;
}

async function stateOf(host: Host): Promise<State> {
  return { env: await host.run(["cat", "/run/flannel/subnet.env"]), standing: await standing(host) };
}

/** Without what the new host brought: whatever has its underlay address, its MAC or its subnet. */
function withoutThird({ standing }: State): string[] {
  const third = /192\.168\.64\.13/.test(standing) ? marksOf(standing) : [];
  return standing.split("\n").filter((line) => !third.some((mark) => line.includes(mark)));
}

/** MAC and subnet behind 192.168.64.13, out of its FDB entry and its neighbour entry. */
function marksOf(standing: string): string[] {
  const mac = /([0-9a-f:]{17}) dst 192\.168\.64\.13 /.exec(standing)![1]!;
  const gateway = new RegExp(`^(\\S+) .*lladdr ${mac}`, "m").exec(standing)![1]!;
  return [mac, `${gateway}/24`];
}
