/** The second look: from how many peers on, for how few that stay, and how it ends. */
import { assertEquals } from "@std/assert";
import { SECOND_LOOK_MS, ShrinkGuard } from "../../src/control/shrink_guard.ts";
import { lossesOf } from "../../src/plan/shrink.ts";
import { parseIp } from "../../src/model/ip.ts";
import { fdbEntry, neighbour, type Obj, route, tunnelPeer } from "../../src/model/objects.ts";
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
      new ShrinkGuard().holds(lossesOf(...shrinking(way, standing, going)), 0);
    assertEquals([held(3, 3), held(4, 2), held(4, 3), held(4, 4)], [false, false, true, true]);
    assertEquals([held(5, 2), held(5, 3), held(6, 3), held(6, 4)], [false, true, false, true]);
  });
}

Deno.test("second look: due after five seconds, approved for one plan, judged afresh where it disagrees", () => {
  const guard = new ShrinkGuard();
  const most = shrinking(ways.routes!, 6, 5);
  assertEquals(guard.dueIn(0), null);
  assertEquals([guard.holds(lossesOf(...most), 1_000), guard.dueIn(1_000)], [true, SECOND_LOOK_MS]);
  assertEquals([guard.holds(lossesOf(...most), 4_000), guard.dueIn(4_000)], [true, SECOND_LOOK_MS - 3_000]);
  guard.restart();
  assertEquals([guard.dueIn(4_000), guard.holds(lossesOf(...most), 5_000)], [null, true]);
  guard.approve();
  assertEquals([guard.holds(lossesOf(...most), 10_000), guard.dueIn(10_000)], [false, null]);
  assertEquals(guard.holds(lossesOf(...most), 11_000), true, "the next one is another");
});

Deno.test("second look: peers that go one after the other within five seconds go together", () => {
  const guard = new ShrinkGuard();
  const one = (before: number) => ({ 4: { before, lost: 1 }, 6: { before: 0, lost: 0 } });
  for (const [i, before] of [6, 5, 4].entries()) {
    assertEquals(guard.holds(one(before), 100 * i), false);
    guard.gone(one(before), 100 * i);
  }
  assertEquals(guard.holds(one(3), 300), true, "two of six would stay");
  assertEquals(guard.holds(one(3), 4_999), true);
  assertEquals(guard.holds(one(3), 5_200), false, "only three were there five seconds ago");
});

Deno.test("second look: a host that moves to another subnet is one peer, whosever its FDB entry is", () => {
  const mac = (n: number) => `02:00:00:00:00:${n}0`;
  const address = (n: number) => parseIp(`10.1.${n}.0`)!;
  const peer = (n: number, of = n): Obj[] => [
    neighbour("flannel.1", address(n), mac(of)),
    fdbEntry("flannel.1", mac(of), parseIp(`192.168.64.${of}`)!),
    ways.routes!(n),
  ];
  const observed = [1, 2, 3, 4, 5].flatMap((n) => peer(n)).map((o): Observed => ({ ...o, standing: "ours" }));
  // Three are missing from the list; the host of the fourth has another subnet, and with it the FDB entry that stands.
  const going = observed.filter(({ key }) => !/10\.1\.[45]\.0|:[45]0$/.test(key));
  const operations = [
    ...peer(9, 4).filter(({ kind }) => kind !== "fdb").map((object) => ({ verb: "create", object }) as const),
    ...going.map((object) => ({ verb: "delete", object, before: object }) as const),
  ];
  const plan: Plan = { operations, blocked: [], withheld: [], unchanged: 0 };
  assertEquals(new ShrinkGuard().holds(lossesOf(plan, observed), 0), true, "two of five stay");
});
