/** What other programs say, and what we say of foreign words: iptables-save, HTTP requests, the log, metrics, health answers. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { normalRule, parseSaved, ruleWords } from "../../src/kernel/firewall/save_text.ts";
import { parseInterfaceAddress, parsePrefix } from "../../src/model/prefix.ts";
import { formatIp, parseIp } from "../../src/model/ip.ts";
import { parseMac } from "../../src/model/mac.ts";
import { healthRoutes } from "../../src/observe/health.ts";
import { readRequest } from "../../src/observe/http_request.ts";
import { metricsText } from "../../src/observe/metrics.ts";
import { createLog, logFormats } from "../../src/observe/writers.ts";
import { systemClock } from "../../src/system/clock.ts";
import { fuzz, long, noise, soup } from "../support/fuzzing.ts";

const saveWords = [
  "*nat",
  ":X - [0:0]",
  "-A X ",
  "[1:2] ",
  "COMMIT",
  "\n",
  '"',
  "\\",
  " ",
  "-s 10.1.0.0/16",
  "-j Y",
  "#",
];

fuzz("iptables-save is read, and a rule has one spelling", soup(saveWords), (text) => {
  for (const chains of parseSaved(text).values()) {
    for (const rule of [...chains.values()].flat()) assertEquals(normalRule(rule), rule);
  }
});

fuzz("a rule's words survive being written", soup(saveWords), (text) => {
  const words = ruleWords(text);
  assertEquals(ruleWords(normalRule(text)), words);
});

/** A connection that says these bytes in these pieces, and is read to the end of what we want. */
function saying(bytes: Uint8Array, pieces: readonly number[]): Deno.Conn {
  let at = 0;
  let turn = 0;
  const read = (into: Uint8Array) => {
    if (at >= bytes.length) return Promise.resolve(null);
    const length = Math.min(into.length, bytes.length - at, pieces[turn++ % pieces.length] ?? 1);
    into.set(bytes.subarray(at, at + length));
    at += length;
    return Promise.resolve(length);
  };
  return { read } as Deno.Conn;
}

const requestWords = [
  "GET ",
  "HEAD ",
  "/healthz",
  "?a=b",
  " HTTP/1.1",
  "\r\n",
  "\n",
  "Host: x",
  "http://h",
  ":",
  " ",
  "\0",
];

fuzz(
  "a request is the same however it comes in pieces",
  fc.tuple(soup(requestWords), fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 })),
  async ([text, pieces]) => {
    const bytes = new TextEncoder().encode(text);
    const whole = await readRequest(saying(bytes, [1 << 20]));
    assertEquals(await readRequest(saying(bytes, pieces)), whole);
    if (typeof whole === "object" && whole !== null) assertMatch(whole.path, /^\/[^? ]*$/);
  },
);

fuzz(
  "a message is one line in each format, and nothing a terminal would act on",
  fc.tuple(noise, noise),
  ([message, of]) => {
    for (const format of logFormats) {
      const lines: string[] = [];
      const log = createLog({
        format,
        verbosity: 6,
        write: (line) => lines.push(line),
        clock: systemClock(),
      });
      log.warn(message, { of });
      assertEquals(lines.length, 1);
      assertMatch(lines[0]!, /^[^\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]*\n$/u);
      if (format === "json") assertEquals(JSON.parse(lines[0]!).of, of);
    }
  },
);

fuzz(
  "a health answer has a line for each note, and nothing a terminal would act on",
  fc.array(noise),
  (notes) => {
    const { body } = healthRoutes(() => ({ ready: true, reasons: [], notes })).get("/readyz")!();
    const lines = body.split("\n");
    assert(lines.length <= notes.length + 1 && lines.length >= Math.min(notes.length, 10) + 1);
    for (const line of lines) assertMatch(line, /^[^\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]*$/u);
  },
);

fuzz(
  "metrics are lines of the exposition format",
  fc.tuple(noise, noise, fc.nat()),
  ([device, subnet, packets]) => {
    const peer = { sentPackets: packets, sentBytes: 0, receivedPackets: 0, receivedBytes: 0 };
    const statistics = {
      ...peer,
      sentMessages: 1,
      receivedMessages: 0,
      icmpSent: 0,
      drops: { full: 1 },
      features: [],
      sender: "raw",
      peers: [peer],
    };
    const reports = [{ device, statistics, subnets: [subnet] }] as unknown as Parameters<
      typeof metricsText
    >[0];
    for (const line of metricsText(reports).trimEnd().split("\n")) {
      if (!line.startsWith("# ")) assertMatch(line, /^\w+\{(\w+="(\\[\\n"]|[^\\"\n])*",?)+\} \d+$/);
    }
  },
);

fuzz(
  "addresses are null or a value with one spelling",
  soup(["1", "255", ".", ":", "::", "f", "0", "/", "24", "-", "%eth0"]),
  (text) => {
    const ip = parseIp(text);
    if (ip !== null) assertEquals(parseIp(formatIp(ip)), ip);
    assertEquals(parsePrefix(text) === null, parseInterfaceAddress(text) === null);
    const mac = parseMac(text);
    if (mac !== null) assertMatch(mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  },
);

long("iptables-save", {
  "escaped quotes": ['*nat\n:X - [0:0]\n-A X "', '\\"', ""],
  "open quotes": ["*nat\n:X - [0:0]\n-A X ", 'a"b\\', ""],
  "blanks": ["*nat\n:X - [0:0]\n-A X a", " ", "b"],
  "rules": ["*nat\n:X - [0:0]\n", "-A X -j Y\n", ""],
}, parseSaved);

long(
  "addresses",
  { "groups": ["", "0:", "1"], "digits": ["", "1", ""], "hyphens": ["", "00-", "00"] },
  (text) => {
    parseIp(text);
    parsePrefix(text);
    parseMac(text);
  },
);

long(
  "an HTTP request",
  { "nothing": ["GET / ", "x", ""] },
  (text) => readRequest(saying(new TextEncoder().encode(text), [7])),
);
