/** What the store has told us: the in-sync gate, and what an unreadable record does and does not do. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { LeaseView } from "../../src/control/lease_view.ts";
import { doubtful, type Lease } from "../../src/model/lease.ts";
import { lease, subnets } from "../support/hosts.ts";
import { claimant } from "../support/identity.ts";

const a = () => lease("10.1.16.0/24", "192.168.64.12", "02:00:00:00:00:12");
const b = () => lease("10.1.17.0/24", "192.168.64.13", "02:00:00:00:00:13");
/** In the order of their claims. */
function leasesOf(view: LeaseView, now: number): Lease[] {
  view.takeChanges(now);
  return view.ranked().sort(([a, one], [b, other]) =>
    one.rank - other.rank || one.lease.created - other.lease.created || (a < b ? -1 : 1)
  ).map(([, { lease }]) => lease);
}
const damaged = (subnet: string) => ({ key: "k", subnets: subnets(subnet), reason: "not JSON" });

Deno.test("view: in sync only after a whole snapshot", () => {
  const view = new LeaseView();
  view.take({ type: "put", lease: a() }, 0);
  assertFalse(view.inSync);
  view.take({ type: "snapshot", leases: [], unreadable: [] }, 0);
  assert(view.inSync);
  assertEquals(leasesOf(view, 0).length, 0);
});

Deno.test("view: a snapshot replaces everything, changed records too", () => {
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [a(), b()], unreadable: [] }, 0);
  const moved = lease("10.1.16.0/24", "192.168.64.99", "02:00:00:00:00:12");
  view.take({ type: "snapshot", leases: [moved], unreadable: [] }, 0);
  assertEquals(leasesOf(view, 0), [moved]);
});

Deno.test("view: an unreadable record keeps its last good state, in a change and in a snapshot", () => {
  const good = a();
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [good, b()], unreadable: [] }, 0);
  view.take({ type: "unreadable", unreadable: damaged("10.1.16.0/24") }, 0);
  assertEquals(leasesOf(view, 0).map(({ doubtful }) => doubtful), [undefined, true]);
  view.take({ type: "snapshot", leases: [], unreadable: [damaged("10.1.16.0/24")] }, 0);
  assertEquals(leasesOf(view, 0), [doubtful(good)]);
  view.take({ type: "put", lease: good }, 0);
  assertEquals(leasesOf(view, 0), [good]);
  view.take({ type: "delete", subnets: good.subnets }, 0);
  assertEquals([leasesOf(view, 0).length, view.unreadable().length], [0, 0]);
});

Deno.test("view: a key that named no subnets is forgotten when it is gone", () => {
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [a()], unreadable: [] }, 0);
  view.take({ type: "unreadable", unreadable: { key: "zzz", subnets: null, reason: "no subnet" } }, 0);
  assertEquals(view.unreadable().length, 1);
  assertFalse(view.take({ type: "gone", key: "zzz" }, 0));
  assertEquals([view.unreadable().length, leasesOf(view, 0).length], [0, 1]);
});

Deno.test("view: a second listing agrees only where it names the same subnets", () => {
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [a()], unreadable: [] }, 0);
  assert(view.agreesWith({ leases: [a()], unreadable: [] }));
  assertFalse(view.agreesWith({ leases: [a(), b()], unreadable: [] }));
  assertFalse(view.agreesWith({ leases: [], unreadable: [] }));
  view.take({ type: "delete", subnets: subnets("10.1.16.0/24") }, 0);
  assert(view.agreesWith({ leases: [], unreadable: [] }));
});

Deno.test("view: what has changed is told once, with how it stands now", () => {
  const view = new LeaseView();
  const changes = () => view.takeChanges(0).map(([name, now]) => `${name} ${now?.rank ?? "gone"}`).sort();
  view.take({ type: "snapshot", leases: [a()], unreadable: [] }, 0);
  assertEquals([changes(), changes()], [["10.1.16.0/24 0"], []]);
  view.take({ type: "put", lease: b() }, 0);
  view.take({ type: "unreadable", unreadable: damaged("10.1.16.0/24") }, 0);
  assertEquals([changes(), changes()], [["10.1.16.0/24 1", "10.1.17.0/24 0"], []]);
  view.take({ type: "snapshot", leases: [b()], unreadable: [], restored: true }, 0);
  assertEquals([changes(), changes()], [["10.1.16.0/24 2", "10.1.17.0/24 0"], []]);
  assertEquals(view.takeChanges(3_600_000).map(([name, now]) => [name, now]), [["10.1.16.0/24", null]]);
  view.take({ type: "delete", subnets: b().subnets }, 0);
  assertEquals(changes(), ["10.1.17.0/24 gone"]);
});

Deno.test("view: the last good state of what can't be read any more claims less than any live record", () => {
  const view = new LeaseView();
  const [old, moved] = [{ ...a(), created: 1 }, { ...b(), created: 2 }];
  view.take({ type: "snapshot", leases: [old, moved], unreadable: [] }, 0);
  assertEquals(leasesOf(view, 0), [old, moved]);
  assert(
    view.take({ type: "unreadable", unreadable: damaged("10.1.16.0/24") }, 0),
    "the order may change what stands",
  );
  assertEquals(leasesOf(view, 0), [moved, doubtful(old)]);
});

Deno.test("view: who is missing from a restored store stays no longer than its lease", () => {
  const minute = 60_000;
  const ending = { ...a(), expires: 5 * minute };
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [ending], unreadable: [] }, 0);
  view.take({ type: "snapshot", leases: [], unreadable: [], restored: true }, minute);
  assertEquals(leasesOf(view, 5 * minute - 1), [doubtful(ending)]);
  assertEquals(leasesOf(view, 5 * minute), []);
});

Deno.test("view: who is missing from a restored store stays, until back, replaced or given up", () => {
  const minute = 60_000;
  const restored = (leases: Lease[]) =>
    ({ type: "snapshot", leases, unreadable: [], restored: true }) as const;
  const [first, second] = [a(), b()];
  const view = new LeaseView();
  view.take({ type: "snapshot", leases: [first, second], unreadable: [] }, 0);
  view.take(restored([second]), 0);
  assertEquals([leasesOf(view, 10 * minute), view.missing], [[second, doubtful(first)], 1]);
  assert(view.agreesWith({ leases: [second], unreadable: [] }), "a second look is about the store alone");

  view.take({ type: "put", lease: first }, minute);
  assertEquals([leasesOf(view, minute).length, view.missing], [2, 0]);

  view.take(restored([]), minute);
  const moved = lease("10.1.99.0/24", "192.168.64.12", "02:00:00:00:00:12");
  const heir = lease("10.1.17.0/24", "192.168.64.77", "02:00:00:00:00:77");
  view.take({ type: "put", lease: moved }, minute);
  assertEquals(leasesOf(view, minute), [moved, doubtful(second)], "the host has another subnet");
  view.take({ type: "put", lease: heir }, minute);
  assertEquals(new Set(leasesOf(view, minute)), new Set([moved, heir]), "the subnet has another host");

  view.take(restored([moved]), minute);
  assertEquals(leasesOf(view, 11 * minute), [moved, doubtful(heir)]);
  assertEquals(leasesOf(view, 12 * minute), [moved]);
  view.take({ type: "snapshot", leases: [], unreadable: [] }, 12 * minute);
  assertEquals(leasesOf(view, 12 * minute), [], "history that was forgotten takes nothing back");
});

const marked = (of: Lease, name: string, after: string | null = null): Lease => ({
  ...of,
  record: {
    ...of.record,
    mark: {
      host: claimant(name).host,
      run: claimant(name).run,
      turn: 1,
      after: after && claimant(after).host,
    },
  },
});

Deno.test("view: while another has a peer's subnet on trial the peer stays what it was", () => {
  const [owner, other] = [marked(a(), "owner"), b()];
  const address = lease("10.1.16.0/24", "192.168.64.12", "02:00:00:00:00:99");
  const trial = marked(address, "newcomer", "owner");
  for (const restart of [false, true]) {
    const view = new LeaseView();
    view.take({ type: "snapshot", leases: [owner, other], unreadable: [] }, 0);
    view.take({ type: "put", lease: trial }, 0);
    view.take({ type: "put", lease: { ...trial, version: "renewed" } }, 0);
    if (restart) view.take({ type: "snapshot", leases: [trial, other], unreadable: [] }, 0);
    assertEquals(leasesOf(view, 0), [owner, other]);
    assertEquals(
      view.standing().find(({ record }) => record.mark)?.record.mark?.after,
      claimant("owner").host,
    );
    const proven = marked(address, "newcomer");
    view.take({ type: "put", lease: proven }, 0);
    assertEquals(leasesOf(view, 0), [other, proven]);
    view.take({ type: "put", lease: trial }, 0);
    view.take({ type: "delete", subnets: trial.subnets }, 0);
    assertEquals(leasesOf(view, 0), [other]);
    // Whoever tried it is gone as well.
    view.take({ type: "put", lease: owner }, 0);
    view.take({ type: "put", lease: trial }, 0);
    view.take({ type: "put", lease: trial }, 59_000);
    assertEquals(leasesOf(view, 59_999), [owner, other]);
    assertEquals(leasesOf(view, 60_000), [other, trial]);
  }
});

Deno.test("view: a trial of what was nobody's known peer counts as it stands", () => {
  const trial = marked(a(), "newcomer", "owner");
  for (const before of [[], [marked(a(), "third")], [a()]]) {
    const view = new LeaseView();
    view.take({ type: "snapshot", leases: before, unreadable: [] }, 0);
    view.take({ type: "put", lease: trial }, 0);
    assertEquals(leasesOf(view, 0), [trial]);
  }
});
