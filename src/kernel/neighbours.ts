/** Neighbour (ARP and ND) entries on our devices: rules, and records to objects and back. Applied by `neighbour_driver.ts`. */
import type { NeighbourRecord } from "../../ffi/records.ts";
import type { ObjectOf } from "../model/objects.ts";
import type { KindRules } from "../model/plan.ts";

/** NUD_PERMANENT (linux/neighbour.h). */
export const PERMANENT = 0x80;

export const neighbourRules: KindRules<"neighbour"> = {
  kind: "neighbour",
  marks: ["protocol"],
  needsRecreate: () => false,
  print: ({ fields }) =>
    `${fields.address} dev ${fields.device} lladdr ${fields.mac} nud ${fields.state}` +
    (fields.protocol ? ` proto ${fields.protocol}` : ""),
};

/** `address` is the record's, which a neighbour always has. */
export function neighbourObject(record: NeighbourRecord, device: string): ObjectOf<"neighbour"> {
  const { mac, protocol } = record;
  const address = record.address!;
  return {
    kind: "neighbour",
    key: `${device} ${address}`,
    on: device,
    fields: { device, address, mac, state: stateName(record.state), protocol },
  };
}

export function neighbourRecord({ fields }: ObjectOf<"neighbour">, index: number): NeighbourRecord {
  const { address, mac, protocol } = fields;
  return {
    table: address.includes(":") ? "v6" : "v4",
    index,
    address,
    mac,
    state: PERMANENT,
    flags: 0,
    protocol,
  };
}

/** `permanent`, or what matters of anything else: that the kernel may forget it. */
export function stateName(state: number): "permanent" | "dynamic" {
  return (state & PERMANENT) !== 0 ? "permanent" : "dynamic";
}
