/** Forwarding entries of our VXLAN devices: rules, and records to objects and back. Applied by `neighbour_driver.ts`. */
import type { NeighbourRecord } from "../../ffi/records.ts";
import type { ObjectOf } from "../model/objects.ts";
import type { KindRules } from "../model/plan.ts";
import { PERMANENT, stateName } from "./neighbours.ts";

/** NTF_SELF (linux/neighbour.h): the entry is the device's own, not that of the bridge which the device is a port of. */
const SELF = 0x02;

export const fdbRules: KindRules<"fdb"> = {
  kind: "fdb",
  marks: [],
  needsRecreate: () => false,
  print: ({ fields }) =>
    `${fields.mac} dev ${fields.device}${
      fields.destination === null ? "" : ` dst ${fields.destination}`
    } self ${fields.state}`,
};

/** Null for an entry of the bridge: that is another table. */
export function fdbObject(record: NeighbourRecord, device: string): ObjectOf<"fdb"> | null {
  if ((record.flags & SELF) === 0) return null;
  const { mac, address } = record;
  return {
    kind: "fdb",
    key: `${device} ${mac}`,
    on: device,
    fields: { device, mac, destination: address, state: stateName(record.state) },
  };
}

export function fdbRecord({ fields: { destination, mac } }: ObjectOf<"fdb">, index: number): NeighbourRecord {
  return {
    table: "fdb",
    index,
    address: destination,
    mac,
    state: PERMANENT,
    flags: SELF,
    protocol: 0,
  };
}
