/** The very edges of what may be given: the last value that is taken, and the first that is not. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { backendFor } from "../../src/backend/registry.ts";
import { flagNamed } from "../../src/cli/flags.ts";
import { shownValue } from "../../src/cli/hide.ts";
import { instanceOf } from "../../src/cli/instance.ts";
import { readOptions } from "../../src/cli/read_options.ts";
import { UsageError } from "../../src/model/errors.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { parseEndpoints } from "../../src/store/etcd/endpoints.ts";

/** Backend, member, the lowest and the highest value. */
const members: readonly [type: string, name: string, min: number, max: number][] = [
  ["vxlan", "VNI", 0, 0xffffff],
  ["vxlan", "Port", 0, 65535],
  ["vxlan", "MTU", 0, 65535],
  ["udp", "Port", 1, 65535],
  ["udp", "Queues", 1, 8],
  ["udp", "Sources", 2, 64],
];

for (const [type, name, min, max] of members) {
  Deno.test(`${type}'s ${name} is a whole number from ${min} to ${max}`, () => {
    const problem = (value: unknown) => {
      const text = JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type: type, [name]: value } });
      const found = backendFor(parseNetworkConfig(text));
      return "problem" in found ? found.problem : null;
    };
    assertEquals([problem(min), problem(max)], [null, null]);
    for (const wrong of [min - 1, max + 1, min + 0.5, String(max)]) {
      assertEquals(
        problem(wrong)?.includes(`must be a whole number from ${min} to ${max}`),
        true,
        `${wrong}`,
      );
    }
  });
}

Deno.test("an endpoint's port is from 1 to 65535, 2379 unless told", () => {
  const port = (text: string) => {
    const [endpoint] = parseEndpoints(text, false);
    return endpoint !== undefined && "port" in endpoint.address ? endpoint.address.port : null;
  };
  assertEquals(["http://a", "http://a:1", "http://a:65535", "[::1]:7"].map(port), [2379, 1, 65535, 7]);
  for (const wrong of ["http://a:0", "http://a:65536", "a:-1", "http://a:x"]) {
    assertThrows(() => parseEndpoints(wrong, false), UsageError, "not a host and a port");
  }
});

Deno.test("an instance's name is at most eight characters of the file's", () => {
  assertEquals(instanceOf("/run/x/abcdefgh.env"), "abcdefgh");
  assertMatch(instanceOf("/run/x/abcdefghi.env"), /^abc-[0-9a-z]{4}$/);
});

Deno.test("switches that resemble each other are told apart, and a port below 0 switches off", () => {
  const options = (...args: string[]) => {
    const request = readOptions({
      args,
      environment: {},
      readFile: () => ({ text: "", readableByOthers: false }),
    });
    if (request.kind !== "run") throw new Error(request.kind);
    const { ipMasq, ipMasqFullyRandomDisable, healthzPort } = request.options;
    return [ipMasq, ipMasqFullyRandomDisable, healthzPort];
  };
  assertEquals(options("-ip-masq"), [true, false, 0]);
  assertEquals(options("-ip-masq-fully-random-disable"), [false, true, 0]);
  assertEquals(options("-healthz-port=-1"), [false, false, 0]);
  assertEquals(options("-healthz-port=65535"), [false, false, 65535]);
});

Deno.test("an address's user and password are hidden, and that they are is seen", () => {
  const flag = flagNamed("kube-api-url")!;
  assertEquals(shownValue(flag, "https://user:pass@host:6443"), '"https://(hidden)@host:6443"');
});
