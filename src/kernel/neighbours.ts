/** Neighbour (ARP and ND) entries on our devices: rules, and records to objects and back. Applied by `neighbour_driver.ts`. */
import type { NeighbourRecord } from "../../ffi/records.ts";
import type { Obj } from "../model/objects.ts";
import type { KindRules } from "../model/plan.ts";

/** NUD_PERMANENT (linux/neighbour.h). */
export const PERMANENT = 0x80;

export const neighbourRules: KindRules = {
  kind: "neighbour",
  marks: ["protocol"],
  needsRecreate: () => false,
  print: ({ fields }) =>
    `${fields.address} dev ${fields.device} lladdr ${fields.mac} nud ${fields.state}` +
    (fields.protocol ? ` proto ${fields.protocol}` : ""),
};

export function neighbourObject(record: NeighbourRecord, device: string): Obj {
  const { address, mac, protocol } = record;
  return {
    kind: "neighbour",
    key: `${device} ${address}`,
    on: device,
    fields: { device, address, mac, state: stateName(record.state), protocol },
  };
}

export function neighbourRecord({ fields }: Obj, index: number): NeighbourRecord {
  const address = String(fields.address);
  return {
    table: address.includes(":") ? "v6" : "v4",
    index,
    address,
    mac: typeof fields.mac === "string" ? fields.mac : null,
    state: PERMANENT,
    flags: 0,
    protocol: typeof fields.protocol === "number" ? fields.protocol : 0,
  };
}

/** `permanent`, or what matters of anything else: that the kernel may forget it. */
export function stateName(state: number): string {
  return (state & PERMANENT) !== 0 ? "permanent" : "dynamic";
}
