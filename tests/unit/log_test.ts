/** The log's formats, line by line. */
import { assertEquals, assertMatch } from "@std/assert";
import { closeSync, openSync } from "node:fs";
import { createLog, type LogFormat, logFormats } from "../../src/observe/writers.ts";
import type { Log } from "../../src/observe/log.ts";
import { systemClock } from "../../src/system/clock.ts";
import { isJournal } from "../../src/system/journal.ts";

const wall = Date.UTC(2026, 5, 29, 14, 28, 35, 866);

function written(format: LogFormat, use: (log: Log) => void, verbosity = 0, journal = false): string[] {
  const lines: string[] = [];
  const clock = { ...systemClock(), wall: () => wall };
  use(createLog({ format, verbosity, journal, write: (line) => lines.push(line), clock }));
  return lines;
}

Deno.test("text: time, level and message; what fields say stands in the message", () => {
  assertEquals(
    written("text", (log) => {
      log.info("Lease renewed", { subnet: "10.5.72.0/24" });
      log.warn("route in the way");
    }),
    [
      "2026-06-29T14:28:35.866Z info  Lease renewed\n",
      "2026-06-29T14:28:35.866Z warn  route in the way\n",
    ],
  );
});

Deno.test("journal: its priorities, no time of ours; klog and json stay what they are", () => {
  const say = (log: Log) => {
    log.error("a\nb");
    log.warn("c");
    log.info("d");
    log.debug("e");
  };
  assertEquals(written("text", say, 1, true), ["<3>a\\nb\n", "<4>c\n", "<6>d\n", "<7>e\n"]);
  for (const format of ["klog", "json"] as const) {
    assertEquals(written(format, say, 1, true), written(format, say, 1));
  }
});

Deno.test("the journal is known by device and inode of what stderr is", async () => {
  const path = await Deno.makeTempFile();
  const descriptor = openSync(path, "r");
  try {
    const { dev, ino } = await Deno.stat(path);
    assertEquals(isJournal(`${dev}:${ino}`, descriptor), true);
    for (
      const other of [`${dev}:${ino! + 1}`, `${dev + 1}:${ino}`, `${dev}:${ino} `, `${ino}`, "", undefined]
    ) {
      assertEquals(isJournal(other, descriptor), false, other);
    }
    assertEquals(isJournal(`${dev}:${ino}`, 9999), false);
  } finally {
    closeSync(descriptor);
    await Deno.remove(path);
  }
});

Deno.test("klog: the header that log collectors know", () => {
  const [info, warn, error] = written("klog", (log) => {
    log.info("Running backend.");
    log.warn("careful");
    log.error("no lease", { subnet: "10.5.72.0/24" });
  });
  const header = /^I\d{4} \d\d:\d\d:\d\d\.\d{6} [ \d]{6}\d \S+:\d+\] Running backend\.\n$/;
  assertMatch(info!, header);
  assertEquals([warn![0], error![0]], ["W", "E"]);
  assertEquals(error!.slice(error!.indexOf("] ")), "] no lease\n");
});

Deno.test("json: one object a line, its own members safe from fields", () => {
  const [line] = written(
    "json",
    (log) => log.error("failed", { level: "x", count: 3, gone: undefined, none: null, peers: ["a", "b"] }),
  );
  assertEquals(JSON.parse(line!), {
    time: "2026-06-29T14:28:35.866Z",
    level: "error",
    message: "failed",
    level_: "x",
    count: 3,
    none: null,
    peers: ["a", "b"],
  });
});

Deno.test("debug messages need verbosity", () => {
  for (const format of logFormats) {
    assertEquals(written(format, (log) => log.debug("x")).length, 0);
    assertEquals(written(format, (log) => log.debug("x"), 1).length, 1);
  }
});

Deno.test("an event is one line and has no control characters, whatever the store holds", () => {
  for (const format of logFormats) {
    const [line] = written(format, (log) => log.info("a\nb\x1b[31m\x9b", { key: "c\r\nd\u2028" }));
    // deno-lint-ignore no-control-regex -- that there are none is the point
    assertMatch(line!, /^[^\x00-\x1f\x7f-\x9f\u2028]+\n$/);
  }
});

Deno.test("what turns the direction of writing is spelt out", () => {
  const [line] = written(
    "text",
    (log) => log.warn("peer \u202e42.0/24\u2066 refused \u200fx"),
  );
  assertEquals(line, "2026-06-29T14:28:35.866Z warn  peer \\u202e42.0/24\\u2066 refused \\u200fx\n");
});
