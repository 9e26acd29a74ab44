/** What a store holds, or answers: lease keys and values, the network configuration, etcd's v2 API. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatIp } from "../../src/model/ip.ts";
import type { Json } from "../../src/model/json.ts";
import type { LeaseRecord } from "../../src/model/lease.ts";
import { decodeRecord, encodeRecord, formatLeaseKey, parseAnyLeaseKey } from "../../src/model/lease_codec.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { containsIp } from "../../src/model/prefix.ts";
import { Denied, EndpointError } from "../../src/store/etcd/errors.ts";
import { HistoryLost } from "../../src/store/etcd/reader.ts";
import {
  changeOf,
  contentOf,
  headOf,
  type HttpHead,
  nodeOf,
  nodesOf,
  understood,
  V2Error,
} from "../../src/store/etcd/v2/answers.ts";
import { fuzz, long, noise, orFailure, soup } from "../support/fuzzing.ts";

const keyWords = [
  "10.1.15.0",
  "-24",
  "&",
  "fd00::",
  "-64",
  "-0",
  "0",
  "::",
  "/",
  "-",
  ".",
  "255",
  "1.2.3.4-5",
];

fuzz("lease keys are null or the one spelling", soup(keyWords), (text) => {
  const subnets = parseAnyLeaseKey(text);
  if (subnets !== null) assertEquals(formatLeaseKey(subnets), text);
});

/** JSON with the members that count, in the wrong places too. */
function jsonSoup(members: readonly string[], values: readonly unknown[]): fc.Arbitrary<string> {
  const key = fc.oneof(fc.constantFrom(...members, "__proto__", "constructor", "toString"), fc.string());
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(...values, null, true, -1, 1e300, "", [], {}),
      fc.jsonValue(),
      fc.dictionary(key, tie("any"), { maxKeys: 6 }),
      fc.array(tie("any"), { maxLength: 3 }),
    ),
  })).any;
  const object = fc.dictionary(key, value, { maxKeys: 8 }).map((each) => JSON.stringify(each));
  return fc.oneof(object, soup(['{"', '":', "}", "[", "]", ",", "\\", '"', "1e5", ...members]));
}

const recordMembers = [
  "PublicIP",
  "publicip",
  "PublicIPv6",
  "BackendType",
  "BackendData",
  "BackendV6Data",
  "VNI",
];
const recordValues = ["10.0.0.1", "fd00::1", "vxlan", { VNI: 1, VtepMAC: "02:00:00:00:00:01" }];

fuzz(
  "lease values are read or refused, and read again as written",
  jsonSoup(recordMembers, recordValues),
  (text) => {
    const record = orFailure(() => decodeRecord(text));
    if (record === null) return;
    const again = (of: LeaseRecord) => JSON.parse(JSON.stringify(of, withBigints));
    // The escapes that Go writes can make it too long to be read again.
    const written = orFailure(() => decodeRecord(encodeRecord(record)));
    if (written !== null) assertEquals(again(written), again(record));
    orFailure(() => decodeRecord(encodeRecord(record, "before IPv6")));
  },
);

function withBigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

const configMembers = [
  "Network",
  "SubnetLen",
  "SubnetMin",
  "SubnetMax",
  "EnableIPv6",
  "EnableIPv4",
  "IPv6Network",
  "IPv6SubnetLen",
  "Backend",
  "Type",
  "EnableNFTables",
];
const configValues = ["10.1.0.0/16", "fd00:1::/48", 24, 64, 30, true, false, "10.1.4.0", { Type: "vxlan" }];

fuzz("network configurations are refused or hold together", jsonSoup(configMembers, configValues), (text) => {
  const config = orFailure(() => parseNetworkConfig(text));
  for (const family of [config?.v4, config?.v6]) {
    if (!family) continue;
    assert(containsIp(family.network, family.subnetMin), formatIp(family.subnetMin));
    assert(containsIp(family.network, family.subnetMax), formatIp(family.subnetMax));
    assert(family.subnetMin.value <= family.subnetMax.value);
    assert(family.subnetLen >= family.network.length + 2);
  }
});

const source = { endpoint: "http://192.0.2.1:2379", hasUser: false };
const range = { key: "/x/subnets/", end: "/x/subnets0" };

/** Everything that is made of an answer, as the client does. */
function readAnswer(text: string, statusCode: number, headers: HttpHead["headers"]): void {
  const head = headOf({ statusCode, headers }, 0);
  assert(Number.isSafeInteger(head.index) && !Number.isNaN(head.date));
  try {
    const body = contentOf({ head, text }, source);
    for (const read of [nodesOf, changeOf]) {
      understood<unknown>(source, () => read(range, body, head));
      understood<unknown>(source, () => read({ ...range, end: null }, body, head));
    }
    const node = understood(source, () => nodeOf(body, head));
    assert(Number.isSafeInteger(node.modRevision) && typeof node.key === "string");
    assert(node.expires === null || !Number.isNaN(node.expires));
  } catch (thrown) {
    const known = [EndpointError, V2Error, HistoryLost, Denied].some((each) => thrown instanceof each);
    assert(known, thrown instanceof Error ? thrown.stack : String(thrown));
    assert((thrown as Error).message.length < 1000);
  }
}

const nodeMembers = [
  "node",
  "nodes",
  "key",
  "value",
  "dir",
  "createdIndex",
  "modifiedIndex",
  "expiration",
  "ttl",
  "action",
  "errorCode",
  "message",
  "cause",
  "index",
];
const node: Json = { key: "/x/subnets/10.1.2.0-24", value: "{}", createdIndex: 3, modifiedIndex: 4 };
const nodeValues = [
  { ...node, expiration: "2026-01-01T00:00:00Z", ttl: 9 },
  { ...node, dir: true, nodes: [node] },
  [node],
  100,
  401,
  "delete",
  "x".repeat(5000),
];
const answer = fc.tuple(
  jsonSoup(nodeMembers, nodeValues),
  fc.constantFrom(200, 201, 400, 401, 404, 500),
  fc.dictionary(
    fc.constantFrom("date", "x-etcd-index", "x-etcd-cluster-id"),
    fc.oneof(fc.constantFrom("Wed, 25 Nov 2026 11:00:00 GMT", "7"), noise),
  ),
);

fuzz(
  "answers of etcd's v2 API are understood or an error of the endpoint",
  answer,
  ([text, status, headers]) => {
    readAnswer(text, status, headers);
  },
);

long("lease values", {
  "opening brackets": ["", "[", ""],
  "members": ["{", '"a":1,', '"b":2}'],
  "one string": ['{"BackendType":"', "x", '"}'],
  "backslashes": ['{"BackendType":"', "\\\\", '"}'],
}, (text) => orFailure(() => decodeRecord(text)));

long("lease keys", { "digits": ["", "1", "-24"], "parts": ["", "10.1.2.0-24&", ""] }, parseAnyLeaseKey);

long("network configurations", {
  "opening brackets": ["", '{"a":', ""],
  "members": ["{", '"Network":"10.1.0.0/16",', '"SubnetLen":24}'],
}, (text) => orFailure(() => parseNetworkConfig(text)));

long("answers of etcd's v2 API", {
  "directories inside each other": ['{"node":', '{"nodes":[', ""],
  "closed directories": [`{"node":{"nodes":[`, `${JSON.stringify(node)},`, `${JSON.stringify(node)}]}}`],
}, (text) => readAnswer(text, 200, {}));

Deno.test("fuzz: answers of etcd's v2 API: 100,000 directories inside each other", () => {
  const open = `{"key":"/x/d","dir":true,"createdIndex":1,"modifiedIndex":1,"nodes":[`;
  readAnswer(`{"node":${open.repeat(100_000)}${"]}".repeat(100_000)}}`, 200, {});
});
