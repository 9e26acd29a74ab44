/** What becomes of our record, in words. Pure. */
import type { Why } from "../model/identity.ts";
import type { LeaseRecord } from "../model/lease.ts";
import type { Level } from "../observe/log.ts";
import { hostOf } from "../store/host_name.ts";

/** Why our record for `subnets` is written over what stands. */
export function describeWrite(why: Why, subnets: string, over: LeaseRecord): { level: Level; text: string } {
  const writer = `${hostOf(over)}${idOf(over)}`;
  switch (why) {
    case "said anew":
      return { level: "info", text: `published our record for ${subnets} anew` };
    case "proven":
      return { level: "info", text: `nobody objects to our having ${subnets}: it is ours` };
    case "found again":
      return {
        level: "info",
        text: `our record for ${subnets} is written again: we were cut off from the store`,
      };
    case "taken back from a trial":
      return {
        level: "error",
        text: `${writer} tried to take our subnet ${subnets}: it has our public address; taking it back. ` +
          "Give one of the two hosts another address, or another -public-ip",
      };
    case "taken back from a copy":
      return {
        level: "error",
        text:
          `${writer} has written our record for ${subnets} under our id: it is a copy of this host; taking it back. ` +
          "Give the copy another id: stop it, remove its state directory's host-id and start it again",
      };
    case "copied while running":
      return {
        level: "error",
        text:
          `our record for ${subnets} was written in our name, and not by us: this machine was copied while it ran, or ` +
          "somebody writes in the store by hand; going on under another number",
      };
    case "id in use":
      return {
        level: "error",
        text: `another host has our id, and had it first: this host's state directory is a copy; ` +
          `keeping ${subnets}, with a new id and MAC`,
      };
    case "replaced on trial":
    case "written by a host without an id":
    case "written by another host":
    case "part of it is an older record's":
    case "held by a copy":
      throw new Error(`a record that is ${why} is not written`);
  }
}

/** What is said of a new owner, beside its address. */
export function describeOwner(why: Why): string {
  switch (why) {
    case "replaced on trial":
      return ", which had it before";
    case "written by a host without an id":
      return ", a host without an id (flannel, or an older release)";
    case "held by a copy":
      return ", which has our id: it is a copy of this host, or we are one of it";
    case "part of it is an older record's":
      return ", which has a part of it, and had it first";
    default:
      return "";
  }
}

/** For people who compare it with what the other host says of itself. */
function idOf({ mark }: LeaseRecord): string {
  return mark === undefined ? "" : ` (id ${mark.host.slice(0, 8)}…)`;
}
