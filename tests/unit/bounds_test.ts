/** The very edges of what may be given: the last value that is taken, and the first that is not. */
import { assertEquals, assertThrows } from "@std/assert";
import { backendFor } from "../../src/backend/registry.ts";
import { UsageError } from "../../src/model/errors.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { parseEndpoints } from "../../src/store/etcd_endpoints.ts";

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
