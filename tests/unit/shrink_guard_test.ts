/** The second look: from how many peers on, for how few that stay, and how it ends. */
import { assertEquals } from "@std/assert";
import { SECOND_LOOK_MS, ShrinkGuard } from "../../src/control/shrink_guard.ts";
import { parseIp } from "../../src/model/ip.ts";
import { type Obj, route, tunnelPeer } from "../../src/model/objects.ts";
import type { Observed, Plan } from "../../src/model/plan.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const ways: Readonly<Record<string, (n: number) => Obj>> = {
  "routes": (n) =>
    route({
      destination: parsePrefix(`10.1.${n}.0/24`)!,
      gateway: parseIp(`10.1.${n}.0`),
      device: "flannel.1",
      onlink: true,
    }),
  "a tunnel's peers": (n) =>
    tunnelPeer("flannel0", parsePrefix(`10.1.${n}.0/24`)!, parseIp(`192.168.64.${n}`)!, 8285),
};

function shrinking(way: (n: number) => Obj, standing: number, going: number): [Plan, Observed[]] {
  const observed = Array.from({ length: standing }, (_, n): Observed => ({ ...way(n), standing: "ours" }));
  const operations = observed.slice(0, going).map((object) =>
    ({ verb: "delete", object, before: object }) as const
  );
  return [{ operations, blocked: [], withheld: [], unchanged: standing - going }, observed];
}

for (const [what, way] of Object.entries(ways)) {
  Deno.test(`second look: of four ${what} or more, where fewer than half stay`, () => {
    const held = (standing: number, going: number) =>
      new ShrinkGuard().holds(...shrinking(way, standing, going), 0);
    assertEquals([held(3, 3), held(4, 2), held(4, 3), held(4, 4)], [false, false, true, true]);
    assertEquals([held(5, 2), held(5, 3), held(6, 3), held(6, 4)], [false, true, false, true]);
  });
}

Deno.test("second look: due after five seconds, approved for one plan, judged afresh where it disagrees", () => {
  const guard = new ShrinkGuard();
  const most = shrinking(ways.routes!, 6, 5);
  assertEquals(guard.dueIn(0), null);
  assertEquals([guard.holds(...most, 1_000), guard.dueIn(1_000)], [true, SECOND_LOOK_MS]);
  assertEquals([guard.holds(...most, 4_000), guard.dueIn(4_000)], [true, SECOND_LOOK_MS - 3_000]);
  guard.restart();
  assertEquals([guard.dueIn(4_000), guard.holds(...most, 5_000)], [null, true]);
  guard.approve();
  assertEquals([guard.holds(...most, 10_000), guard.dueIn(10_000)], [false, null]);
  assertEquals(guard.holds(...most, 11_000), true, "the next one is another");
});
