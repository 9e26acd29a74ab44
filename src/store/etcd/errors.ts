/**
 * What gRPC's and etcd's errors mean for us, and in words for people.
 *
 * etcd3 hands errors on as text (`14 UNAVAILABLE: No connection established. Last error: …`), so that this is a table of
 * patterns over that text; `refused` marks what will not get better by waiting.
 */
import { Failure, messageOf } from "../../model/errors.ts";
import { LeaseNotFound } from "./v3/remote.ts";
import { HistoryLost } from "./reader.ts";
import { StoreUnavailable } from "../store.ts";

/** One endpoint did not serve a call. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
  constructor(
    /** As the user wrote it. */
    readonly endpoint: string,
    /** For the middle of a message: `connection refused`. */
    readonly state: string,
    readonly remedy: string,
    /** True where the endpoint refuses us for good: its certificate, our password. */
    readonly refused: boolean,
  ) {
    super(state);
  }
}

/** The endpoint does not have HTTP/2, without which there is no v3 API; its v2 API may well be there. */
export class Http2Absent extends EndpointError {
  constructor(endpoint: string) {
    super(
      endpoint,
      "the server speaks HTTP/1.1 alone, and etcd's v3 API needs HTTP/2",
      "name etcd's own port instead of a proxy's or load balancer's, or use --etcd-api=v2",
      true,
    );
  }
}

/** etcd understood the call and its answer is no, whichever member is asked. */
export class Denied extends Error {
  override readonly name = "Denied";
  constructor(
    readonly state: string,
    readonly remedy: string,
    /** True where trying again later may do. */
    readonly transient: boolean,
  ) {
    super(state);
  }
}

/** The server has no such API at all. */
export class ApiAbsent extends Denied {
  constructor(api: "v2" | "v3", remedy: string) {
    super(`the server does not offer etcd's ${api} API`, remedy, false);
  }
}

/** What the store is told then, and where no endpoint has HTTP/2. */
export class ApiNotOffered extends Failure {}

/** The same where nobody listens at the other endpoints: etcd may yet start there. */
export class ApiNotReached extends StoreUnavailable {}

/** The user's roles do not permit it. */
export class NotPermitted extends Failure {}

/** Bare error text: without gRPC's status, its wrapping and its timestamps, all of which change from one try to the next. */
export function detailOf(thrown: unknown): string {
  return messageOf(thrown)
    .replace(/^\d+ [A-Z_]+: /, "")
    .replace(/^No connection established\. Last error: /, "")
    .replace(/ ?Resolution note: ?.*$/s, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)/, "")
    .replace(/^(?:\w*Error(?: \[\w+\])?: )+/, "")
    .replace(/\.$/, "");
}

/** By etcd before v3, and by a proxy that turns HTTP/2 into HTTP/1.1. */
const NO_V3 = /unknown service|unknown method|UNIMPLEMENTED|Received HTTP status code 4(00|04|05|15)/;

/** The state of `NotPermitted`. */
export const NOT_PERMITTED = "permission denied";

const NO_USER = /user name is empty/;

const denials: readonly (readonly [RegExp, string, string, transient?: boolean])[] = [
  [
    /authentication failed|invalid user ID or password/,
    "user or password wrong",
    "correct -etcd-username and -etcd-password",
  ],
  [
    NO_USER,
    "etcd asks for a user and password",
    "give -etcd-username and -etcd-password",
  ],
  [
    /permission denied/,
    NOT_PERMITTED,
    "give the etcd user a role that may read and write below -etcd-prefix",
  ],
  [
    /database space exceeded/,
    "etcd's database is full",
    "compact and defragment it, then run etcdctl alarm disarm",
    true,
  ],
  [
    /request is too large/,
    "it is too large for etcd",
    "make it smaller, or raise etcd's --max-request-bytes",
  ],
  [/too many requests/, "etcd is overloaded", "see what else uses it", true],
];

/** Facts about the connection that the error's text lacks. */
export interface ConnectionFacts {
  /** We have a user to give: etcd's users may have been turned on after we connected. */
  readonly hasUser: boolean;
  readonly endpoint: string;
  readonly tls: boolean;
  /** The TLS handshake has succeeded from our side. */
  readonly handshaken: boolean;
  /** HTTP/2 was spoken on it: the server has taken us. */
  readonly ready: boolean;
  readonly host: string;
}

const REFUSED = "connection refused";
const NO_SOCKET = "no such socket";
const SILENCE = "no answer";

/** The way there is open, and nobody listens. */
export function nobodyThere({ state }: EndpointError): boolean {
  return state === REFUSED || state === NO_SOCKET;
}

export function neverAnswered({ state }: EndpointError): boolean {
  return state === SILENCE;
}

type Row = readonly [RegExp, string | ((facts: ConnectionFacts) => string), string, refused?: boolean];

const failures: readonly Row[] = [
  // A new connection gets a new token.
  [
    /invalid auth token|token not valid any more|auth store is old|user name is empty/,
    "our token is not valid any more",
    "check etcd's log",
  ],
  [/ECONNREFUSED/, REFUSED, "start etcd there, or correct -etcd-endpoints"],
  [/ENOENT/, NO_SOCKET, "start etcd there, or correct -etcd-endpoints"],
  [/ENETUNREACH|EHOSTUNREACH/, "no route to the host", "check the network"],
  [
    /DEADLINE|deadline|ETIMEDOUT|no answer/,
    SILENCE,
    "check that etcd runs there and no firewall is in between",
  ],
  [/ENOTFOUND|EAI_AGAIN|Name resolution|getaddrinfo/, "host name not found", "check the name and the DNS"],
  [
    /ALTNAME_INVALID|does not match certificate/,
    ({ host }) => `the server's certificate is not valid for "${host}"`,
    "use an address that the certificate names, or issue one for this address",
    true,
  ],
  [
    /unable to verify|unable to get|self[- ]signed|UnknownIssuer|unknown issuer/i,
    "the server's certificate is signed by unknown authority",
    "give the authority's certificate with -etcd-cafile",
    true,
  ],
  [/expired/i, "the server's certificate has expired", "renew it, or set this host's clock"],
  [/not yet valid|NotValidYet/i, "the server's certificate is not valid yet", "set this host's clock"],
  [
    /before secure TLS connection|wrong version number|InvalidContentType|corrupt message/i,
    "the server does not speak TLS",
    "turn TLS on in etcd, or write http:// in -etcd-endpoints",
  ],
];

const CLOSED = /EPIPE|ECONNRESET|socket hang up|Failed to connect|Connection dropped|closed/i;
/** What a TLS server says to a client whose certificate it does not take; often it just closes. */
const ALERT = /alert:? ?(bad|unsupported|unknown|no)?[ _]?(certificate|ca\b)|alert:? ?access[ _]?denied/i;

/** Turns what a call threw into one of the classes above, or into what the caller of the call is to know. */
export function classify(thrown: unknown, facts: ConnectionFacts): Error {
  if (thrown instanceof HistoryLost || thrown instanceof LeaseNotFound) return thrown;
  const detail = detailOf(thrown);
  if (/requested lease not found/.test(detail)) return new LeaseNotFound("the etcd lease is gone");
  if (NO_V3.test(messageOf(thrown))) return new ApiAbsent("v3", "upgrade etcd to 3.x, or use --etcd-api=v2");
  if (/no[ _]?application[ _]?protocol/i.test(detail)) return new Http2Absent(facts.endpoint);
  const denial = denials.find(([pattern]) => pattern.test(detail) && !(pattern === NO_USER && facts.hasUser));
  if (denial !== undefined) return new Denied(denial[1], denial[2], denial[3] ?? false);
  const known = ALERT.test(detail)
    ? undefined
    : failures.find(([pattern]) => pattern.test(messageOf(thrown)));
  const [, state, remedy, refused] = known ?? closed(detail, facts) ??
    [CLOSED, detail, "check etcd's log"] as const;
  const text = typeof state === "string" ? state : state(facts);
  return new EndpointError(facts.endpoint, text, remedy, refused ?? false);
}

/** A server that closes without a word has its reasons, which only the state of the connection tells. */
function closed(detail: string, { tls, handshaken, ready }: ConnectionFacts): Row | undefined {
  const alert = ALERT.test(detail);
  if (!alert && (!CLOSED.test(detail) || /^etcdserver:/.test(detail))) return undefined;
  if (ready) return [CLOSED, "the connection broke", "check etcd's log"];
  if (!tls) {
    return [
      CLOSED,
      "the server closed the connection",
      "if etcd uses TLS, write https:// in -etcd-endpoints",
    ];
  }
  if (!handshaken && !alert) {
    return [CLOSED, "the server closed the connection during the TLS handshake", "check etcd's log"];
  }
  return [
    CLOSED,
    "the server closed the connection after the TLS handshake, as it does without a client certificate that it trusts",
    "give -etcd-certfile and -etcd-keyfile signed by the authority of etcd's --trusted-ca-file",
    // A server that is just ending does the same, once: the second attempt of the call tells them apart.
    true,
  ];
}
