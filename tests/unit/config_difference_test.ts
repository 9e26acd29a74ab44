/** In which members two network configurations differ. */
import { assertEquals } from "@std/assert";
import { configDifferences, describeDifference } from "../../src/model/config_difference.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";

function differences(a: string, b: string): string[] {
  return configDifferences(parseNetworkConfig(a), parseNetworkConfig(b))
    .map((difference) => describeDifference(difference, "a", "b"));
}

const base = '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}';

Deno.test("spelling, order and defaults make no difference", () => {
  assertEquals(differences(base, base), []);
  const same = '{"backend":{"type":"VXLAN"},"SubnetLen":24,"NETWORK":"10.1.0.0/16","EnableNFTables":true}';
  assertEquals(differences(base, same), []);
  const one = base.replace("vxlan", 'extension", "x": {"p": 1, "q": [2], "r": 3}, "y": "');
  const other = base.replace("vxlan", 'extension", "x": {"r": 3, "q": [2], "p": 1}, "y": "');
  assertEquals(differences(one, other), []);
});

Deno.test("each member that differs is named with both values", () => {
  const other = '{"Network": "10.1.0.0/16", "SubnetLen": 26, "SubnetMin": "10.1.4.0", "EnableIPv6": true, ' +
    '"IPv6Network": "fd00::/48", "Backend": {"Type": "host-gw", "MTU": 1400}}';
  assertEquals(differences(base, other), [
    "SubnetLen is 24 in a and 26 in b",
    "SubnetMin is 10.1.1.0 in a and 10.1.4.0 in b",
    "SubnetMax is 10.1.255.0 in a and 10.1.255.192 in b",
    "Backend.Type is vxlan in a and host-gw in b",
    "IPv6Network is absent in a and fd00::/48 in b",
    "IPv6SubnetLen is absent in a and 64 in b",
    "IPv6SubnetMin is absent in a and fd00:0:0:1:: in b",
    "IPv6SubnetMax is absent in a and fd00:0:0:ffff:: in b",
    "Backend.MTU is absent in a and 1400 in b",
  ]);
});
