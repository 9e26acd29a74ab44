/** What the store has told us: the in-sync gate, and what an unreadable record does and does not do. */
import { assert, assertEquals, assertFalse, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { LeaseView } from "../../src/control/lease_view.ts";
import { lease, subnets } from "../support/hosts.ts";

const a = () => lease("10.1.16.0/24", "192.168.64.12", "02:00:00:00:00:12");
const b = () => lease("10.1.17.0/24", "192.168.64.13", "02:00:00:00:00:13");
const damaged = (subnet: string) => ({ key: "k", subnets: subnets(subnet), reason: "not JSON" });

Deno.test("view: in sync only after a whole snapshot", () => {
  const view = new LeaseView();
  view.take({ type: "put", lease: a() });
  assertFalse(view.inSync);
  view.take({ type: "snapshot", leases: [], unreadable: [] });
  assert(view.inSync);
  assertEquals(view.leases().length, 0);
});

Deno.test("view: a snapshot replaces everything, changed records too", () => {
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [a(), b()], unreadable: [] });
  const moved = lease("10.1.16.0/24", "192.168.64.99", "02:00:00:00:00:12");
  view.take({ type: "snapshot", leases: [moved], unreadable: [] });
  assertEquals(view.leases(), [moved]);
});

Deno.test("view: an unreadable record keeps its last good state, in a change and in a snapshot", () => {
  const good = a();
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [good, b()], unreadable: [] });
  view.take({ type: "unreadable", unreadable: damaged("10.1.16.0/24") });
  assertEquals(view.leases().length, 2);
  view.take({ type: "snapshot", leases: [], unreadable: [damaged("10.1.16.0/24")] });
  assertEquals(view.leases(), [good]);
  view.take({ type: "delete", subnets: good.subnets });
  assertEquals([view.leases().length, view.unreadable().length], [0, 0]);
});

Deno.test("view: a second listing agrees only where it names the same subnets", () => {
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [a()], unreadable: [] });
  assert(view.agreesWith({ leases: [a()], unreadable: [] }));
  assertFalse(view.agreesWith({ leases: [a(), b()], unreadable: [] }));
  assertFalse(view.agreesWith({ leases: [], unreadable: [] }));
  view.take({ type: "delete", subnets: subnets("10.1.16.0/24") });
  assert(view.agreesWith({ leases: [], unreadable: [] }));
});

Deno.test("view: the list of leases is the very same until an event comes", () => {
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [a()], unreadable: [] });
  const before = view.leases();
  assertStrictEquals(view.leases(), before);
  view.take({ type: "put", lease: b() });
  assertNotStrictEquals(view.leases(), before);
  assertEquals([before.length, view.leases().length], [1, 2]);
});

Deno.test("view: the last good state of what can't be read any more claims less than any live record", () => {
  const view = new LeaseView();
  const [old, moved] = [{ ...a(), created: 1 }, { ...b(), created: 2 }];
  view.take({ type: "snapshot", leases: [old, moved], unreadable: [] });
  assertEquals(view.leases(), [old, moved]);
  assert(
    view.take({ type: "unreadable", unreadable: damaged("10.1.16.0/24") }),
    "the order may change what stands",
  );
  assertEquals(view.leases(), [moved, old]);
});
