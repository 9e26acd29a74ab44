/** Which processes count as another make's daemon that is in our way. */
import { assertEquals } from "@std/assert";
import { findRival } from "../../src/cli/rival.ts";
import type { OtherProcess } from "../../src/system/processes.ts";

const FILE = "/run/flannel/subnet.env";

function process(
  program: string,
  args: string[] = [],
  variables: Record<string, string> = {},
  sockets: string[] = [],
) {
  const found: OtherProcess = {
    pid: 77,
    program,
    args,
    variable: (name) => variables[name],
    holds: (locks) => sockets.some((socket) => locks.has(socket)),
  };
  return found;
}

const inTheWay = (found: OtherProcess, file = FILE) =>
  findRival(file, [found], new Set(["4711"])) !== undefined;

Deno.test("rival: a flanneld for the same subnet file, by flag, variable or default", () => {
  assertEquals(inTheWay(process("flanneld")), true);
  assertEquals(inTheWay(process("flanneld-0.11", ["-ip-masq", "-v", "2"])), true);
  assertEquals(inTheWay(process("flanneld", ["--subnet-file", "/run/b.env"]), "/run/b.env"), true);
  assertEquals(inTheWay(process("flanneld", [], { FLANNELD_SUBNET_FILE: "/run/b.env" }), "/run/b.env"), true);
  assertEquals(inTheWay(process("flanneld", ["-no-such-flag"])), true, "whatever else it is told");
});

Deno.test("rival: another subnet file, another program and one of ours are in nobody's way", () => {
  assertEquals(inTheWay(process("flanneld", ["-subnet-file=/run/b.env"])), false);
  assertEquals(inTheWay(process("flanneld", [], { FLANNELD_SUBNET_FILE: "/run/b.env" })), false);
  assertEquals(inTheWay(process("dockerd")), false);
  assertEquals(inTheWay(process("flanneld", [], {}, ["4711"])), false, "it holds one of our locks");
});
