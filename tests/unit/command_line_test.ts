/** main.ts as its users start it: what goes to which stream, and the exit code. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const main = new URL("../../main.ts", import.meta.url).pathname;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function flanneld(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "--no-check", main, ...args],
    env,
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("help is asked for: stdout, exit 0, every flag in Go's layout", async () => {
  const { code, out, err } = await flanneld(["-help"]);
  assertEquals([code, err], [0, ""]);
  assert(out.startsWith("Usage: flanneld [OPTION]...\n"), out);
  assertStringIncludes(
    out,
    '  -etcd-prefix string\n    \tetcd prefix of the network configuration and the leases (default "/coreos',
  );
  assertStringIncludes(out, "  -ip-masq\n    \tmasquerade");
  assertStringIncludes(out, "  -iface value\n");
  assertEquals((await flanneld(["help"])).out, out);
});

Deno.test("-version writes only the version, on stderr; the verb on stdout", async () => {
  const flag = await flanneld(["--version"]);
  assertEquals([flag.code, flag.out, /^v\d+\.\d+\.\d+\n$/.test(flag.err)], [0, "", true]);
  assertEquals((await flanneld(["version"])).out, flag.err);
});

Deno.test("a wrong command line: one message on stderr, exit 2, no stack; 0 with -upstream-exit-codes", async () => {
  const wrong = await flanneld(["-etcd-endpoint=x"]);
  assertEquals([wrong.code, wrong.out], [2, ""]);
  assert(
    /^flag provided but not defined: -etcd-endpoint; did you mean -etcd-endpoints\?\n[^\n]+\n$/.test(
      wrong.err,
    ),
    wrong.err,
  );
  assertEquals((await flanneld(["-upstream-exit-codes", "-etcd-endpoint=x"])).code, 0);
  assertEquals((await flanneld(["-xyz"], { FLANNELD_UPSTREAM_EXIT_CODES: "1" })).code, 0);
  assertEquals((await flanneld(["-upstream-exit-codes", "-subnet-lease-renew-margin=0"])).code, 1);
});

Deno.test("an unknown command, an empty word and a forgotten = stop the start", async () => {
  const cases: [string[], string][] = [
    [["verion"], 'run command "verion": no such command; did you mean version?'],
    [["", "-ip-masq"], 'words after the flags would be ignored: "" "-ip-masq"'],
    [["-ip-masq", "true"], "write -ip-masq=true"],
    [["toString"], "no such command"],
  ];
  for (const [args, text] of cases) {
    const { code, err } = await flanneld(args);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(err, text);
  }
});

Deno.test("a config file that is missing is named without the runtime's own words", async () => {
  const { code, err } = await flanneld(["-config-file=/nonexistent/denim.toml"]);
  assertEquals([code, err], [
    2,
    'read config file "/nonexistent/denim.toml": no such file or directory; check -config-file\n',
  ]);
});
