/** The demo: what it shows, and that nothing is left of it, however it ends. It makes its own namespaces. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { daemonCommand } from "../support/daemon.ts";
import { poll, Process } from "../support/process.ts";

const root = { ignore: Deno.uid() !== 0 };

const shows: Record<string, RegExp> = {
  vxlan: /10\.1\.\d+\.0 dev flannel\.1 onlink/,
  "host-gw": /via 192\.168\.64\.12 dev eth0/,
  udp: /10\.1\.0\.0\/16 dev flannel0[^]*10\.1\.\d+\.0\/24 at 192\.168\.64\.12 port 8285/,
};

for (const [backend, ways] of Object.entries(shows)) {
  Deno.test({
    name: `the demo with ${backend} shows leases, routes, pings, throughput and its end`,
    ...root,
    fn: async () => {
      const command = [...daemonCommand(), "demo", "--hosts", "2", "--backend", backend];
      // What a shell or a service manager has for another daemon is none of the demo's.
      const env = {
        FLANNELD_IFACE: "eth9",
        FLANNELD_SUBNET_FILE: "/nonexistent/x",
        NOTIFY_SOCKET: "/nonexistent/y",
      };
      await using demo = new Process("demo", command, { env });
      assertEquals(await demo.ended(60_000), 0, demo.text);
      assertMatch(demo.text, /host 2 {2}192\.168\.64\.12 {2}gateway 10\.1\.\d+\.1\/24/);
      assertMatch(demo.text, ways);
      assertEquals(demo.text.match(/ ms\b/g)?.length, 4, "every ping is answered");
      assert(!demo.text.includes("lost"), demo.text);
      assertMatch(demo.text, /[1-9][\d.]* Gbit\/s|0\.[1-9] Gbit\/s/);
      assertStringIncludes(demo.text, "gone with the demo");
    },
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  Deno.test({
    name: `the demo leaves nothing after ${signal}`,
    ...root,
    fn: async () => {
      await using demo = new Process("demo", [...daemonCommand(), "demo", "--hosts", "2", "--keep"]);
      await demo.line(/Kept until Ctrl-C/, 60_000);
      const inside = await descendants(demo.pid);
      assert(inside.length > 6, "daemons, hosts and containers run");
      await demo.stop(signal);
      await poll("the end of all of it", 10_000, () => inside.every((pid) => !runs(pid)));
    },
  });
}

/** All processes below `pid`, at any depth. */
async function descendants(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  const children = text.trim().split(/\s+/).filter((word) => word !== "").map(Number);
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
