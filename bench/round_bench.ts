/**
 * What one round of the control loop costs without the kernel: records decoded, peers turned into objects, and the diff where
 * nothing changed, which is what a slow full read-back pays. `deno task bench`.
 */
import { isRefused } from "../src/backend/backend.ts";
import { vxlan } from "../src/backend/vxlan.ts";
import { diff } from "../src/plan/diff.ts";
import type { Lease } from "../src/model/lease.ts";
import { decodeRecord, encodeRecord } from "../src/model/lease_codec.ts";
import type { Obj } from "../src/model/objects.ts";
import { host, lease } from "../tests/support/hosts.ts";

const config = { Network: "10.0.0.0/8", SubnetLen: 24, Backend: { Type: "vxlan" } };
const self = host(config);

function peers(count: number): Lease[] {
  return Array.from({ length: count }, (_, i) => {
    const [high, low] = [i >> 8, i & 255];
    const mac = `02:00:00:00:${high.toString(16).padStart(2, "0")}:${low.toString(16).padStart(2, "0")}`;
    return lease(`10.${16 + high}.${low}.0/24`, `172.16.${high}.${low}`, mac);
  });
}

function objects(leases: readonly Lease[]): Obj[] {
  return leases.flatMap((peer) => {
    const toward = vxlan.toward(self, peer, 4);
    if (isRefused(toward)) throw new Error(toward.refused);
    return [...toward];
  });
}

for (const count of [1000, 10_000]) {
  const leases = peers(count);
  const desired = objects(leases);
  const observed = desired.map((object) => ({ ...object, standing: "ours" as const }));
  const records = leases.map((each) => encodeRecord(each.record));
  const options = { rules: new Map(), mayDelete: () => true };

  Deno.bench(`decode ${count} records`, { group: "decode" }, () => {
    for (const record of records) decodeRecord(record);
  });
  Deno.bench(`objects toward ${count} peers`, { group: "objects" }, () => {
    objects(leases);
  });
  Deno.bench(`diff of ${count} peers, nothing changed`, { group: "diff" }, () => {
    const plan = diff(desired, observed, options);
    if (plan.unchanged !== desired.length) throw new Error("the diff is not empty");
  });
}
