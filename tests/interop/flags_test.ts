/**
 * Our command line beside that of upstream's real daemons: what their `-help` lists, what they say first to a wrong one, and
 * the exit codes. Nothing of it gets as far as the network.
 */
import { assertEquals } from "@std/assert";
import { usage } from "../../src/cli/help.ts";
import { daemonCommand } from "../support/daemon.ts";
import { peerBinary } from "../support/peers.ts";
import { type Output, output } from "../support/process.ts";

/** The first line on stderr has to be the same but for what we add behind it. */
const WRONG: readonly (readonly string[])[] = [
  ["-xyz"],
  ["--xyz=1"],
  ["-healthz-port=abc"],
  ["-healthz-port", ""],
  ["-iptables-resync=08"],
  ["-subnet-lease-renew-margin=99999999999999999999"],
  ["-ip-masq=yes"],
  ["-iface"],
  ["---iface"],
  ["-=x"],
  ["-xyz", "-version"],
];

/** Where only the exit code and the stream are the same. */
const OTHERS: readonly (readonly string[])[] = [
  ["-version"],
  ["--version=true", "words", "after"],
  ["-h"],
  ["-help"],
  ["-v=0x1"],
  ["-subnet-lease-renew-margin=0"],
  ["-subnet-lease-renew-margin=1440"],
];

for (const peer of ["flanneld-0.11", "flanneld-0.28"]) {
  const binary = peerBinary(peer);
  const test = (name: string, fn: (binary: string) => Promise<void> | void) =>
    Deno.test({
      name: `${peer}: ${name}${binary === null ? ` [needs upstream's ${peer} in DENIM_PEERS]` : ""}`,
      ignore: binary === null,
      fn: () => fn(binary!),
    });

  test("every flag that its -help lists is in ours, with type and default", async (binary) => {
    const theirs = listed((await output([binary, "-help"])).stderr);
    assertEquals(theirs.length > 20, true);
    const ours = new Set(listed(usage("flanneld", {})));
    assertEquals(theirs.filter((flag) => !ours.has(flag)), []);
  });

  test("the first words to a wrong command line, and exit codes", async (binary) => {
    for (const args of [...WRONG, ...OTHERS]) {
      const [theirs, ours] = await Promise.all([ended(binary, args), oursWithTheirCodes(args)]);
      assertEquals([args, ours.code], [args, theirs.code]);
      if (WRONG.includes(args)) assertEquals(firstWords(ours, theirs), theirs.stderr.split("\n")[0]);
    }
  });
}

/** `-name type (default …)` of each flag. */
function listed(help: string): string[] {
  return help.split("\n  -").slice(1).map((part) => {
    const [head = "", text = ""] = part.split("\n");
    return head + (/ \(default .*?\)/.exec(text)?.[0] ?? "");
  });
}

function ended(binary: string, args: readonly string[]): Promise<Output> {
  return output([binary, ...args]);
}

function oursWithTheirCodes(args: readonly string[]): Promise<Output> {
  return output([...daemonCommand(), ...args], {
    env: { FLANNELD_UPSTREAM_EXIT_CODES: "true", NO_COLOR: "1" },
  });
}

/** As much of our first line as theirs is long. */
function firstWords(ours: Output, theirs: Output): string {
  return ours.stderr.slice(0, theirs.stderr.indexOf("\n"));
}
