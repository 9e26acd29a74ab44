/**
 * denim as a module: another Deno program joins an overlay network, lists its peers and leaves. docs/embedding.md shows how.
 *
 * Beside `join` there are the stores, to be passed to it; the pure functions that read configurations and leases; and the
 * parts of the loop, for programs that want to see or plan what would stand on a host.
 */
export { join, type JoinOptions, Membership } from "./src/embed/join.ts";
export type { Readiness } from "./src/control/readiness.ts";

export { Failure, UsageError } from "./src/model/errors.ts";
export type { Clock, Instant, Random } from "./src/model/clock.ts";
export { systemClock } from "./src/system/clock.ts";
export { systemRandom } from "./src/system/random.ts";
export type { Level, Log, LogFields } from "./src/observe/log.ts";

export type * from "./src/store/store.ts";
export { openV3Store as openEtcdStore } from "./src/store/etcd/v3/v3_store.ts";
export { openV2Store as openEtcd2Store } from "./src/store/etcd/v2/v2_store.ts";
export type { EtcdStoreFlags } from "./src/store/etcd/etcd_store.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./src/store/rows/sqlite.ts";
export { MemoryCluster, MemoryStore } from "./src/store/rows/memory.ts";
export { type ConfigSource, fileConfigSource, literalConfigSource } from "./src/store/config_source.ts";

export { type Family, formatIp, type Ip, parseIp } from "./src/model/ip.ts";
export {
  containsIp,
  containsPrefix,
  formatPrefix,
  overlaps,
  parsePrefix,
  type Prefix,
} from "./src/model/prefix.ts";
export { describeSubnets, type Lease, type LeaseRecord, type Subnets } from "./src/model/lease.ts";
export { decodeRecord, encodeRecord, formatLeaseKey, parseLeaseKey } from "./src/model/lease_codec.ts";
export type { FamilyNetwork, NetworkConfig } from "./src/model/network_config.ts";
export { parseNetworkConfig, subnetCount } from "./src/model/parse_config.ts";
export type { FieldsByKind, Kind, Obj, ObjectOf } from "./src/model/objects.ts";
export type * from "./src/model/plan.ts";

export type { Backend, Host, Underlay } from "./src/backend/backend.ts";
export { backends } from "./src/backend/registry.ts";
export { diff } from "./src/plan/diff.ts";
