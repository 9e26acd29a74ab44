/**
 * Tunnels and peers as objects, as the C library takes them, and as a service manager hands them back. Pure.
 */
import type { UdpDescriptors, UdpPeer, UdpTunnelOptions } from "../../../ffi/udp_tunnel.ts";
import type { Fields, Obj } from "../../model/objects.ts";
import type { KindRules } from "../../model/plan.ts";
import type { KeptDescriptor } from "./kept_descriptors.ts";

export const tunnelRules: KindRules = {
  kind: "tunnel",
  marks: [],
  needsRecreate: () => false,
  print: ({ key, fields }) => {
    const { port, underlay, queues, sender } = fields;
    const words = [`${key} udp port ${port} on ${texts(underlay).join(" and ")}`];
    if (queues !== 1) words.push(`queues ${queues}`);
    if (sender !== "socket") words.push(`sender ${sender}`);
    return words.join(" ");
  },
};

export const peerRules: KindRules = {
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

export function keptFields(descriptors: readonly KeptDescriptor[]): Fields {
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
  fields: Fields,
): UdpDescriptors[] | null {
  const queues = Number(fields.queues);
  const tuns = kept.flatMap((d) =>
    d.kind === "tun" && d.name === name && d.offload && d.multiQueue === queues > 1 ? [d.fd] : []
  );
  const sockets = (family: 4 | 6) =>
    kept.flatMap((d) =>
      d.kind === "udpSocket" && d.family === family && d.port === fields.port &&
        texts(fields.underlay).includes(d.address)
        ? [d.fd]
        : []
    );
  const [v4, v6] = [sockets(4), sockets(6)];
  const wanted = (family: 4 | 6) =>
    texts(fields.underlay).some((address) => address.includes(":") === (family === 6)) ? queues : 0;
  const whole = tuns.length === queues && v4.length === wanted(4) && v6.length === wanted(6) &&
    kept.length === tuns.length + v4.length + v6.length;
  if (!whole) return null;
  return tuns.map((tun, i) => ({ tun, socketV4: v4[i] ?? null, socketV6: v6[i] ?? null }));
}

export function optionsOf(name: string, fields: Fields): UdpTunnelOptions {
  return {
    name,
    port: Number(fields.port),
    underlay: texts(fields.underlay),
    icmpSources: texts(fields.icmpSources),
    queues: Number(fields.queues),
    sender: fields.sender as NonNullable<UdpTunnelOptions["sender"]>,
    sources: Number(fields.sources),
    acceptMoved: fields.acceptMoved === true,
  };
}

/** The underlay fragments what is too long for a path: the device's own MTU is the limit. */
export function udpPeers(peers: Iterable<Obj>): UdpPeer[] {
  return [...peers].map(({ fields }) => ({
    subnet: String(fields.subnet),
    address: String(fields.address),
    port: Number(fields.port),
    mtu: 0,
  }));
}

export function onlySources(before: Fields, after: Fields): boolean {
  return Object.keys(after).every((name) => name === "icmpSources" || same(before[name], after[name]));
}

function same(a: Fields[string] | undefined, b: Fields[string] | undefined): boolean {
  return Array.isArray(a) ? sameTexts(a, b) : a === b;
}

export function sameTexts(a: Fields[string] | undefined, b: Fields[string] | undefined): boolean {
  return texts(a).join() === texts(b).join();
}

export function texts(value: Fields[string] | undefined): readonly string[] {
  return Array.isArray(value) ? value : [];
}
