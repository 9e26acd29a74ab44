/** What `flanneld config check` says of the machine that it runs on. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { run } from "../../src/cli/config/config.ts";
import { notDrawn } from "../../src/cli/config/not_drawn.ts";
import type { Occupied } from "../../src/model/occupied.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { parsePrefix } from "../../src/model/prefix.ts";

const TEXT =
  '{"Network":"10.1.0.0/16","SubnetMin":"10.1.10.0","SubnetMax":"10.1.90.0","Backend":{"Type":"vxlan"}}';
const config = parseNetworkConfig(TEXT);

function has(prefix: string, by: Occupied["by"], device: string | null = "eth0"): Occupied {
  return { prefix: parsePrefix(prefix)!, by, device, bridge: device === "docker0" };
}

const network = (text: string, what: string) =>
  `this host has ${text}, ${what}: it draws no subnet that overlaps it`;

const rows: readonly [name: string, occupied: readonly Occupied[], notes: readonly string[]][] = [
  ["a network with its route is one", [has("10.1.60.0/24", "network"), has("10.1.60.0/24", "route")], [
    network("10.1.60.0/24", "the network of eth0"),
  ]],
  ["the last subnet's last part counts", [has("10.1.90.128/25", "network")], [
    network("10.1.90.128/25", "the network of eth0"),
  ]],
  ["what lies beside the leasable part does not", [
    has("10.1.91.0/24", "network"),
    has("10.1.0.0/21", "network"),
  ], []],
  ["a wider route does not", [has("10.0.0.0/8", "route"), has("10.1.0.0/16", "route")], []],
  ["a route that is as specific does", [has("10.1.20.0/24", "route", null)], [
    network("10.1.20.0/24", "a route that leads nowhere"),
  ]],
  ["docker's own bridge gives way", [has("10.1.30.0/24", "network", "docker0")], []],
];

for (const [name, occupied, notes] of rows) {
  Deno.test(`what this host does not draw: ${name}`, () => assertEquals(notDrawn(config, occupied), notes));
}

Deno.test("config check and explain say it as a note, and it is no error", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, TEXT);
  try {
    for (const action of ["check", "explain"]) {
      let err = "";
      const occupied = () => Promise.resolve([has("10.1.60.0/24", "network")]);
      const io = {
        args: [action, file],
        environment: {},
        occupied,
        out: () => {},
        err: (t: string) => void (err += t),
      };
      assertEquals(await run(io), 0);
      assertStringIncludes(err, "note: this host has 10.1.60.0/24, the network of eth0: ");
    }
  } finally {
    await Deno.remove(file);
  }
});
