/** How long things lasted, in words and in the log. */
import { assertEquals } from "@std/assert";
import { describeDuration } from "../../src/model/duration.ts";
import { Lasting } from "../../src/observe/lasting.ts";
import type { Log, LogFields } from "../../src/observe/log.ts";
import { ReadinessLog } from "../../src/control/readiness_log.ts";
import { processStarted } from "../../src/system/processes.ts";

interface Said {
  readonly level: string;
  readonly text: string;
  readonly fields: LogFields | undefined;
}

function listening(): { log: Log; said: Said[]; texts: () => string[] } {
  const said: Said[] = [];
  const at = (level: string) => (text: string, fields?: LogFields) => void said.push({ level, text, fields });
  const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return { log, said, texts: () => said.splice(0).map(({ level, text }) => `${level}: ${text}`) };
}

Deno.test("a duration has two units at most", () => {
  const s = 1_000;
  const cases: [number, string][] = [
    [-5, "0 ms"],
    [0.4, "0 ms"],
    [340, "340 ms"],
    [999.6, "1 s"],
    [59.9 * s, "59 s"],
    [60 * s, "1 m 0 s"],
    [192 * s, "3 m 12 s"],
    [(2 * 60 + 5) * 60 * s, "2 h 5 m"],
    [(3 * 24 + 4) * 3600 * s, "3 d 4 h"],
  ];
  for (const [ms, text] of cases) assertEquals(describeDuration(ms), text);
});

Deno.test("a condition is told when it begins, when it changes and when it is over, with how long it was", () => {
  let now = 0;
  const { log, texts, said } = listening();
  const trouble = new Lasting(log, { boot: () => now });
  trouble.over("fine again");
  trouble.is("a", "text of a");
  trouble.is("a", "text of a, said another way");
  assertEquals([texts(), trouble.what], [["warn: text of a"], "a"]);
  now = 100_000;
  trouble.is("b", "text of b", { error: "b" });
  now = 192_000;
  trouble.over("fine again", { device: "eth0" });
  trouble.over("fine again");
  assertEquals(said.map(({ fields }) => fields), [{ error: "b" }, { device: "eth0", durationMs: 192_000 }]);
  assertEquals([texts(), trouble.what], [["warn: text of b", "info: fine again after 3 m 12 s"], null]);
  trouble.is("b", "text of b");
  now += 10;
  trouble.over("fine again");
  assertEquals(texts(), ["warn: text of b", "info: fine again after 10 ms"]);
});

Deno.test("readiness: how long the start took, why it is gone, and for how long", () => {
  let now = 5_000;
  const { log, texts, said } = listening();
  const told = new ReadinessLog(log, { boot: () => now }, 4_000);
  const not = (...reasons: string[]) => ({ ready: false, reasons, notes: [] });
  const ready = { ready: true, reasons: [], notes: [] };
  told.look(not("starting"), 0);
  assertEquals(texts(), []);
  now = 5_240;
  for (let i = 0; i < 3; i++) told.look(ready, 7);
  assertEquals(said[0]?.fields, { peers: 7, durationMs: 1_240 });
  assertEquals(texts(), ["info: ready: 7 peers in 1240 ms"]);
  told.look(not("route lost", "disk full"), 7);
  told.look(not("disk full"), 7);
  assertEquals(said[0]?.fields, { reasons: ["route lost", "disk full"] });
  assertEquals(texts(), ["warn: not ready: route lost (and 1 more, see /readyz)"]);
  now += 192_000;
  told.look(ready, 8);
  assertEquals(texts(), [
    "info: ready again after 3 m 12 s: 8 peers; it was: route lost (and 1 more, see /readyz)",
  ]);
});

Deno.test("readiness: a start that takes long says what it waits for, once", () => {
  let now = 0;
  const { log, texts } = listening();
  const told = new ReadinessLog(log, { boot: () => now }, 0);
  for (; now < 40_000; now += 1_000) {
    told.look({ ready: false, reasons: ["the store was not read yet"], notes: [] }, 0);
  }
  told.look({ ready: true, reasons: [], notes: [] }, 2);
  assertEquals(texts(), [
    "warn: not ready after 15 s: the store was not read yet",
    "info: ready: 2 peers in 40000 ms",
  ]);
});

Deno.test("when a process was started is known, whatever its name is", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${root}/self`);
    const numbers = Array.from({ length: 49 }, (_, i) => i === 18 ? 12_345 : 7);
    await Deno.writeTextFile(`${root}/self/stat`, `4242 (a ) (b\n) S ${numbers.join(" ")}\n`);
    assertEquals([processStarted(root), processStarted(`${root}/nothing`)], [123_450, null]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
  const [up = "0"] = (await Deno.readTextFile("/proc/uptime")).split(" ");
  const age = Number(up) * 1_000 - processStarted()!;
  assertEquals(age + 20 > performance.now(), true, `${age} ms`);
});
