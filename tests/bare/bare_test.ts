/**
 * The README's commands on a machine that has nothing but what the README presumes: a minimal Debian with git, node and npm. The
 * project is cloned there as it is committed, and each task has to bring what it needs. In the order of what they need, the least
 * first, so that none lives on what another has installed.
 *
 * Deno and all packages come over the network, as they do for a user.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { everywhere, needs, presumed } from "../../tasks/packages.ts";
import { say } from "../support/process.ts";
import { BareMachine } from "./machine.ts";

const DENO = "npx -y deno@2.9.6";
/** Milliseconds for one command: packages are fetched, and the machine may be busy with other things. */
const DEADLINE = 900_000;

/** One test of each tier, such that the packages are put to use; the rest of the tiers is the rest of the suite. */
const QUICK = [
  "tests/unit/check_tally_test.ts",
  "tests/golden/plan_test.ts",
  "tests/fuzz/text_test.ts",
  "tests/faults/nexthops_test.ts",
  "tests/store/etcd3_tls_test.ts",
  "tests/kernel/ffi_link_test.ts",
  "tests/scenarios/systemd_restart_test.ts",
  "tests/scenarios/tutorial_test.ts",
];
/** Those of which one test is enough. */
const PARTS = [
  "tests/simulation/schedules_test.ts",
  "tests/kernel/udp_tunnel_test.ts",
  "tests/scenarios/arm64_test.ts",
];
const FILTER = '/same seed|packets of both families|with the sender "pool"|the launcher extracts/';

const README = Deno.readTextFileSync(new URL("../../README.md", import.meta.url));

let machine: BareMachine;

function bare(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.uid() !== 0, fn });
}

Deno.test.beforeAll(async () => {
  if (Deno.uid() !== 0) return;
  machine = await BareMachine.start();
  await machine.sh("git clone -q /srv/denim.git ~/denim");
});

Deno.test.afterAll(async () => {
  if (Deno.uid() === 0) await machine[Symbol.asyncDispose]();
});

/** Runs a script in the clone; it has to succeed. @returns what it printed */
async function inClone(script: string, env: Record<string, string> = {}): Promise<string> {
  const start = performance.now();
  const variables = Object.entries({ NO_COLOR: "1", ...env }).map(([key, value]) => `${key}=${value}`);
  const command = ["env", ...variables, "sh", "-ec", `cd ~/denim\n${script}`];
  const { code, stdout, stderr } = await machine.output(command, { deadline: DEADLINE });
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  say(`bare: ${seconds} s: ${script.trim().split("\n")[0]}`);
  assertEquals(code, 0, `${script}\n${stdout}${stderr}`);
  return stdout;
}

bare("the machine is bare, and has what every Debian has", async () => {
  const found = async (programs: readonly string[]) => {
    const look = 'for each; do [ ! -e "$each" ] && ! command -v "$each" > /dev/null || echo "$each"; done';
    return (await machine.run(["sh", "-c", look, "look", ...programs])).split("\n").filter((line) =>
      line !== ""
    );
  };
  const wanted = [...everywhere, ...presumed];
  assertEquals(await found(wanted), wanted);
  // What comes with util-linux and mount, which every Debian has, and with the certificates.
  const here = ["flock", "mount", "nsenter", "openssl", "setpriv", "umount", "unshare"];
  assertEquals((await found(needs.map((need) => need.provides))).sort(), here);
  assertEquals(
    (await machine.sh("ls -A ~")).split("\n").filter((name) => !/^\.(bashrc|profile)$/.test(name)),
    ["denim", ""],
  );
});

bare("the README's section on installing: one file, which runs", async () => {
  const blocks = section("Install");
  assert(blocks.some((block) => block.includes(`${DENO} task compile`)), "it says how the file is made");
  for (const block of blocks) await inClone(block);
  assertMatch(await machine.run(["flanneld", "version"]), /v\d/);
  assertStringIncludes(await machine.run(["flanneld", "help"]), "-etcd-endpoints");
  // What it needs may come: it waits, and says for what.
  const alone = await inClone("timeout 3 unshare --net flanneld -store=sqlite:/run/alone.db 2>&1 || true");
  assertMatch(alone, /SQLite Local Manager[^]*waiting/);
});

bare("the README's first command: the demo, to its end", async () => {
  assertStringIncludes(README, `\n${DENO} task demo\n`);
  const shown = await inClone(`${DENO} task demo`);
  assertMatch(shown, /\d Gbit\/s/);
  assertStringIncludes(shown, "gone with the demo");
  assertEquals([shown.match(/ ms\b/g)?.length, shown.includes("lost")], [9, false]);
});

bare("the compiled daemon makes an overlay, with what the demo has brought", async () => {
  assertMatch(
    await inClone(`unshare --net --mount sh -ec '${ALONE}'`),
    /^inet 10\.1\.\d+\.0\/32 scope global flannel\.1$/m,
  );
});

bare("deno task setup test, and one test of each tier", async () => {
  await inClone(`${DENO} task setup test`);
  assertEquals(await inClone(`${DENO} task setup test`), "", "there is nothing left to do");
  for (const words of [[...QUICK, "native"], [...PARTS, `--filter='${FILTER}'`]]) {
    // What is skipped has failed, then.
    const shown = await inClone(`${DENO} task test ${words.join(" ")}`, { CI: "true" });
    const [, passed] = /^(\d+) passed, 0 failed$/m.exec(shown) ?? [];
    assert(Number(passed) > 0, shown);
  }
});

/** The commands of a section of the README, block by block. */
function section(heading: string): string[] {
  const text = new RegExp(`^## ${heading}\n(.*?)^## `, "ms").exec(README)?.[1] ?? "";
  return [...text.matchAll(/^```\n(.*?)^```$/gms)].map(([, block]) => block!);
}

/** A host of one's own with a daemon: what a first start has to find, and a look at what it made. */
const ALONE = `
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add eth0 type veth peer name wire
ip link set wire up
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
ip route add default via 192.0.2.254
echo "{\\"Network\\":\\"10.1.0.0/16\\",\\"Backend\\":{\\"Type\\":\\"vxlan\\"}}" > /run/config.json
flanneld -store=sqlite:/run/leases.db -net-config-path=/run/config.json -ip-masq &
trap "kill $! && wait $!" EXIT
for round in $(seq 300); do [ -e /run/flannel/subnet.env ] && break; sleep 0.1; done
cat /run/flannel/subnet.env
ip -4 -o address show dev flannel.1 | grep -o "inet .*flannel.1"
iptables-save | grep FLANNEL > /dev/null
`;
