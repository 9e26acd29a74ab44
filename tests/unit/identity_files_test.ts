/** A host's id in files: made once, kept over restarts and a lost state directory, held by one process at a time. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Identity, type IdentityPlace } from "../../src/control/identity.ts";
import { identityFiles, stateDirectory } from "../../src/control/identity_files.ts";
import { Failure } from "../../src/model/errors.ts";
import type { Subnets } from "../../src/model/lease.ts";
import { parseLeaseKey } from "../../src/model/lease_codec.ts";
import type { Log } from "../../src/observe/log.ts";
import { run } from "../../src/system/exec.ts";
import { systemRandom } from "../../src/system/random.ts";
import { seededRandom } from "../support/clock.ts";
import { MemoryPlace } from "../support/identity.ts";

const SUBNETS = parseLeaseKey("10.3.7.0-24")!;
const OTHERS = parseLeaseKey("10.3.8.0-24")!;

function recording(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return { lines, log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

interface Place {
  /** Of the test, empty. */
  readonly top: string;
  /** Not made yet. */
  readonly state: string;
  /** Not made yet; its directory is. */
  readonly subnetFile: string;
}

async function inDirectory(body: (place: Place) => Promise<void>): Promise<void> {
  const top = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${top}/run`);
    await body({ top, state: `${top}/state/denim`, subnetFile: `${top}/run/subnet.env` });
  } finally {
    await Deno.remove(top, { recursive: true });
  }
}

/** One process after the other on this machine: its id, what it remembered, and what it said. */
async function process(
  { state, subnetFile }: Place,
  { instance = "default", copy = true, holds = null as Subnets | null } = {},
): Promise<{ readonly host: string; readonly subnets: Subnets | null; readonly lines: string[] }> {
  const { log, lines } = recording();
  const files = { directory: state, instance, subnetFile: copy ? subnetFile : null };
  using source = identityFiles(files, systemRandom, log);
  const identity = await source.open();
  const { host, subnets, isNew } = identity;
  assertEquals(isNew, subnets === null);
  if (holds) await identity.hold(holds);
  return { host, subnets, lines: lines.filter((line) => !line.startsWith("debug")) };
}

const modeOf = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o7777;
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

Deno.test("id: made when it is asked for, in both places, for nobody else to read, and found again", () =>
  inDirectory(async (place) => {
    const first = await process(place);
    assert(/^[0-9a-f]{32}$/.test(first.host) && first.subnets === null);
    const text = `{"Host":"${first.host}"}\n`;
    assertEquals(await Deno.readTextFile(`${place.state}/host-id`), text);
    assertEquals(await Deno.readTextFile(`${place.subnetFile}.host-id`), text);
    assertEquals([modeOf(place.state), modeOf(`${place.state}/host-id`)], [0o755, 0o600]);
    assertEquals(modeOf(`${place.subnetFile}.host-id`), 0o600);
    assertEquals(names(place.state), ["host-id", "host-id.lock"]);
    const second = await process(place, { holds: SUBNETS });
    assertEquals([second.host, second.subnets], [first.host, null]);
    const third = await process(place);
    assertEquals([third.host, third.subnets], [first.host, SUBNETS]);
    assertEquals([first.lines, second.lines, third.lines], [[], [], []]);
  }));

Deno.test("id: looking makes and writes nothing, and takes no lock", () =>
  inDirectory(async (place) => {
    const { log } = recording();
    const files = { directory: place.state, instance: "default", subnetFile: place.subnetFile };
    using looking = identityFiles(files, systemRandom, log);
    assertEquals(await looking.look(), null);
    assertEquals([names(place.top), names(`${place.top}/run`)], [["run"], []]);
    const { host } = await process(place, { holds: SUBNETS });
    using running = identityFiles(files, systemRandom, log);
    await running.open();
    assertEquals(await looking.look(), { host, subnets: SUBNETS });
  }));

Deno.test("id: each instance has its own, and none is written beside a subnet file that is not", () =>
  inDirectory(async (place) => {
    const hosts = [
      await process(place, { copy: false }),
      await process(place, { copy: false, instance: "blue" }),
      await process(place, { copy: false, instance: "green" }),
    ].map(({ host }) => host);
    assertEquals(new Set(hosts).size, 3);
    const kept = ["host-id", "host-id.blue", "host-id.green"];
    assertEquals(names(place.state), kept.flatMap((name) => [name, `${name}.lock`]).sort());
    assertEquals(names(`${place.top}/run`), []);
    assertEquals((await process(place, { copy: false, instance: "blue" })).host, hosts[1]);
  }));

Deno.test("id: the copy beside the subnet file serves where the state directory was lost, and brings it back", () =>
  inDirectory(async (place) => {
    const { host } = await process(place, { holds: SUBNETS });
    await Deno.remove(place.state, { recursive: true });
    const again = await process(place);
    assertEquals([again.host, again.subnets, again.lines], [host, SUBNETS, []]);
    const text = await Deno.readTextFile(`${place.state}/host-id`);
    assertEquals(text, `{"Host":"${host}","Subnets":"10.3.7.0-24"}\n`);
    // As after a reboot, which takes the run directory.
    await Deno.remove(`${place.subnetFile}.host-id`);
    const rebooted = await process(place);
    assertEquals([rebooted.host, rebooted.subnets], [host, SUBNETS]);
    assertEquals(await Deno.readTextFile(`${place.subnetFile}.host-id`), text);
  }));

Deno.test("id: the state directory's goes before a copy that is another's", () =>
  inDirectory(async (place) => {
    const { host } = await process(place, { holds: SUBNETS });
    await Deno.writeTextFile(`${place.subnetFile}.host-id`, `{"Host":"${"0".repeat(32)}"}\n`);
    assertEquals((await process(place)).host, host);
    assertEquals(
      await Deno.readTextFile(`${place.subnetFile}.host-id`),
      await Deno.readTextFile(`${place.state}/host-id`),
    );
  }));

Deno.test("id: a state directory that can't be written is told once; the copy serves until the next reboot", () =>
  inDirectory(async (place) => {
    // Nothing can be made below a file, whoever asks.
    await Deno.writeTextFile(`${place.top}/state`, "");
    const { log, lines } = recording();
    const files = { directory: place.state, instance: "default", subnetFile: place.subnetFile };
    const source = identityFiles(files, systemRandom, log);
    const identity = await source.open();
    await identity.hold(SUBNETS);
    await identity.hold(OTHERS);
    source[Symbol.dispose]();
    const warnings = lines.filter((line) => line.startsWith("warn: write"));
    assertEquals(warnings.length, 1, lines.join("\n"));
    assert(warnings[0]!.includes(`${place.state}/host-id`), warnings[0]);
    assert(warnings[0]!.endsWith("this host is known by its address after a reboot, as with flannel"));
    assert(!lines.some((line) => line.startsWith("error")), lines.join("\n"));
    const again = await process(place);
    assertEquals([again.host, again.subnets], [identity.host, OTHERS]);
    await Deno.remove(`${place.subnetFile}.host-id`);
    const rebooted = await process(place);
    assert(rebooted.host !== identity.host);
    assertEquals(rebooted.subnets, null);
  }));

const damaged: readonly [name: string, text: string][] = [
  ["empty", ""],
  ["cut off", '{"Host":"0123456789abcdef0123'],
  ["no object", '"0123456789abcdef0123456789abcdef"'],
  ["a list", '["0123456789abcdef0123456789abcdef"]'],
  ["null", "null"],
  ["an id too short", '{"Host":"0123456789abcdef"}'],
  ["an id in capitals", `{"Host":"${"ABCDEF01".repeat(4)}"}`],
  ["a number", '{"Host":7}'],
  ["zeros, as after a power cut", "\0".repeat(64)],
  ["longer than any of ours", `{"Note":"${"x".repeat(100_000)}","Host":"${"0".repeat(32)}"}`],
];
for (const [name, text] of damaged) {
  Deno.test(`id: a file that is damaged is told, and mended from the copy: ${name}`, () =>
    inDirectory(async (place) => {
      const { host } = await process(place, { holds: SUBNETS });
      await Deno.writeTextFile(`${place.state}/host-id`, text);
      const again = await process(place);
      assertEquals([again.host, again.subnets], [host, SUBNETS]);
      assertEquals(again.lines.length, 1, again.lines.join("\n"));
      assert(again.lines[0]!.includes(`"${place.state}/host-id": it is damaged`), again.lines[0]);
      assertEquals((await process(place)).lines, []);
      await Deno.writeTextFile(`${place.state}/host-id`, text);
      await Deno.remove(`${place.subnetFile}.host-id`);
      const fresh = await process(place);
      assert(/^[0-9a-f]{32}$/.test(fresh.host) && fresh.host !== host && fresh.subnets === null);
      assertEquals((await process(place)).host, fresh.host);
    }));
}

Deno.test("id: subnets that name none are forgotten, the id is kept", () =>
  inDirectory(async (place) => {
    const { host } = await process(place, { holds: SUBNETS });
    for (const subnets of ['"../../etc"', '""', "7", "null", '"10.3.7.1-24"']) {
      await Deno.writeTextFile(`${place.state}/host-id`, `{"Host":"${host}","Subnets":${subnets}}`);
      const again = await process(place);
      assertEquals([again.host, again.subnets], [host, null], subnets);
    }
  }));

Deno.test("id: a directory in the file's place is told, and the copy serves", () =>
  inDirectory(async (place) => {
    const { host } = await process(place);
    await Deno.remove(`${place.state}/host-id`);
    await Deno.mkdir(`${place.state}/host-id`);
    const again = await process(place);
    assertEquals(again.host, host);
    assertEquals(again.lines.length, 2, again.lines.join("\n"));
  }));

Deno.test("id: two processes are never one host, another instance is another", () =>
  inDirectory(async (place) => {
    const { log } = recording();
    const open = (instance: string) => {
      const files = { directory: place.state, instance, subnetFile: null };
      return identityFiles(files, systemRandom, log);
    };
    const first = open("default");
    const { host } = await first.open();
    assertEquals((await first.open()).host, host);
    using second = open("default");
    const refusal = await assertRejects(() => second.open(), Failure);
    assert(refusal.message.includes(`"${place.state}/host-id"`), refusal.message);
    assert(refusal.message.includes("another process on this machine is this host already"));
    assert(/-state-dir .* or an -instance/.test(refusal.message), refusal.message);
    using other = open("blue");
    assert((await other.open()).host !== host);
    const elsewhere = () => run("flock", ["-n", `${place.state}/host-id.lock`, "true"]);
    assertEquals((await elsewhere()).code, 1);
    first[Symbol.dispose]();
    assertEquals((await elsewhere()).code, 0);
    assertEquals((await second.open()).host, host);
  }));

Deno.test("id: the lock of a process that was killed is free", () =>
  inDirectory(async (place) => {
    const { host } = await process(place);
    const holder = new Deno.Command("flock", {
      args: [`${place.state}/host-id.lock`, "sh", "-c", "echo locked; exec cat"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.getReader();
    await reader.read();
    await assertRejects(() => process(place), Failure, "another process");
    // The lock goes with the last process that has the file open: cat's standard input ends with flock's.
    await holder.stdin.close();
    await holder.status;
    await reader.cancel();
    assertEquals((await process(place)).host, host);
  }));

Deno.test("id: the state directory is the service manager's, the first of several, or flannel's own", () => {
  assertEquals(stateDirectory("/var/lib/denim"), "/var/lib/denim");
  assertEquals(stateDirectory("/var/lib/denim:/var/lib/more"), "/var/lib/denim");
  assertEquals([stateDirectory(undefined), stateDirectory("")], ["/var/lib/flannel", "/var/lib/flannel"]);
});

/** A place that can't be written any more. */
function unwritable(text: string | null): IdentityPlace {
  return {
    path: "gone",
    read: () => Promise.resolve(text),
    write: () => Promise.reject(new Failure("write it: read-only file system")),
  };
}

Deno.test("id: a state directory that became read-only still tells who we are", async () => {
  const { log, lines } = recording();
  const text = `{"Host":"${"a".repeat(32)}","Subnets":"10.3.7.0-24"}\n`;
  const place = unwritable(text);
  const identity = await Identity.open([place, new MemoryPlace()], seededRandom(1), log);
  assertEquals([identity.host, identity.isNew, lines], ["a".repeat(32), false, []]);
  await identity.rename("b".repeat(32));
  await identity.hold(OTHERS);
  assertEquals(lines.length, 1, lines.join("\n"));
  assertEquals([identity.host, identity.subnets], ["b".repeat(32), OTHERS]);
});

Deno.test("id: on the disk before it is used; what was left to others is passed until it is held again", async () => {
  const { log } = recording();
  const place = new MemoryPlace();
  const identity = await Identity.open([place], seededRandom(1), log);
  const { host, run } = identity.claimant();
  assertEquals(place.text, `{"Host":"${host}"}\n`);
  assertEquals(identity.claimant(), { host, run, isNew: true, passed: [] });
  identity.pass(SUBNETS);
  identity.pass(OTHERS);
  identity.pass(SUBNETS);
  assertEquals(identity.claimant().passed, [SUBNETS, OTHERS]);
  await identity.hold(SUBNETS);
  assertEquals(identity.claimant(), { host, run, isNew: false, passed: [OTHERS] });
  const next = identity.newHost();
  await identity.rename(next);
  assertEquals(place.text, `{"Host":"${next}","Subnets":"10.3.7.0-24"}\n`);
  const again = await Identity.open([place], seededRandom(2), log);
  assertEquals([again.host, again.subnets, again.claimant().passed], [next, SUBNETS, []]);
  assert(again.run !== run);
});
