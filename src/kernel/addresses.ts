/**
 * Addresses on our own devices. Only those inside our networks are anybody's business here: link-local ones and what an
 * administrator added stay unseen.
 *
 * The kernel lets one IPv4 address stand twice on a device with two prefix lengths. The narrower one has the plain key then
 * (ours is always a single address), the other's key carries its length.
 */
import type { AddressRecord, Change, Netlink } from "../../ffi/records.ts";
import type { ObjectOf } from "../model/objects.ts";
import type { KindRules, ObservedOf, OperationOn, Outcome } from "../model/plan.ts";
import type { Driver } from "./driver.ts";
import { deviceStandings } from "./links.ts";
import type { LinkTable } from "./link_table.ts";
import { applyChanges, type Translation } from "./outcomes.ts";
import { addressStanding } from "./ownership.ts";

/** IFA_F_NODAD (linux/if_addr.h): on an overlay nobody could answer, and the address would be unusable for a second. */
const NO_DAD = 0x02;

export const addressRules: KindRules<"address"> = {
  kind: "address",
  marks: [],
  needsRecreate: (desired, observed) => desired.fields.length !== observed.fields.length,
  print: ({ fields }) => `${fields.address}/${fields.length} dev ${fields.device}`,
};

export function addressDriver(netlink: Netlink): Driver<"address"> {
  return {
    rules: [addressRules],
    scope: "network",
    read: async (owner, links) => {
      const table = await links();
      const devices = deviceStandings(table, owner);
      if (devices.size === 0) return [];
      const objects = addressObjects(await netlink.addresses(), table);
      return objects.flatMap((object): ObservedOf<"address">[] => {
        const standing = addressStanding(object, owner, devices);
        return standing === null ? [] : [{ ...object, standing }];
      });
    },
    apply: async (operations, links) => {
      const table = await links();
      const translate = (operation: OperationOn<"address">) => translateAddress(operation, table);
      const outcomes = await applyChanges(
        addressRules,
        operations,
        translate,
        (all) => netlink.applyAddresses(all),
      );
      return outcomes.map(explained);
    },
  };
}

/** The kernel denies an IPv6 address where IPv6 is switched off, and says no more. */
function explained({ operation, error }: Outcome): Outcome {
  if (operation.object.kind !== "address") return { operation, error };
  const { device, address } = operation.object.fields;
  if (!error?.includes("(EACCES)") || !address.includes(":")) return { operation, error };
  const setting = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`;
  return { operation, error: `${error}; IPv6 is switched off there: write 0 into ${setting}` };
}

function addressObjects(records: readonly AddressRecord[], table: LinkTable): ObjectOf<"address">[] {
  const taken = new Set<string>();
  return [...records].sort((a, b) => b.length - a.length).flatMap(({ address, length, index }) => {
    const device = table.nameOf(index);
    if (device === null) return [];
    const plain = `${device} ${address}`;
    const key = taken.has(plain) ? `${plain}/${length}` : plain;
    taken.add(plain);
    return [{ kind: "address" as const, key, on: device, fields: { device, address, length } }];
  });
}

function translateAddress(
  { verb, object, before }: OperationOn<"address">,
  table: LinkTable,
): Translation<AddressRecord> {
  const { device } = object.fields;
  const index = table.indexOf(device);
  if (index === null) return verb === "delete" ? [] : { impossible: `there is no device "${device}"` };
  const make: Change<AddressRecord> = { verb: "create", record: record(object, index) };
  if (verb === "delete") return [{ ...make, verb: "delete" }];
  if (!before) return [make];
  const remove: Change<AddressRecord> = { verb: "delete", record: record(before, index) };
  // IPv6 knows an address once per device, whatever its length: there the old one has to go first.
  return make.record.address.includes(":") ? [remove, make] : [make, remove];
}

function record({ fields: { address, length } }: ObjectOf<"address">, index: number): AddressRecord {
  const flags = address.includes(":") ? NO_DAD : 0;
  return { index, address, length, scope: 0, flags };
}
