/**
 * Tunnels and peers as objects, as the C library takes them, and as a service manager hands them back. Pure.
 */
import type { UdpDescriptors, UdpPeer, UdpTunnelOptions } from "../../../ffi/udp_tunnel.ts";
import { type FieldName, type ObjectOf, sameValue, type TunnelFields } from "../../model/objects.ts";
import type { KindRules } from "../../model/plan.ts";
import type { KeptDescriptor } from "./kept_descriptors.ts";

export const tunnelRules: KindRules<"tunnel"> = {
  kind: "tunnel",
  marks: [],
  needsRecreate: () => false,
  print: ({ key, fields }) => {
    const { port, underlay, queues, sender } = fields;
    const words = [`${key} udp port ${port} on ${underlay.join(" and ")}`];
    if (queues !== 1) words.push(`queues ${queues}`);
    if (sender !== "socket") words.push(`sender ${sender}`);
    return words.join(" ");
  },
};

export const peerRules: KindRules<"peer"> = {
  kind: "peer",
  marks: [],
  needsRecreate: () => false,
  print: ({ fields }) => `${fields.subnet} at ${fields.address} port ${fields.port} dev ${fields.device}`,
};

export function keptName(device: string): string {
  return `denim-udp-${device}`;
}

export function deviceOf(name: string): string | null {
  return /^denim-udp-(.+)$/.exec(name)?.[1] ?? null;
}

export function keptFields(descriptors: readonly KeptDescriptor[]): TunnelFields {
  const sockets = descriptors.filter((d) => d.kind === "udpSocket");
  return {
    port: sockets[0]?.port ?? null,
    underlay: [...new Set(sockets.map(({ address }) => address))],
    queues: descriptors.filter((d) => d.kind === "tun").length,
  };
}

/** The descriptors queue by queue; null where they are not what the wanted tunnel would have opened. */
export function arrange(
  kept: readonly KeptDescriptor[],
  name: string,
  { port, queues, underlay }: TunnelFields,
): UdpDescriptors[] | null {
  const tuns = kept.flatMap((d) =>
    d.kind === "tun" && d.name === name && d.offload && d.multiQueue === queues > 1 ? [d.fd] : []
  );
  const sockets = (family: 4 | 6) =>
    kept.flatMap((d) =>
      d.kind === "udpSocket" && d.family === family && d.port === port &&
        underlay.includes(d.address)
        ? [d.fd]
        : []
    );
  const [v4, v6] = [sockets(4), sockets(6)];
  const wanted = (family: 4 | 6) =>
    underlay.some((address) => address.includes(":") === (family === 6)) ? queues : 0;
  const whole = tuns.length === queues && v4.length === wanted(4) && v6.length === wanted(6) &&
    kept.length === tuns.length + v4.length + v6.length;
  if (!whole) return null;
  return tuns.map((tun, i) => ({ tun, socketV4: v4[i] ?? null, socketV6: v6[i] ?? null }));
}

export function optionsOf(name: string, fields: TunnelFields): UdpTunnelOptions {
  const { underlay, icmpSources = [], queues, sender, sources = 0, acceptMoved = false } = fields;
  return {
    name,
    port: fields.port ?? 0,
    underlay,
    icmpSources,
    queues,
    sender: sender as NonNullable<UdpTunnelOptions["sender"]>,
    sources,
    acceptMoved,
  };
}

/** The underlay fragments what is too long for a path: the device's own MTU is the limit. */
export function udpPeers(peers: Iterable<ObjectOf<"peer">>): UdpPeer[] {
  return [...peers].map(({ fields: { subnet, address, port } }) => ({ subnet, address, port, mtu: 0 }));
}

export function onlySources(before: TunnelFields, after: TunnelFields): boolean {
  const names = Object.keys(after) as FieldName<"tunnel">[];
  return names.every((name) => name === "icmpSources" || sameValue(before[name], after[name]));
}
