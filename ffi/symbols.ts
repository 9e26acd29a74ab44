/**
 * The prototypes of `native/denim.h`, each once.
 *
 * Batches may be long: each is there a second time as `…Later`, the same function run on another thread. Its buffers belong to it
 * until its promise resolves, and nothing else may use the same handle meanwhile. Numbers are u32 and i32 wherever the value
 * allows: they cost no BigInt.
 */

const records = { parameters: ["pointer", "buffer", "u32"], result: "i32" } as const;

/** Reads fill records, applies carry them out and write their results. */
const batches = {
  denim_read_links: records,
  denim_read_addresses: records,
  denim_read_routes: { parameters: ["pointer", "u32", "buffer", "u32"], result: "i32" },
  denim_read_nexthops: records,
  denim_read_neighbours: { parameters: ["pointer", "buffer", "u32", "buffer", "u32"], result: "i32" },

  denim_apply_links: records,
  denim_apply_addresses: records,
  denim_apply_routes: records,
  denim_apply_nexthops: records,
  denim_apply_neighbours: records,
  denim_look_up: records,
} as const satisfies Deno.ForeignLibraryInterface;

export type Batch = keyof typeof batches;
type Later = { readonly [K in Batch as `${K}Later`]: (typeof batches)[K] & { name: K; nonblocking: true } };

const later = Object.fromEntries(
  Object.entries(batches).map(([name, f]) => [`${name}Later`, { ...f, name, nonblocking: true }]),
) as unknown as Later;

export const symbols = {
  ...batches,
  ...later,

  denim_abi_version: { parameters: [], result: "u32" },
  denim_layout: { parameters: ["buffer", "u32"], result: "u32" },

  denim_open: { parameters: ["buffer"], result: "pointer" },
  denim_close: { parameters: ["pointer"], result: "void" },
  denim_port: { parameters: ["pointer"], result: "u32" },

  denim_monitor_start: { parameters: ["u32", "buffer"], result: "pointer" },
  denim_monitor_pipe: { parameters: ["pointer"], result: "i32" },
  denim_monitor_take: { parameters: ["pointer"], result: "u32" },
  denim_monitor_changes: { parameters: ["pointer", "buffer", "u32", "buffer"], result: "i32" },
  denim_monitor_watch: { parameters: ["pointer", "buffer", "u32", "buffer", "u32"], result: "void" },
  denim_monitor_stop: { parameters: ["pointer"], result: "void" },

  denim_udp_start: { parameters: ["buffer", "buffer"], result: "pointer" },
  denim_udp_peers: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  denim_udp_icmp_sources: { parameters: ["pointer", "buffer"], result: "i32" },
  denim_udp_stats: { parameters: ["pointer", "buffer", "buffer", "u32"], result: "i32" },
  denim_udp_pipe: { parameters: ["pointer"], result: "i32" },
  denim_udp_descriptors: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  denim_udp_stop: { parameters: ["pointer", "u32"], result: "void" },

  denim_notify: { parameters: ["buffer", "u32", "buffer", "u32", "buffer", "u32"], result: "i32" },
  denim_describe: { parameters: ["i32", "buffer"], result: "i32" },
  denim_close_on_exec: { parameters: ["i32"], result: "i32" },
  denim_close_descriptor: { parameters: ["i32"], result: "i32" },
  denim_boot_time: { parameters: [], result: "i64" },
  denim_ignore_inspector_signal: { parameters: [], result: "i32" },
  denim_lock: { parameters: ["buffer", "u32"], result: "i32" },
  denim_unlock: { parameters: ["i32"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

export type Symbols = Deno.DynamicLibrary<typeof symbols>["symbols"];
