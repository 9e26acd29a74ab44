/**
 * Kernel settings below /proc/sys.
 *
 * Nothing marks a setting as ours. Read back are `accept_ra` of our devices and whatever this process has set, so that
 * it is seen when somebody changes it. Deleting one means to care no longer: the value stays, for nobody knows what it would be
 * otherwise. On a kernel without IPv6 no device accepts router advertisements, whatever files there are: that reads as 0.
 */
import type { ObjectOf } from "../model/objects.ts";
import type { KindRules, ObservedOf, OperationOn, Outcome } from "../model/plan.ts";
import { osErrorCode, osErrorText } from "../system/os_error.ts";
import type { Driver, LinkSource } from "./driver.ts";
import type { Owner } from "../model/owner.ts";
import { deviceStandings } from "./links.ts";
import { failed, succeeded } from "./outcomes.ts";
import { sysctlStanding } from "./ownership.ts";

/** Names as paths below /proc/sys: `net/ipv6/conf/flannel.1/accept_ra`. */
export interface SysctlAccess {
  /** The value without its line end; null where there is no such setting. */
  read(name: string): Promise<string | null>;
  /** @throws where there is none, or it can't be written */
  write(name: string, value: string): Promise<void>;
}

export const procSys: SysctlAccess = {
  read: async (name) => {
    try {
      return (await Deno.readTextFile(`/proc/sys/${name}`)).trimEnd();
    } catch (thrown) {
      // What may not even be read is as good as absent: nothing else must wait for it.
      if (thrown instanceof Deno.errors.NotFound || isForbidden(thrown)) return null;
      throw thrown;
    }
  },
  write: (name, value) => Deno.writeTextFile(`/proc/sys/${name}`, value, { create: false }),
};

export const sysctlRules: KindRules<"sysctl"> = {
  kind: "sysctl",
  marks: [],
  needsRecreate: () => false,
  print: ({ key, fields }) => `${key} = ${fields.value}`,
};

export function sysctlDriver(access: SysctlAccess): Driver<"sysctl"> {
  const cared = new Set<string>();
  const released = new Set<string>();
  return {
    rules: [sysctlRules],
    scope: "network",
    read: async (owner, links) => {
      const devices = deviceStandings(await links(), owner);
      const names = new Set([...acceptRa(owner), ...cared].filter((name) => !released.has(name)));
      const found = await Promise.all([...names].map((name) => readOne(access, name)));
      return found.flatMap((object): ObservedOf<"sysctl">[] => {
        const standing = object && sysctlStanding(object, devices);
        return standing ? [{ ...object, standing }] : [];
      });
    },
    apply: async (operations, links) => {
      const outcomes: Outcome[] = [];
      for (const operation of operations) {
        const [gains, loses] = operation.verb === "delete" ? [released, cared] : [cared, released];
        gains.add(operation.object.key);
        loses.delete(operation.object.key);
        outcomes.push(
          operation.verb === "delete" ? succeeded(operation) : await write(access, operation, links),
        );
      }
      return outcomes;
    },
  };
}

function acceptRa(owner: Owner): string[] {
  return owner.devices.map((device) => `net/ipv6/conf/${device}/accept_ra`);
}

async function readOne(access: SysctlAccess, name: string): Promise<ObjectOf<"sysctl"> | null> {
  const value = await access.read(name) ?? await valueWithoutIpv6(access, name);
  if (value === null) return null;
  const device = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(name)?.[1];
  const on = device === undefined || device === "all" || device === "default" ? {} : { on: device };
  return { kind: "sysctl", key: name, ...on, fields: { value } };
}

async function valueWithoutIpv6(access: SysctlAccess, name: string): Promise<string | null> {
  if (!name.endsWith("/accept_ra")) return null;
  return await access.read("net/ipv6/conf/all/accept_ra") === null ? "0" : null;
}

async function write(
  access: SysctlAccess,
  operation: OperationOn<"sysctl">,
  links: LinkSource,
): Promise<Outcome> {
  try {
    await access.write(operation.object.key, operation.object.fields.value);
    return succeeded(operation);
  } catch (thrown) {
    return failed(sysctlRules, operation, await whyNot(operation.object, thrown, links));
  }
}

/** A device takes its settings with it: then that is said, as of all else that stands on a device. */
async function whyNot({ on }: ObjectOf<"sysctl">, thrown: unknown, links: LinkSource): Promise<string> {
  const absent = thrown instanceof Deno.errors.NotFound && on !== undefined;
  if (absent && (await links()).indexOf(on) === null) return `there is no device "${on}"`;
  return `${osErrorText(thrown)}${isForbidden(thrown) ? fromOutside : ""}`;
}

/** As in a container that is not privileged: /proc/sys is mounted read-only. */
function isForbidden(thrown: unknown): boolean {
  return ["EROFS", "EACCES", "EPERM"].includes(osErrorCode(thrown) ?? "");
}

const fromOutside =
  "; /proc/sys is closed to this container or unit: set net.ipv6.conf.default.accept_ra=0 " +
  "for it from outside (docker run --sysctl)";
