/**
 * The endpoints of `-etcd-endpoints`: a list separated by commas, blanks around them allowed.
 *
 * - `https://` and `unixs://` always use TLS and never fall back; `http://` and `unix://` never do; a bare `host:port`
 *   does where TLS files are given. Each endpoint counts by itself, so that a list may mix them.
 * - The port is 2379 where none is given. A path, a user or a password in an endpoint is refused (the latter would end
 *   up in logs).
 */
import { UsageError } from "../../model/errors.ts";

export interface Endpoint {
  /** As the user wrote it, without blanks. */
  readonly text: string;
  readonly tls: boolean;
  /** Host name or address without brackets: what the server's certificate must be valid for. */
  readonly host: string;
  /** The target in gRPC's notation. */
  readonly target: string;
  /** The same for a plain socket. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
}

const FLAG = "-etcd-endpoints";
const DEFAULT_PORT = 2379;

/** @throws UsageError where the list is empty or an endpoint is malformed */
export function parseEndpoints(list: string, bareUsesTls: boolean): readonly Endpoint[] {
  if (list.includes("@")) {
    throw new UsageError(
      `parse flag ${FLAG}: an endpoint holds a user or password; give them with -etcd-username and -etcd-password`,
    );
  }
  const texts = list.split(",").map((text) => text.trim()).filter((text) => text !== "");
  if (texts.length === 0) {
    throw new UsageError(`parse flag ${FLAG} "${list}": no endpoint in it; give one, as in ${EXAMPLE}`);
  }
  return texts.map((text) => parseEndpoint(text, bareUsesTls));
}

const EXAMPLE = "http://127.0.0.1:2379";

function parseEndpoint(text: string, bareUsesTls: boolean): Endpoint {
  const [, scheme, rest = ""] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?(.*)$/.exec(text) ?? [];
  switch (scheme?.toLowerCase()) {
    case undefined:
      return tcpEndpoint(text, rest, bareUsesTls);
    case "http":
    case "https":
      return tcpEndpoint(text, rest, scheme?.toLowerCase() === "https");
    case "unix":
    case "unixs":
      return {
        text,
        tls: scheme?.toLowerCase() === "unixs",
        host: "localhost",
        target: `unix:${rest}`,
        address: { path: rest },
      };
    default:
      throw malformed(text, `unknown scheme "${scheme}"`);
  }
}

function tcpEndpoint(text: string, rest: string, tls: boolean): Endpoint {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:[\]?#]+))(?::(\d{1,5}))?\/?$/.exec(rest);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  if (host === undefined || port < 1 || port > 65535) throw malformed(text, "not a host and a port");
  const target = `dns:${match?.[1] === undefined ? host : `[${host}]`}:${port}`;
  return { text, tls, host, target, address: { host, port } };
}

function malformed(text: string, state: string): UsageError {
  return new UsageError(`parse flag ${FLAG} "${text}": ${state}; write it like ${EXAMPLE}`);
}

/** For messages: every endpoint in quotes. */
export function describeEndpoints(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ text }) => `"${text}"`).join(", ");
}

/** What an administrator should know about endpoints without TLS. Loopback addresses are nobody's business. */
export function plainTextWarnings(
  endpoints: readonly Endpoint[],
  { cafile, certfile, password }: {
    readonly cafile: string;
    readonly certfile: string;
    readonly password: string;
  },
): string[] {
  const plain = endpoints.filter(({ tls, host }) => !tls && !isLoopback(host));
  if (plain.length === 0) return [];
  const list = describeEndpoints(plain);
  const secured = cafile !== "" || certfile !== "" || plain.length < endpoints.length;
  return [
    secured
      ? `connecting to etcd ${list} with http, without TLS: the TLS files do not apply; write https:// to use them`
      : "no certificate provided: connecting to etcd with http. This is insecure",
    ...(password === ""
      ? []
      : [`the etcd password goes to ${list} unencrypted; write https:// to protect it`]),
  ];
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}
