/**
 * The unit files in dist/: systemd finds nothing wrong with them, the daemon runs by them as they are, and with the rights that
 * the hardened one leaves it.
 *
 *   c1 ── cbr0 ── h1: flanneld.service ── 192.168.64.0/24 ── h2: flanneld.service ── cbr0 ── c2
 *                  └ etcd
 *
 * No systemd runs in a namespace: `units.ts` does what the files say, `sandbox.ts` what the hardened one takes away.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { daemonCommand, subnetEnv } from "../support/daemon.ts";
import { overlayRules } from "../support/firewall_listing.ts";
import { createNamespace, layered, type Place } from "../support/netns.ts";
import { containerOn } from "../support/overlay.ts";
import { startEtcd } from "../support/peers.ts";
import { type Output } from "../support/process.ts";
import { type Host, OUTSIDE, scenario, type Topology } from "../support/topology.ts";
import { reachable, sourceSeen } from "../support/traffic.ts";
import { Units } from "../support/units.ts";

const DIST = new URL("../../dist", import.meta.url).pathname;
const CONFIG = { Network: "10.1.0.0/16", Backend: { Type: "vxlan" } };
/** CAP_NET_ADMIN (12) and CAP_NET_RAW (13): linux/capability.h. */
const TWO_CAPABILITIES = "0000000000003000";

const analyze = await isThere("/usr/bin/systemd-analyze") &&
  await isThere("/lib/systemd/system/docker.service");

Deno.test({
  name: `systemd-analyze verify has nothing to say about the units${
    analyze ? "" : " [needs systemd-analyze and docker's unit]"
  }`,
  ignore: !analyze || Deno.uid() !== 0,
  fn: async () => {
    await using host = await createNamespace(`systemd-${Deno.pid}`);
    await install(host);
    assertEquals(await verify(host), { code: 0, stdout: "", stderr: "" });
    // That the drop-ins are read at all.
    for (const drop of ["flanneld.service.d/hardened.conf", "docker.service.d/flannel.conf"]) {
      await host.sh(`sed -i 's/^\\[Service\\]/&\\nNoSuchThing=1/' /etc/systemd/system/${drop}`);
      assertMatch((await verify(host)).stderr, new RegExp(`${drop}.*NoSuchThing`));
      await install(host);
    }
  },
});

scenario(
  "the unit file as it is: ready, docker's options written, containers talk",
  { hosts: 2 },
  async (net) => {
    const units = await started(net, { hardened: false });
    const [h1, h2] = net.hosts as [Host, Host];
    const subnet = (await subnetEnv(h1)).FLANNEL_SUBNET!;
    const docker = await h1.run(["cat", "/run/flannel/docker"]);
    assertMatch(
      docker,
      new RegExp(`^DOCKER_NETWORK_OPTIONS=" --bip=${subnet} --ip-masq=false --mtu=1450"$`, "m"),
    );
    const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
    await reachable(c1, c2.address);
    assertEquals(await units[0]!.call(["systemctl", "restart", "flanneld"]), { code: 0, text: "" });
    assertEquals((await subnetEnv(h1)).FLANNEL_SUBNET, subnet);
    // The journal has its own times, and the priorities in front are taken away.
    const { text } = await units[0]!.call(["journalctl", "-u", "flanneld", "-n", "1000"]);
    assertMatch(text, / flanneld\[\d+\]: ready: 1 peers in \d+ ms$/m);
    assert(!/: (\d{4}-\d\d-\d\dT|<\d>|info |warn )/.test(text), text);
  },
);

for (const variant of ["nft", "legacy"] as const) {
  scenario(
    `the hardened unit: two capabilities and a read-only disk are enough, with iptables-${variant}`,
    { hosts: 2 },
    async (net) => {
      const units = await started(net, {
        hardened: true,
        settings: [`FLANNELD_IPTABLES_VARIANT=${variant}`],
      });
      const [h1, h2] = net.hosts as [Host, Host];
      await hasOnlyTwoCapabilities(h1);
      const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
      await reachable(c1, c2.address);
      await reachable(c2, c1.address);
      assertEquals(await sourceSeen(c1, net.outside, OUTSIDE), h1.ip);
      const rules = await overlayRules(h1, "10.1.");
      assertEquals(rules.filter((line) => line.startsWith(variant)).length, 12);
      assertEquals(rules.length, 12);
      // Repairs take the same rights.
      await h1.run(["ip", "link", "del", "flannel.1"]);
      await h1.run([`iptables-${variant}`, "-t", "nat", "-F", "FLANNEL-POSTRTG"]);
      await reachable(c1, c2.address);
      assertEquals(await units[0]!.call(["systemctl", "restart", "flanneld"]), { code: 0, text: "" });
      assertEquals(await overlayRules(h1, "10.1."), rules);
    },
  );
}

/** A host with the files where they belong, and flanneld started by its unit. */
async function started(
  net: Topology,
  { hardened, settings = [] }: { hardened: boolean; settings?: readonly string[] },
): Promise<Units[]> {
  const etcd = await startEtcd(net, CONFIG);
  return await Promise.all(net.hosts.map(async (host) => {
    await install(host, hardened);
    const env = [`FLANNELD_ETCD_ENDPOINTS=${etcd.endpoints}`, "FLANNELD_IP_MASQ=true", ...settings];
    const input = env.map((line) => `${line}\n`).join("");
    await host.sh("mkdir -p /etc/flannel && cat > /etc/flannel/flanneld.env", { input });
    const units = new Units(host);
    assertEquals(await units.call(["systemctl", "enable", "--now", "flanneld"]), { code: 0, text: "" });
    return units;
  }));
}

/** Once more puts the files back as they are. */
async function install(host: Place, hardened = true): Promise<void> {
  const program = `#!/bin/sh\nexec ${daemonCommand().join(" ")} "$@"\n`;
  await host.sh(
    `[ -d /run/layers ] || { ${layered("/etc", "/usr/local", "/var/lib")}
    }
    rm -rf /etc/flannel /etc/systemd/system/docker.service.d /etc/systemd/system/flanneld.service*
    mkdir -p /usr/local/bin
    cat > /usr/local/bin/flanneld
    chmod 755 /usr/local/bin/flanneld
    install -t /usr/local/bin ${DIST}/mk-docker-opts.sh
    install -D -m 644 -t /etc/systemd/system ${DIST}/flanneld.service
    install -D -m 644 -t /etc/systemd/system/docker.service.d ${DIST}/docker.service.d/flannel.conf
    ${
      hardened
        ? `install -D -m 644 ${DIST}/flanneld-hardened.conf /etc/systemd/system/flanneld.service.d/hardened.conf`
        : ""
    }`,
    { input: program },
  );
}

function verify(host: Place): Promise<Output> {
  return host.output(["systemd-analyze", "verify", "--man=no", "flanneld.service", "docker.service"]);
}

async function hasOnlyTwoCapabilities(host: Host): Promise<void> {
  const daemon = host.processes.find((process) => process.name.endsWith(" flanneld"))!;
  const status = await Deno.readTextFile(`/proc/${daemon.pid}/status`);
  const value = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1];
  assertEquals(["CapPrm", "CapEff", "CapBnd", "CapAmb"].map(value), Array(4).fill(TWO_CAPABILITIES));
  assertEquals(value("NoNewPrivs"), "1");
  const mounts = (await Deno.readTextFile(`/proc/${daemon.pid}/mounts`)).split("\n").map((line) =>
    line.split(" ")
  );
  const flags = (point: string) => mounts.findLast((mount) => mount[1] === point)?.[3]?.split(",")[0];
  assertEquals(["/", "/etc", "/run", "/run/flannel", "/var/lib/flannel"].map(flags), [
    "ro",
    "ro",
    "ro",
    "rw",
    "rw",
  ]);
  assert(daemon.running);
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
