/**
 * Choosing the external interface: the device that carries the tunnels, its own addresses, and the addresses that other hosts
 * are told. Upstream's order: each -iface, each -iface-regex, -iface-can-reach; without any of them the default route.
 * What is not found is logged and the next is tried. Whether a choice that was made still stands: `follower.ts`.
 *
 * The overlay is never its own underlay: devices of our tunnels, and those that carry addresses of containers' subnets (bridges,
 * tunnels of other daemons), are passed over whatever names them.
 *
 * Of several addresses on the interface: what the flags name; the source that the kernel takes towards the default gateway; the
 * first that the kernel lists, and of IPv6 the last, which is the oldest. A single address (a /32, as virtual addresses that move
 * between hosts have) only where there is no other; a tentative or deprecated one never.
 *
 * Where we differ: a public IP that stands on no interface is one behind NAT, not an error: it is told to others, and the
 * tunnels start at the interface's own address. A public IP that does stand on the interface is the tunnels' source.
 * With two families, one default route is enough; where there are two they must agree.
 */
import { Failure, messageOf } from "../model/errors.ts";
import { leasableSubnet } from "../model/allocate.ts";
import { bits, type Family, formatIp, type Ip, parseIp, sameIp } from "../model/ip.ts";
import { type NetworkConfig, networkOf } from "../model/network_config.ts";
import { containsIp, type Prefix } from "../model/prefix.ts";
import type { DefaultRoute, Interface, InterfaceAddress, Kernel, RouteAnswer } from "../kernel/kernel.ts";
import { interfacePattern } from "./interface_pattern.ts";

/** The outcome of choosing the external interface. */
export interface ChosenUnderlay {
  readonly device: string;
  readonly mtu: number;
  readonly v4: Ip | null;
  readonly v6: Ip | null;
  readonly publicIp: Ip | null;
  readonly publicIpv6: Ip | null;
}

/** Members as the flags of these names; null and empty where not given. */
export interface UnderlayOptions {
  /** Addresses or names. */
  readonly iface: readonly string[];
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach: Ip | null;
  readonly publicIp: Ip | null;
  readonly publicIpv6: Ip | null;
}

/** What the kernel said. */
export interface UnderlayFacts {
  readonly interfaces: readonly Interface[];
  /** Default routes, the one that counts first. */
  readonly defaults: ReadonlyMap<Family, readonly DefaultWay[]>;
  /** How -iface-can-reach is reached. */
  readonly reach: RouteAnswer | null;
}

export interface DefaultWay {
  readonly device: string;
  /** The address that the kernel would send from to this route's gateway; null where the route has none. */
  readonly source: Ip | null;
}

/** What the overlay itself has on this host. */
export interface OverlayParts {
  readonly network: NetworkConfig | null;
  /** Our subnets, now and before. */
  readonly subnets: readonly Prefix[];
}

const NO_OVERLAY: OverlayParts = { network: null, subnets: [] };

export interface UnderlayChoice {
  readonly chosen: ChosenUnderlay;
  /** What was found and why, in upstream's words; to be logged at info level. */
  readonly log: readonly string[];
}

/** An interface, and addresses on it that the user named in one way or another. */
interface Found {
  readonly face: Interface;
  readonly named: readonly Ip[];
  /** What the kernel would send from. */
  readonly sources?: readonly Ip[];
}

/** Everything that one choice looks at. */
interface Question {
  readonly facts: UnderlayFacts;
  readonly options: UnderlayOptions;
  readonly overlay: OverlayParts;
  readonly families: readonly Family[];
}

/**
 * Asks the kernel and chooses. `families`: those of the network configuration.
 *
 * @throws Failure where nothing fits; it names what there is
 */
export async function findUnderlay(
  kernel: Kernel,
  options: UnderlayOptions,
  families: readonly Family[],
  overlay: OverlayParts = NO_OVERLAY,
): Promise<UnderlayChoice> {
  const [interfaces, defaults, [reach = null]] = await Promise.all([
    kernel.interfaces(),
    Promise.all(families.map(async (family) => [family, await defaultWays(kernel, family)] as const)),
    options.ifaceCanReach ? kernel.routes([options.ifaceCanReach]) : [],
  ]);
  return chooseUnderlay({ interfaces, defaults: new Map(defaults), reach }, options, families, overlay);
}

async function defaultWays(kernel: Kernel, family: Family): Promise<DefaultWay[]> {
  const routes = await kernel.defaultRoutes(family);
  const gateways = routes.flatMap(({ gateway }) => gateway ?? []);
  const answers = await kernel.routes(gateways);
  const sourceOf = ({ device, gateway }: DefaultRoute) => {
    const answer = gateway && answers[gateways.indexOf(gateway)];
    return answer?.device === device ? answer.source : null;
  };
  return routes.map((route) => ({ device: route.device, source: sourceOf(route) }));
}

/** The choice itself. @throws Failure where nothing fits; it names what there is */
export function chooseUnderlay(
  facts: UnderlayFacts,
  options: UnderlayOptions,
  families: readonly Family[],
  overlay: OverlayParts = NO_OVERLAY,
): UnderlayChoice {
  const question = { facts, options, overlay, families };
  const attempts = [
    ...options.iface.map((name) => ({ name, find: () => byNameOrAddress(question, name) })),
    ...options.ifaceRegex.map((name) => ({ name, find: () => byPattern(question, name) })),
    ...(options.ifaceCanReach
      ? [{ name: formatIp(options.ifaceCanReach), find: () => byRoute(question) }]
      : []),
  ];
  if (attempts.length === 0) return byDefault(question);
  const failures: string[] = [];
  for (const { name, find } of attempts) {
    try {
      const choice = complete(question, find());
      return { ...choice, log: [...failures, ...choice.log] };
    } catch (thrown) {
      failures.push(`Could not find valid interface matching ${name}: ${messageOf(thrown)}`);
    }
  }
  throw new Failure(
    `choose the external interface: Failed to find interface to use that matches the interfaces and/or regexes provided; ` +
      `${
        failures.join("; ")
      }; correct -iface, -iface-regex or -iface-can-reach, or leave them out for the default route`,
  );
}

function byNameOrAddress({ facts, overlay }: Question, text: string): Found {
  const address = parseIp(text);
  const face = facts.interfaces.find((f) => address ? holdsIp(f, address) : f.name === text);
  if (face && isOverlay(face, overlay)) throw new Failure(ofTheOverlay(face));
  if (face) return { face, named: address ? [address] : [] };
  throw new Failure(`no interface has this name or address; there are ${describe(facts.interfaces)}`);
}

/** Addresses come before names: the pattern may be about the network that the tunnels shall use. */
function byPattern({ facts, overlay, families }: Question, text: string): Found {
  const pattern = interfacePattern(text);
  const candidates = facts.interfaces.filter((face) => !isOverlay(face, overlay));
  for (const face of candidates) {
    const matches = families.map((f) => usable(face, f).find((a) => pattern.test(formatIp(a))));
    const named = matches.filter((address) => address !== undefined);
    if (named.length === families.length) return { face, named };
  }
  const face = candidates.find(({ name }) => pattern.test(name));
  if (face) return { face, named: [] };
  const there = describe(candidates);
  throw new Failure(
    `could not match pattern ${text} to any of the available network interfaces (${there})`,
  );
}

function byRoute({ facts, overlay }: Question): Found {
  const { reach } = facts;
  if (reach === null) throw new Failure("the kernel has no route there");
  const face = faceOf(facts, reach.device);
  if (isOverlay(face, overlay)) throw new Failure(ofTheOverlay(face));
  return { face, named: reach.source ? [reach.source] : [] };
}

function byDefault(question: Question): UnderlayChoice {
  const { facts, options, overlay } = question;
  const publicIps = [options.publicIp, options.publicIpv6].filter((address) => address !== null);
  const holder = facts.interfaces.find((face) =>
    !isOverlay(face, overlay) && publicIps.some((address) => holdsIp(face, address))
  );
  if (holder) return complete(question, { face: holder, named: [] });
  const log = [
    "Determining IP address of default interface",
    ...publicIps.map((address) =>
      `${
        formatIp(address)
      } is not on an interface of this host; it is taken for the address of a NAT in front of it`
    ),
  ];
  const choice = complete(question, defaultFace(question));
  return { ...choice, log: [...log, ...choice.log] };
}

function defaultFace({ facts, overlay, families }: Question): Found {
  const ways = families.flatMap((family) => {
    const all = facts.defaults.get(family) ?? [];
    const way = all.find(({ device }) => !isOverlay(faceOf(facts, device), overlay));
    return way ?? [];
  });
  const [first, second = first] = ways;
  if (first === undefined || second === undefined) {
    throw new Failure(
      "choose the external interface: Failed to find any valid interface to use: there is no default route " +
        `with a single output interface; name one with -iface, there are ${describe(facts.interfaces)}`,
    );
  }
  if (second.device !== first.device) {
    throw new Failure(
      `choose the external interface: v6 default route interface ${second.device} must be the same with v4 default ` +
        `route interface ${first.device}; name one with -iface`,
    );
  }
  return {
    face: faceOf(facts, first.device),
    named: [],
    sources: ways.flatMap(({ source }) => source ?? []),
  };
}

function faceOf({ interfaces }: UnderlayFacts, name: string): Interface {
  const face = interfaces.find((candidate) => candidate.name === name);
  if (!face) throw new Failure(`interface "${name}" has just gone; there are ${describe(interfaces)}`);
  return face;
}

/** Adds what follows from the interface: an address of each family, the MTU, and what others are told. */
function complete({ options, families }: Question, found: Found): UnderlayChoice {
  const { face } = found;
  const local = new Map(families.map((family) => [family, localAddress(found, family, options)]));
  if (face.mtu === 0) {
    throw new Failure(
      `failed to determine MTU for ${face.name} interface: the kernel says 0; name another with -iface`,
    );
  }
  const [v4, v6] = [local.get(4) ?? null, local.get(6) ?? null];
  const publicIp = v4 && (options.publicIp ?? v4);
  const publicIpv6 = v6 && (options.publicIpv6 ?? v6);
  return {
    chosen: { device: face.name, mtu: face.mtu, v4, v6, publicIp, publicIpv6 },
    log: [
      ...(v4 ? [`Using interface with name ${face.name} and address ${formatIp(v4)}`] : []),
      ...(v6 ? [`Using interface with name ${face.name} and v6 address ${formatIp(v6)}`] : []),
      ...(v4 ? [externalLine(options.publicIp, v4, "external address")] : []),
      ...(v6 ? [externalLine(options.publicIpv6, v6, "external v6 address")] : []),
    ],
  };
}

function externalLine(given: Ip | null, local: Ip, what: string): string {
  return given
    ? `Using ${formatIp(given)} as external address`
    : `Defaulting ${what} to interface address (${formatIp(local)})`;
}

/** The address that was named, else the public one where it is on the interface, else the best there is. */
function localAddress({ face, named, sources = [] }: Found, family: Family, options: UnderlayOptions): Ip {
  const wanted = named.find((address) => address.family === family);
  if (wanted) return wanted;
  const publicIp = family === 4 ? options.publicIp : options.publicIpv6;
  if (publicIp && holdsIp(face, publicIp)) return publicIp;
  const [best] = usable(face, family, sources);
  if (!best) {
    throw new Failure(
      `failed to find IPv${family} address for interface ${face.name}: it has ${describeAddresses(face)}; ` +
        "give it one, or name another with -iface",
    );
  }
  return best;
}

/** Addresses that tunnels can start from, best first. */
export function usable(face: Interface, family: Family, sources: readonly Ip[] = []): Ip[] {
  const rank = (a: InterfaceAddress) =>
    (isLinkLocal(a.address) ? 8 : 0) + (isSingle(a) ? 4 : 0) + (a.temporary ? 2 : 0) +
    (sources.some((source) => sameIp(source, a.address)) ? 0 : 1);
  const listed = face.addresses.filter((a) => a.address.family === family && canCarry(a));
  // The kernel lists IPv6 addresses newest first.
  return (family === 6 ? listed.reverse() : listed).sort((a, b) => rank(a) - rank(b)).map((a) => a.address);
}

/** Whether packets can leave from an address, now and for some time. */
export function canCarry({ address, scope, deprecated, tentative }: InterfaceAddress): boolean {
  return (scope === "global" || scope === "link") && !deprecated && !tentative && !isLoopback(address);
}

function isSingle({ address, length }: InterfaceAddress): boolean {
  return length === bits(address.family);
}

/**
 * A device of an overlay: one of a flannel's or ours, one with an address in a subnet that is ours, and a tunnel or bridge with an
 * address in any subnet that can be leased.
 */
function isOverlay(face: Interface, { network, subnets }: OverlayParts): boolean {
  if (face.alias.startsWith("denim:") || /^flannel(-v6)?[.\d]/.test(face.name)) return true;
  const addresses = face.addresses.map(({ address }) => address);
  if (addresses.some((address) => subnets.some((subnet) => containsIp(subnet, address)))) return true;
  return ["bridge", "vxlan", "tun"].includes(face.type) && addresses.some((address) => {
    const own = network && networkOf(network, address.family);
    return own !== null && leasableSubnet(own, address) !== null;
  });
}

function ofTheOverlay({ name }: Interface): string {
  return `${name} belongs to the overlay, which can't carry itself`;
}

function holdsIp(face: Interface, address: Ip): boolean {
  return face.addresses.some((a) => sameIp(a.address, address));
}

/** 169.254/16 (RFC 3927) or fe80::/10 (RFC 4291). */
function isLinkLocal({ family, value }: Ip): boolean {
  return family === 4 ? value >> 16n === 0xa9fen : value >> 118n === 0x3fan;
}

function isLoopback({ family, value }: Ip): boolean {
  return family === 4 ? value >> 24n === 127n : value === 1n;
}

function describe(interfaces: readonly Interface[]): string {
  return interfaces.map((face) => `${face.name}:[${describeAddresses(face)}]`).join(", ") || "none";
}

function describeAddresses(face: Interface): string {
  return face.addresses.map((a) => formatIp(a.address)).join(" ") || "no address";
}
