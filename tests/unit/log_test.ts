/** The log's formats, line by line. */
import { assertEquals, assertMatch } from "@std/assert";
import { createLog, type LogFormat, logFormats } from "../../src/observe/writers.ts";
import type { Log } from "../../src/observe/log.ts";
import { systemClock } from "../../src/system/clock.ts";

const wall = Date.UTC(2026, 5, 29, 14, 28, 35, 866);

function written(format: LogFormat, use: (log: Log) => void, verbosity = 0): string[] {
  const lines: string[] = [];
  const clock = { ...systemClock(), wall: () => wall };
  use(createLog({ format, verbosity, write: (line) => lines.push(line), clock }));
  return lines;
}

Deno.test("text: time, level, message, fields", () => {
  assertEquals(
    written("text", (log) => {
      log.info("Lease renewed", { subnet: "10.5.72.0/24", tries: 2, missing: undefined, none: null });
      log.warn("route in the way", { route: "10.5.9.0/24 via 192.0.2.1", say: 'a "b" \\' });
    }),
    [
      "2026-06-29T14:28:35.866Z info  Lease renewed subnet=10.5.72.0/24 tries=2 none=null\n",
      "2026-06-29T14:28:35.866Z warn  route in the way " +
      'route="10.5.9.0/24 via 192.0.2.1" say="a \\"b\\" \\\\"\n',
    ],
  );
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
  assertEquals(error!.slice(error!.indexOf("] ")), "] no lease subnet=10.5.72.0/24\n");
});

Deno.test("json: one object a line, its own members safe from fields", () => {
  const [line] = written("json", (log) => log.error("failed", { level: "x", count: 3, gone: undefined }));
  assertEquals(JSON.parse(line!), {
    time: "2026-06-29T14:28:35.866Z",
    level: "error",
    message: "failed",
    level_: "x",
    count: 3,
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
    (log) => log.warn("peer \u202e42.0/24\u2066 refused", { backend: "\u200fx" }),
  );
  assertEquals(line, "2026-06-29T14:28:35.866Z warn  peer \\u202e42.0/24\\u2066 refused backend=\\u200fx\n");
});
