/** What goes wrong with tunnels that a process carries itself, and with what keeps them while there is none. */
import type { Fault } from "./faults.ts";

export const tunnelFaults: Readonly<Record<string, Fault>> = {
  "a tunnel breaks": (world) => {
    const host = world.pick(world.hosts);
    const tunnels = host.kernel.objects().filter(({ kind }) => kind === "tunnel");
    if (tunnels.length === 0) return null;
    const { key } = world.pick(tunnels);
    host.kernel.remove("tunnel", key);
    return `${key} on ${host.name}`;
  },
  "a service manager keeps tunnels": (world) => {
    const host = world.pick(world.hosts);
    host.keepsTunnels = !host.keepsTunnels;
    return `${host.keepsTunnels} on ${host.name}`;
  },
  "the configuration has another port": (world) => {
    world.setConfig({ ...world.network, port: world.pick([8285, 7890]) });
    return String(world.network.port);
  },
  "the configuration has more queues": (world) => {
    world.setConfig({ ...world.network, queues: 1 + world.random.int(2) });
    return String(world.network.queues);
  },
};
