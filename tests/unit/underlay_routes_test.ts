/** How peers are reached: asked once, asked anew where it is in doubt, and which answers differ then. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { RouteAnswer } from "../../src/kernel/kernel.ts";
import { formatIp, type Ip, parseIp } from "../../src/model/ip.ts";
import { UnderlayRoutes } from "../../src/underlay/routes.ts";

const ips = (...texts: string[]) => texts.map((text) => parseIp(text)!);
const [a, b, c] = ["192.168.64.1", "192.168.64.2", "192.168.64.3"] as const;

class Asked {
  readonly calls: string[] = [];
  gateway: Ip | null = null;
  fails = false;
  during = () => {};

  routes(to: readonly Ip[]): Promise<RouteAnswer[]> {
    this.calls.push(to.map(formatIp).join(" "));
    this.during();
    if (this.fails) return Promise.reject(new Error("no buffer space"));
    return Promise.resolve(to.map(() => ({ device: "eth0", gateway: this.gateway, source: null })));
  }
}

Deno.test("underlay routes: each is asked for once; in doubt those that matter, and the others are forgotten", async () => {
  const [routes, kernel] = [new UnderlayRoutes(), new Asked()];
  assertEquals(await routes.learn(kernel, ips(a, b)), new Set());
  assertEquals(await routes.learn(kernel, ips(b, c)), new Set());
  assertEquals(kernel.calls, [`${a} ${b}`, c]);
  routes.doubt();
  assert(routes.stale);
  kernel.gateway = parseIp("192.168.64.254");
  assertEquals(await routes.learn(kernel, ips(a, b)), new Set([a, b]));
  assertEquals([routes.route(parseIp(a)!)?.onLink, routes.route(parseIp(c)!), routes.stale], [
    false,
    null,
    false,
  ]);
  routes.doubt();
  assertEquals(await routes.learn(kernel, ips(a, b)), new Set());
});

Deno.test("underlay routes: a doubt outlives a kernel that does not answer, and one that comes meanwhile an answer", async () => {
  const [routes, kernel] = [new UnderlayRoutes(), new Asked()];
  await routes.learn(kernel, ips(a));
  routes.doubt();
  kernel.fails = true;
  await assertRejects(() => routes.learn(kernel, ips(a)), Error, "no buffer space");
  assertEquals([routes.stale, routes.route(parseIp(a)!)?.onLink], [true, true]);
  kernel.fails = false;
  kernel.during = () => routes.doubt();
  await routes.learn(kernel, ips(a));
  assert(routes.stale);
});
