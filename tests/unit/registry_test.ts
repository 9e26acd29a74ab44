/** Which configurations a host can run, and what is said of others. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { backendFor } from "../../src/backend/registry.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";

const problem = (more: Record<string, unknown>) => {
  const found = backendFor(parseNetworkConfig(JSON.stringify({ Network: "10.1.0.0/16", ...more })));
  return "problem" in found ? found.problem : null;
};

Deno.test("registry: backends by name in any case", () => {
  for (const type of ["vxlan", "VXLAN", "host-gw", "Alloc", "udp"]) {
    assertEquals(problem({ Backend: { Type: type } }), null);
  }
});

Deno.test("registry: an unknown type, a missing one and upstream's others each say what to do", () => {
  assertMatch(
    problem({ Backend: { Type: "pigeon" } })!,
    /^unknown backend type: pigeon; set Backend\.Type to one of /,
  );
  assertMatch(problem({ Backend: {} })!, /^unknown backend type: ; set/);
  assertMatch(
    problem({ Backend: { Type: "wireguard" } })!,
    /^backend type wireguard: not built into this flanneld/,
  );
  assertEquals(problem({}), null, "udp, as upstream");
});

Deno.test("registry: a wrong member and the nftables mode are refused", () => {
  assertMatch(problem({ Backend: { Type: "vxlan", Port: 70000 } })!, /^Backend\.Port 70000/);
  assertEquals(
    problem({ Backend: { Type: "udp", Sender: "pigeon" } }),
    'Backend.Sender "pigeon": must be one of "socket", "pool", "raw"',
  );
  const refused = problem({ Backend: { Type: "vxlan" }, EnableNFTables: true });
  assert(refused?.startsWith("EnableNFTables true: not built"));
});
