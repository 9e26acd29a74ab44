/**
 * A password reaches no message, wherever a user puts it: every way of getting the command line, the environment or the config
 * file wrong around it, and what is logged when they are right.
 */
import { assert, assertStringIncludes, assertThrows, fail } from "@std/assert";
import { UsageError } from "../../src/model/errors.ts";
import { describeOptions } from "../../src/cli/options.ts";
import { readOptions } from "../../src/cli/read_options.ts";

const SECRET = "hunter2";

interface Given {
  readonly args?: readonly string[];
  readonly environment?: Record<string, string>;
  readonly file?: string;
}

/** All that is said of it: the refusal, or the line for the log with every warning. */
function said({ args = [], environment = {}, file }: Given): string {
  const readFile = () => ({ text: file ?? "", readableByOthers: true });
  const all = file === undefined ? args : ["-config-file=/f.toml", ...args];
  try {
    const request = readOptions({ args: all, environment, readFile });
    assert(request.kind === "run");
    return [describeOptions(request.options), ...request.options.warnings].join("\n");
  } catch (thrown) {
    assert(thrown instanceof UsageError, String(thrown));
    return thrown.message;
  }
}

const given: Record<string, Given> = {
  "a flag": { args: [`-etcd-password=${SECRET}`] },
  "a flag and the next word": { args: ["--etcd-password", SECRET] },
  "a variable": { environment: { FLANNELD_ETCD_PASSWORD: SECRET } },
  "the config file": { file: `etcd-password = "${SECRET}"` },
  "three dashes": { args: [`---etcd-password=${SECRET}`] },
  "a typing error in the name": { args: [`-etcd-pasword=${SECRET}`] },
  "a flag that swallows it": { args: ["-subnet-file", `-etcd-password=${SECRET}`] },
  "words after the flags": { args: ["-ip-masq", "true", `-etcd-password=${SECRET}`] },
  "words after the flags, in two": { args: ["-ip-masq", "true", "--etcd-password", SECRET] },
  "the same, ignored as flannel does": {
    args: ["-upstream-exit-codes", "-ip-masq", "true", `-etcd-password=${SECRET}`],
  },
  "a line before one that is no TOML": { file: `etcd-password = "${SECRET}"\nv = = 1` },
  "a string that never ends": { file: `etcd-password = "${SECRET}` },
  "no string": { file: `etcd-password = ["${SECRET}"]` },
  "an endpoint": { args: [`-etcd-endpoints=http://root:${SECRET}@h:2379`] },
  "an endpoint, with a slash": { args: [`-etcd-endpoints=http://root:a/${SECRET}@h:2379`] },
  "an endpoint, with an at sign": { args: [`-etcd-endpoints=http://root:a@${SECRET}@h:2379`] },
  "an endpoint, with a comma": { args: [`-etcd-endpoints=http://root:${SECRET},b@h:2379`] },
  "an endpoint, with a blank": { args: [`-etcd-endpoints=http://root:${SECRET} b@h:2379`] },
  "an endpoint without a scheme": { args: [`-etcd-endpoints=root:${SECRET}@h:2379`] },
  "another server's address": { args: [`-kube-api-url=https://root:${SECRET}@h`] },
  "an endpoint in a variable": { environment: { FLANNELD_ETCD_ENDPOINTS: `root:${SECRET}@h` } },
  "an endpoint in the config file": { file: `etcd-endpoints = ["http://a", "root:${SECRET}@h"]` },
};

for (const [where, input] of Object.entries(given)) {
  Deno.test(`a password is in no message: ${where}`, () => {
    const text = said(input);
    assert(!text.includes(SECRET), text);
  });
}

Deno.test("messages about hidden words still say which they are", () => {
  assertStringIncludes(said({ args: [`---etcd-password=${SECRET}`] }), "---etcd-password=…");
  assertStringIncludes(
    said({ args: ["-ip-masq", "true", "-etcd-password", SECRET] }),
    '"-etcd-password" "…"',
  );
  assertStringIncludes(
    said({ file: "v = 1\nip-masq = = true" }),
    'read config file "/f.toml": line 2, column ',
  );
});

Deno.test("an endpoint with a user is refused before anything is logged", () => {
  const args = [`-etcd-endpoints=https://a:2379,https://root:${SECRET}@b:2379`];
  const readFile = () => fail("there is no file to read");
  assertThrows(() => readOptions({ args, environment: {}, readFile }), UsageError, "-etcd-username");
});
