/** `flanneld config` on files: what it says of right, odd and wrong configurations, and which words it takes. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { explain } from "../../src/cli/config/explain.ts";
import { run } from "../../src/cli/config/config.ts";
import { Failure, UsageError } from "../../src/model/errors.ts";

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function config(...args: string[]): Promise<Ended> {
  let [out, err] = ["", ""];
  const io = {
    args,
    environment: {},
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
  };
  return { code: await run(io), out, err };
}

/** Runs on a file with this text. */
async function on(text: string, body: (file: string) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, text);
    await body(file);
  } finally {
    await Deno.remove(file);
  }
}

const wide = `{"Network":"10.0.0.0/8","SubnetLen":20,"SubnetMin":"10.10.0.0","SubnetMax":"10.99.0.0",
  "Backend":{"Type":"vxlan","Port":7890}}`;
const usual = `{"Network":"10.1.0.0/16","SubnetLen":24,"SubnetMin":"10.1.10.0","SubnetMax":"10.1.90.0",
  "Backend":{"Type":"vxlan"}}`;

Deno.test("config explain: subnets, addresses, MTU, and what every default became", async () => {
  await on(usual, async (file) => {
    const { code, out, err } = await config("explain", file);
    assertEquals([code, err], [0, ""]);
    assertEquals(
      out.split("\n\n")[0],
      [
        "Network 10.1.0.0/16",
        "  subnets     81, one for each host: 10.1.10.0/24 to 10.1.90.0/24",
        "  addresses   256 in each; 253 for containers, all but the first, the bridge's and the last",
        "  containers  20493 on all hosts together",
        "  MTU         1450, where the network between the hosts has 1500",
      ].join("\n"),
    );
    assertStringIncludes(out, "  SubnetMin       10.1.10.0\n");
    assertStringIncludes(out, "  EnableIPv6      false (default)\n");
    assertStringIncludes(out, "  Port            0 (Linux's own, 8472; default)\n");
  });
  await on(wide, async (file) => {
    const { out } = await config("explain", "--mtu", "9000", file);
    assertStringIncludes(out, "  subnets     1425, one for each host: 10.10.0.0/20 to 10.99.0.0/20\n");
    assertStringIncludes(out, "  addresses   4096 in each; 4093 for containers");
    assertStringIncludes(out, "  MTU         8950, where the network between the hosts has 9000\n");
    assertStringIncludes(out, "  Port            7890\n");
  });
  await on('{"Network":"10.1.0.0/16"}', async (file) => {
    assertStringIncludes(
      (await config("explain", file)).out,
      "\nBackend udp (default)\n  Port            8285 (default)\n",
    );
  });
  await on('{"Network":"10.1.0.0/16","SubnetMin":"0.0.0.0","Backend":{"Type":"host-gw"}}', async (file) => {
    const { out } = await config("explain", file);
    assertStringIncludes(out, "  subnets     255, one for each host: 10.1.1.0/24 to 10.1.255.0/24\n");
    assertStringIncludes(out, "  MTU         1500, where");
    assertStringIncludes(out, "  SubnetLen       24 (default)\n  SubnetMin       10.1.1.0 (default)\n");
  });
});

Deno.test("config explain --json: exact counts, members with their defaults, both families", async () => {
  const text =
    `{"Network":"10.1.0.0/16","EnableIPv6":true,"IPv6Network":"fd00:1::/48","Backend":{"Type":"vxlan"}}`;
  await on(text, async (file) => {
    const { code, out } = await config("explain", file, "--json");
    assertEquals(code, 0);
    assertStringIncludes(out, '"containers": 18446744073709551614');
    const told = JSON.parse(out);
    assertEquals([told.source, told.valid, told.problems], [file, true, []]);
    assertEquals(told.families.map((each: { mtu: number }) => each.mtu), [1450, 1430]);
    assertEquals(told.backend.members.VNI, 1);
    assertEquals(told.members.IPv6SubnetMin, "fd00:1:0:1::");
    assertEquals(told.defaulted.slice(0, 5), [
      "EnableIPv4",
      "SubnetLen",
      "SubnetMin",
      "SubnetMax",
      "IPv6SubnetLen",
    ]);
    assertEquals(told.notes, ["every host takes a subnet of each family: 255 hosts at most"]);
  });
});

Deno.test("config check: one line and 0, or every problem with field, value and rule, and 1", async () => {
  await on(usual, async (file) => {
    assertEquals(await config("check", file), {
      code: 0,
      out: "10.1.0.0/16: 81 subnets of /24, vxlan\n",
      err: "",
    });
  });
  const cases: [string, string][] = [
    [
      '{"Network":"10.1.0.0/16","SubnetLen":17}',
      "must be able to accommodate at least four subnets: /17 subnets",
    ],
    [
      '{"Network":"10.1.0.0/16","SubnetMax":"10.1.9.7"}',
      "SubnetMax is not on a SubnetLen boundary: 10.1.9.7",
    ],
    [
      '{"Network":"10.1.0.0/16","SubnetMin":"10.1.9.0","SubnetMax":"10.1.3.0"}',
      "SubnetMin is greater than SubnetMax: 10.1.9.0",
    ],
    [
      '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","VNI":"1"}}',
      'Backend.VNI "1": must be a whole number from 0 to 16777215',
    ],
    ['{"Network":"10.1.0.0/16","Backend":{"Type":"vxlam"}}', "unknown backend type: vxlam"],
    [
      '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","MTU":60}}',
      "an MTU of 10 is left inside the tunnel",
    ],
    ["{", "it is not JSON"],
  ];
  for (const [text, says] of cases) {
    await on(text, async (file) => {
      const { code, out, err } = await config("check", file);
      assertEquals([code, out], [1, ""], text);
      assertStringIncludes(err, `check the network configuration "${file}": `);
      assertStringIncludes(err, says);
      assertEquals(JSON.parse((await config("check", "--json", file)).out).valid, false);
    });
  }
});

Deno.test("config: what nobody reads, and what counts as something else, is noted", () => {
  const { notes, problems } = explain(
    '{"Network":"10.1.2.3/16","SubnetLength":24,"Backend":{"type":"vxlan","VNID":2}}',
    1500,
  );
  assertEquals(problems, []);
  assertEquals(notes, [
    'member "SubnetLength": nobody reads it; did you mean SubnetLen?',
    'member "Backend.VNID": nobody reads it; did you mean Backend.VNI?',
    'Network "10.1.2.3/16": counts as 10.1.0.0/16',
  ]);
});

Deno.test("config: wrong words and missing files have one clear end", async () => {
  const cases: [string[], string][] = [
    [["explian"], 'config "explian": no such action; did you mean explain?'],
    [[], "config: no action given; give one of explain, check, get, set"],
    [["check", "a", "b"], 'config check "b": one file at a time'],
    [["get", "a"], 'config get "a": no file is read'],
    [["set"], "config set: no file given"],
    [["check", "--mtu=x", "a"], 'config --mtu "x": not an MTU'],
    [["check", "-etcd-endpoint=x"], "flag provided but not defined: -etcd-endpoint"],
    [["check", "--jsom"], "flag provided but not defined: -jsom; did you mean -json?"],
    [["check", "--mtu"], "config --mtu: its value is missing; write --mtu=VALUE"],
    [["check", "--json=maybe"], 'config --json "maybe": not true or false'],
    [["check", "-version"], "-version is not an option of this command"],
  ];
  for (const [words, says] of cases) await assertRejects(() => config(...words), UsageError, says);
  await assertRejects(
    () => config("check", "/nonexistent/net.json"),
    Failure,
    'read the network configuration "/nonexistent/net.json": no such file or directory',
  );
});

Deno.test("config with a store that keeps none reads the file that the daemon would, and writes nothing", async () => {
  await on(usual, async (file) => {
    const store = ["-store=sqlite:/nonexistent/leases.db", `-net-config-path=${file}`];
    assertEquals((await config("check", ...store)).out, "10.1.0.0/16: 81 subnets of /24, vxlan\n");
    assertEquals((await config("get", ...store)).out, `${usual}\n`);
    await assertRejects(
      () => config("set", ...store, file),
      UsageError,
      `this store keeps no configuration, it is read from "${file}"`,
    );
  });
});
