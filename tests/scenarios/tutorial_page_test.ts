/**
 * docs/tutorial.md, command by command, on three hosts:
 *
 *      ───────────┬────── 192.168.64.0/24 ──────┬────────────────────┬──────── .1 outside
 *             .11 eth0                      .12 eth0             .13 eth0
 *   host1: etcd, flanneld, dockerd   host2: the same     host3: etcd, flanneld
 *             └ c1 10.1.27.2                └ c2 10.1.61.2
 *
 * All of it is real but what `walkthrough_hosts.ts` and `units.ts` name: above all, no systemd runs in a namespace. The unit files
 * are written as the page says, and what they say is then started from them. Two more things are arranged: a host draws the
 * subnet that the page shows, because a subnet.env as an earlier daemon leaves it names that; and docker finds `busybox` without
 * a registry. The page in Chinese has the same commands (`tests/unit/walkthrough_test.ts`).
 */
import { importImage } from "../support/docker.ts";
import { run, say } from "../support/process.ts";
import { type Host, scenario } from "../support/topology.ts";
import { readSteps } from "../support/walkthrough.ts";
import { Walkthrough } from "../support/walkthrough_hosts.ts";

const TOP = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
/** A copy in which something is broken takes the place of some files. */
const MUTANT = Deno.env.get("DENIM_TREE") ?? "";
const SUBNETS = ["10.1.27.1/24", "10.1.61.1/24", "10.1.44.1/24"];

scenario("the tutorial's page does what it says", { hosts: 3 }, async (net) => {
  for (const [i, host] of net.hosts.entries()) await remember(host, SUBNETS[i]!);
  const tree = `${net.directory}/tree`;
  await copyTree(tree);
  const walkthrough = await Walkthrough.open(net, { tree, started });
  const steps = readSteps(await Deno.readTextFile(`${tree}/docs/tutorial.md`));
  const start = performance.now();
  const differences: string[] = [];
  for (const step of steps) {
    const difference = await walkthrough.step(step);
    if (difference !== null) differences.push(difference);
  }
  if (differences.length > 0) throw new Error(differences.join("\n\n"));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  say(
    `${steps.length} steps in ${seconds} s, ${
      steps.filter((step) => step.expected).length
    } with their output`,
  );
});

async function remember(host: Host, subnet: string): Promise<void> {
  const lines = ["FLANNEL_NETWORK=10.1.0.0/16", `FLANNEL_SUBNET=${subnet}`, "FLANNEL_MTU=1450"];
  await host.sh("mkdir -p /run/flannel && cat > /run/flannel/subnet.env", {
    input: [...lines, "FLANNEL_IPMASQ=true", ""].join("\n"),
  });
}

async function started(host: Host, unit: string): Promise<void> {
  if (unit === "docker") await importImage(host, "busybox:latest");
}

/** What a clone has, and what is compiled already, so that it is not compiled again. */
async function copyTree(to: string): Promise<void> {
  await run(["sh", "-ec", COPY, "copy", TOP, to, MUTANT]);
}

const COPY = `
mkdir "$2"
cd "$1"
{ git ls-files --cached --others --exclude-standard || find . -type f ! -path './.git/*'
  find native/build dist -type f ! -name 'flanneld*'; } | sort -u | tar -c --ignore-failed-read -T - | tar -x -C "$2"
[ -z "$3" ] || cp -r "$3/." "$2"
`;
