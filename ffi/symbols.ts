/**
 * The prototypes of `native/denim.h`, once.
 *
 * A name with `Later` is the same function, run on another thread: its buffers belong to it until its promise resolves, and
 * nothing else may use the same handle meanwhile. Numbers are u32 and i32 wherever the value allows: they cost no BigInt.
 */

const read = ["pointer", "buffer", "u32"] as const;
const readRoutes = ["pointer", "u32", "buffer", "u32"] as const;
const readNeighbours = ["pointer", "buffer", "u32", "buffer", "u32"] as const;
const apply = ["pointer", "buffer", "u32"] as const;

/** Each function twice: called in place, and on another thread. */
export const symbols = {
  denim_abi_version: { parameters: [], result: "u32" },
  denim_layout: { parameters: ["buffer", "u32"], result: "u32" },

  denim_open: { parameters: ["buffer"], result: "pointer" },
  denim_close: { parameters: ["pointer"], result: "void" },
  denim_port: { parameters: ["pointer"], result: "u32" },

  denim_read_links: { parameters: read, result: "i32" },
  denim_read_linksLater: { name: "denim_read_links", parameters: read, result: "i32", nonblocking: true },
  denim_read_addresses: { parameters: read, result: "i32" },
  denim_read_addressesLater: {
    name: "denim_read_addresses",
    parameters: read,
    result: "i32",
    nonblocking: true,
  },
  denim_read_routes: { parameters: readRoutes, result: "i32" },
  denim_read_routesLater: {
    name: "denim_read_routes",
    parameters: readRoutes,
    result: "i32",
    nonblocking: true,
  },
  denim_read_nexthops: { parameters: read, result: "i32" },
  denim_read_nexthopsLater: {
    name: "denim_read_nexthops",
    parameters: read,
    result: "i32",
    nonblocking: true,
  },
  denim_read_neighbours: { parameters: readNeighbours, result: "i32" },
  denim_read_neighboursLater: {
    name: "denim_read_neighbours",
    parameters: readNeighbours,
    result: "i32",
    nonblocking: true,
  },

  denim_apply_links: { parameters: apply, result: "i32" },
  denim_apply_linksLater: { name: "denim_apply_links", parameters: apply, result: "i32", nonblocking: true },
  denim_apply_addresses: { parameters: apply, result: "i32" },
  denim_apply_addressesLater: {
    name: "denim_apply_addresses",
    parameters: apply,
    result: "i32",
    nonblocking: true,
  },
  denim_apply_routes: { parameters: apply, result: "i32" },
  denim_apply_routesLater: {
    name: "denim_apply_routes",
    parameters: apply,
    result: "i32",
    nonblocking: true,
  },
  denim_apply_nexthops: { parameters: apply, result: "i32" },
  denim_apply_nexthopsLater: {
    name: "denim_apply_nexthops",
    parameters: apply,
    result: "i32",
    nonblocking: true,
  },
  denim_apply_neighbours: { parameters: apply, result: "i32" },
  denim_apply_neighboursLater: {
    name: "denim_apply_neighbours",
    parameters: apply,
    result: "i32",
    nonblocking: true,
  },
  denim_look_up: { parameters: apply, result: "i32" },
  denim_look_upLater: { name: "denim_look_up", parameters: apply, result: "i32", nonblocking: true },

  denim_monitor_start: { parameters: ["u32", "buffer"], result: "pointer" },
  denim_monitor_pipe: { parameters: ["pointer"], result: "i32" },
  denim_monitor_take: { parameters: ["pointer"], result: "u32" },
  denim_monitor_devices: { parameters: ["pointer", "buffer", "u32"], result: "void" },
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
