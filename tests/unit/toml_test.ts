/** The TOML file: keys are flag names, nothing is passed over silently. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../../src/model/errors.ts";
import { parseToml } from "../../src/cli/toml.ts";
import { readOptions } from "../../src/cli/read_options.ts";

function refusal(text: string): string {
  return assertThrows(() => parseToml("f.toml", text), UsageError).message;
}

function warningsWith(text: string, readableByOthers: boolean): readonly string[] {
  const readFile = () => ({ text, readableByOthers });
  const request = readOptions({ args: ["-config-file", "f.toml"], environment: {}, readFile });
  return request.kind === "run" ? request.options.warnings : [request.kind];
}

Deno.test("keys are flag names with the flag's type", () => {
  const text = `
    etcd-endpoints = ["https://a:2379", "https://b:2379"]
    iface = "eth1"
    ip-masq = true
    healthz-port = 0x1F
    log-format = "json"
  `;
  assertEquals([...parseToml("f.toml", text).values], [
    ["etcd-endpoints", "https://a:2379,https://b:2379"],
    ["iface", ["eth1"]],
    ["ip-masq", true],
    ["healthz-port", 31],
    ["log-format", "json"],
  ]);
});

Deno.test("[network] is what etcd would hold as JSON", () => {
  const text =
    `[network]\nNetwork = "10.1.0.0/16"\n[network.Backend]\nType = "vxlan"\nVNI = 7\nDirectRouting = true\n`;
  const { networkConfigText } = parseToml("f.toml", text);
  assertEquals(JSON.parse(networkConfigText!), {
    Network: "10.1.0.0/16",
    Backend: { Type: "vxlan", VNI: 7, DirectRouting: true },
  });
});

Deno.test("unknown keys, wrong types and bad syntax are errors that name file and key", () => {
  const cases: [string, string][] = [
    [
      "etcd-endpoint = 'x'",
      `read config file "f.toml": unknown key "etcd-endpoint"; did you mean etcd-endpoints?`,
    ],
    ["[etcd]\nendpoints = 'x'", `unknown key "etcd"`],
    ["config-file = 'x'", `unknown key "config-file"`],
    ["ip-masq = 'yes'", `key "ip-masq" must be true or false`],
    ["v = 1.5", `key "v" must be a whole number`],
    ["iface = [1]", `key "iface" must be a list of strings`],
    ["subnet-file = 3", `key "subnet-file" must be a string`],
    ["log-format = 'xml'", `key "log-format" is "xml": must be text, klog or json`],
    ["network = 3", `"network" must be a table`],
    ["v = ", `read config file "f.toml": `],
  ];
  for (const [text, message] of cases) assertStringIncludes(refusal(text), message);
});

Deno.test("a file that cannot be read stops the start with its name", () => {
  const readFile = (): never => {
    throw new Deno.errors.NotFound("No such file or directory");
  };
  const read = () => readOptions({ args: ["-config-file=/absent.toml"], environment: {}, readFile });
  assertThrows(
    read,
    UsageError,
    `read config file "/absent.toml": no such file or directory; check -config-file`,
  );
});

Deno.test("a password in a file that others can read draws a warning", () => {
  assertEquals(warningsWith(`etcd-password = "s"`, false), []);
  assertEquals(warningsWith(`v = 1`, true), []);
  assertStringIncludes(warningsWith(`etcd-password = "s"`, true).join(), "chmod 600");
});
