/** Configuration from files and texts: what is told, when, and how often. */
import { assertEquals } from "@std/assert";
import {
  type ConfigSource,
  fileConfigSource,
  literalConfigSource,
  readConfig,
} from "../../src/store/config_source.ts";
import { systemClock } from "../../src/system/clock.ts";
import { Reader } from "../store/harness.ts";
import { FakeClock } from "../support/clock.ts";

const GOOD = '{"Network": "10.3.0.0/16"}';
const OTHER = '{"Network": "10.4.0.0/16"}';

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "config_source_" });
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function test(name: string, body: (directory: string) => Promise<void>): void {
  Deno.test({ name, sanitizeOps: true, sanitizeResources: true, fn: () => inDirectory(body) });
}

const brief = (reading: { type: string; text?: string; error?: string }) =>
  reading.text ?? reading.error?.replace(/^.*": /, "");

test("config source: a file's changes, each problem once, and the old text again after a problem", async (directory) => {
  const path = `${directory}/net-conf.json`;
  const source = fileConfigSource(path, systemClock());
  await Deno.writeTextFile(path, GOOD);
  await using readings = new Reader((signal) => readConfig(source, signal));
  await readings.until("the text", (reading) => brief(reading) === GOOD);
  await Deno.remove(path);
  await readings.until("its absence", (reading) => reading.type === "problem");
  await Deno.mkdir(path);
  await readings.until(
    "a directory in its place",
    (reading) => brief(reading)?.startsWith("is a directory; give") ?? false,
  );
  await Deno.remove(path);
  await Deno.writeTextFile(path, GOOD);
  await readings.until(
    "the text again",
    () => readings.seen.length >= 4 && brief(readings.seen.at(-1)!) === GOOD,
  );
  await Deno.writeTextFile(path, GOOD);
  await Deno.writeTextFile(`${directory}/beside`, "x");
  await Deno.writeTextFile(path, OTHER);
  await readings.until("the other text", (reading) => brief(reading) === OTHER);
  assertEquals(readings.seen.filter((reading) => brief(reading) === GOOD).length, 2);
});

test("config source: a mounted ConfigMap changes by a rename beside the file", async (directory) => {
  for (const [version, text] of [["v1", GOOD], ["v2", OTHER]] as const) {
    await Deno.mkdir(`${directory}/..${version}`);
    await Deno.writeTextFile(`${directory}/..${version}/net-conf.json`, text);
  }
  await Deno.symlink("..v1", `${directory}/..data`);
  await Deno.symlink("..data/net-conf.json", `${directory}/net-conf.json`);
  const source = fileConfigSource(`${directory}/net-conf.json`, systemClock());
  await using readings = new Reader((signal) => readConfig(source, signal));
  await readings.until("the first", (reading) => brief(reading) === GOOD);
  await Deno.symlink("..v2", `${directory}/..data_tmp`);
  await Deno.rename(`${directory}/..data_tmp`, `${directory}/..data`);
  await readings.until("the second", (reading) => brief(reading) === OTHER);
  assertEquals(readings.seen.length, 2);
});

test("config source: a directory that comes later is found by polling", async (directory) => {
  const clock = new FakeClock();
  const source = fileConfigSource(`${directory}/later/net-conf.json`, clock);
  await using readings = new Reader((signal) => readConfig(source, signal));
  await clock.advance(60_000);
  assertEquals(readings.seen.map(({ type }) => type), ["problem"]);
  await Deno.mkdir(`${directory}/later`);
  await Deno.writeTextFile(`${directory}/later/net-conf.json`, GOOD);
  await clock.advance(6_000);
  assertEquals(readings.seen.map(({ type }) => type), ["problem", "config"]);
});

test("config source: a given text is told once and ends on abort", async () => {
  await using readings = new Reader((signal) => readConfig(literalConfigSource(GOOD), signal));
  await readings.until("the text", (reading) => reading.type === "config");
  assertEquals(readings.seen.length, 1);
});

test("config source: what amounts to the same problem is told once", async () => {
  const source: ConfigSource = {
    name: "a test",
    async *watch() {
      for (const text of ['{"Network": 1}', '{ "Network":1 }', GOOD, GOOD, "{"]) {
        yield { type: "text", text } as const;
      }
    },
  };
  await using readings = new Reader((signal) => readConfig(source, signal));
  await readings.until("the last", () => readings.seen.length === 3);
  assertEquals(readings.seen.map(({ type }) => type), ["problem", "config", "problem"]);
});
