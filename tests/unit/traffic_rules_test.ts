/** The firewall objects as text, against upstream's chains. */
import { assert, assertEquals } from "@std/assert";
import { trafficObjects, type TrafficOptions } from "../../src/backend/traffic_rules.ts";
import { trafficOptions } from "../support/firewall_wishes.ts";

function rulesOf(options: TrafficOptions, key: string): readonly string[] {
  const object = trafficObjects(options).find((object) => object.key === key);
  assert(object?.kind === "chain");
  return object.fields.rules;
}

Deno.test("masquerade rules are upstream's, in upstream's order", () => {
  assertEquals(rulesOf(trafficOptions(), "iptables nat FLANNEL-POSTRTG"), [
    '-m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN',
    '-s 10.5.72.0/24 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j RETURN',
    '-s 10.5.0.0/16 -d 10.5.72.0/24 -m comment --comment "flanneld masq" -j RETURN',
    '! -s 10.5.0.0/16 -d 10.5.72.0/24 -m comment --comment "flanneld masq" -j RETURN',
    '-s 10.5.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
    '! -s 10.5.0.0/16 -d 10.5.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully',
  ]);
});

Deno.test("every family has chains and jumps in nat and filter", () => {
  assertEquals(trafficObjects(trafficOptions()).map((object) => `${object.kind}: ${object.key}`), [
    "chain: iptables nat FLANNEL-POSTRTG",
    "jump: iptables nat POSTROUTING FLANNEL-POSTRTG",
    "chain: iptables filter FLANNEL-FWD",
    "jump: iptables filter FORWARD FLANNEL-FWD",
    "chain: ip6tables nat FLANNEL-POSTRTG",
    "jump: ip6tables nat POSTROUTING FLANNEL-POSTRTG",
    "chain: ip6tables filter FLANNEL-FWD",
    "jump: ip6tables filter FORWARD FLANNEL-FWD",
  ]);
  assertEquals(rulesOf(trafficOptions(), "ip6tables filter FLANNEL-FWD"), [
    '-s fd00:1::/48 -m comment --comment "flanneld forward" -j ACCEPT',
    '-d fd00:1::/48 -m comment --comment "flanneld forward" -j ACCEPT',
  ]);
});

Deno.test("multicast is spared in both families", () => {
  const rules = rulesOf(trafficOptions({ randomFully: false }), "ip6tables nat FLANNEL-POSTRTG");
  assertEquals(
    rules[4],
    '-s fd00:1::/48 ! -d ff00::/8 -m comment --comment "flanneld masq" -j MASQUERADE',
  );
});

Deno.test("each service and each family can be off", () => {
  assertEquals(trafficObjects(trafficOptions({ ipMasq: false, forwardRules: false })), []);
  const options = trafficOptions();
  const v4Only = trafficObjects({ ...options, network: { ...options.network, v6: null } });
  assert(v4Only.every((object) => object.key.startsWith("iptables ")));
  const noSubnet = trafficObjects({ ...options, subnets: { v4: null, v6: null } });
  assertEquals(noSubnet.map((object) => object.key.split(" ")[1]), ["filter", "filter", "filter", "filter"]);
});

Deno.test("a second instance has chains of its own", () => {
  const objects = trafficObjects(trafficOptions({ instance: "blue" }));
  assertEquals(objects[0]?.key, "iptables nat FLANNEL-POSTRTG-blue");
  assert(objects[1]?.kind === "jump");
  assertEquals(
    objects[1].fields.rule,
    '-m comment --comment "flanneld masq" -j FLANNEL-POSTRTG-blue',
  );
});

Deno.test("the legacy layout has bare rules in the built-in chains, of flannel 0.11's text", () => {
  const objects = trafficObjects(trafficOptions({ layout: "legacy", randomFully: false, instance: "blue" }));
  assertEquals(objects.map((object) => `${object.kind}: ${object.key}`), [
    "rules: iptables nat POSTROUTING",
    "rules: iptables filter FORWARD",
    "rules: ip6tables nat POSTROUTING",
    "rules: ip6tables filter FORWARD",
  ]);
  const [nat, filter] = objects;
  assert(nat?.kind === "rules" && filter?.kind === "rules");
  assertEquals(nat.fields.rules, [
    "-s 10.5.0.0/16 -d 10.5.0.0/16 -j RETURN",
    "-s 10.5.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE",
    "! -s 10.5.0.0/16 -d 10.5.72.0/24 -j RETURN",
    "! -s 10.5.0.0/16 -d 10.5.0.0/16 -j MASQUERADE",
  ]);
  assertEquals(filter.fields.rules, ["-s 10.5.0.0/16 -j ACCEPT", "-d 10.5.0.0/16 -j ACCEPT"]);
});
