/** The texts of gRPC, the TLS library and etcd, and what we make of them. */
import { assert, assertEquals } from "@std/assert";
import { classify, type ConnectionFacts, Denied, EndpointError } from "../../src/store/etcd/errors.ts";
import { LeaseNotFound } from "../../src/store/etcd/v3/remote.ts";

const plain: ConnectionFacts = {
  endpoint: "http://10.0.0.1:2379",
  tls: false,
  host: "10.0.0.1",
  handshaken: false,
  ready: false,
  hasUser: false,
};
const tls: ConnectionFacts = { ...plain, endpoint: "https://10.0.0.1:2379", tls: true };
const shaken: ConnectionFacts = { ...tls, handshaken: true };

function unreachable(text: string): string {
  return `14 UNAVAILABLE: No connection established. Last error: ${text}. Resolution note: `;
}

/** What etcd or the network said, over which connection; our words; whether waiting is in vain. */
const connections: readonly [string, ConnectionFacts, string, boolean][] = [
  [unreachable("Error: connect ECONNREFUSED 10.0.0.1:2379"), plain, "connection refused", false],
  [unreachable("Error: connect EHOSTUNREACH 10.0.0.1:2379"), plain, "no route to the host", false],
  ["4 DEADLINE_EXCEEDED: Deadline exceeded after 4.0s", plain, "no answer", false],
  ["no answer within 3 s", plain, "no answer", false],
  ["14 UNAVAILABLE: Name resolution failed for target dns:etcd:2379", plain, "host name not found", false],
  [
    unreachable("Failed to connect (2026-01-01T00:00:00.000Z)"),
    plain,
    "the server closed the connection",
    false,
  ],
  ["Connection dropped", { ...shaken, ready: true }, "the connection broke", false],
  ["14 UNAVAILABLE: read ECONNRESET", { ...plain, ready: true }, "the connection broke", false],
  [
    unreachable("Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames"),
    tls,
    `the server's certificate is not valid for "10.0.0.1"`,
    true,
  ],
  [
    unreachable("Error: unable to verify the first certificate"),
    tls,
    "the server's certificate is signed by unknown authority",
    true,
  ],
  [
    unreachable("Error: invalid peer certificate: UnknownIssuer"),
    tls,
    "the server's certificate is signed by unknown authority",
    true,
  ],
  [unreachable("Error: certificate has expired"), tls, "the server's certificate has expired", false],
  [
    unreachable("Error: Client network socket disconnected before secure TLS connection was established"),
    tls,
    "the server does not speak TLS",
    false,
  ],
  ["14 UNAVAILABLE: etcdserver: no leader", plain, "etcdserver: no leader", false],
  ["14 UNAVAILABLE: etcdserver: request timed out", plain, "etcdserver: request timed out", false],
  ["16 UNAUTHENTICATED: etcdserver: invalid auth token", plain, "our token is not valid any more", false],
  [
    "3 INVALID_ARGUMENT: etcdserver: user name is empty",
    { ...plain, hasUser: true },
    "our token is not valid any more",
    false,
  ],
];

for (const [text, facts, state, refused] of connections) {
  Deno.test(`etcd3 errors: ${text} (${facts.tls ? "TLS" : "plain"}) is: ${state}`, () => {
    const error = classify(new Error(text), facts);
    assert(error instanceof EndpointError, String(error));
    assertEquals([error.state, error.refused, error.endpoint], [state, refused, facts.endpoint]);
  });
}

const alerts = [
  "write EPIPE (2026-01-01T00:00:00.000Z)",
  "Error: received fatal alert: BadCertificate",
  "Error: received fatal alert: CertificateRequired",
  "Error: received fatal alert: CertificateExpired",
  "Error: received fatal alert: UnknownCA",
  "Error: tlsv1 alert unknown ca",
  "Error: tlsv13 alert certificate required",
];
for (const text of alerts) {
  Deno.test(`etcd3 errors: ${text} after the handshake is about our certificate`, () => {
    const error = classify(new Error(unreachable(text)), shaken);
    assert(error instanceof EndpointError && error.refused);
    assert(error.remedy.startsWith("give -etcd-certfile and -etcd-keyfile"), error.remedy);
  });
}

const denials: readonly [string, string, boolean][] = [
  ["3 INVALID_ARGUMENT: etcdserver: user name is empty", "etcd asks for a user and password", false],
  ["7 PERMISSION_DENIED: etcdserver: permission denied", "permission denied", false],
  [
    "3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password",
    "user or password wrong",
    false,
  ],
  ["12 UNIMPLEMENTED: unknown service etcdserverpb.KV", "the server does not offer etcd's v3 API", false],
  ["12 UNIMPLEMENTED: Received HTTP status code 404", "the server does not offer etcd's v3 API", false],
  ["13 INTERNAL: Received HTTP status code 400", "the server does not offer etcd's v3 API", false],
  ["3 INVALID_ARGUMENT: etcdserver: request is too large", "it is too large for etcd", false],
  ["8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded", "etcd's database is full", true],
];
for (const [text, state, transient] of denials) {
  Deno.test(`etcd3 errors: ${text} is a denial: ${state}`, () => {
    const error = classify(new Error(text), plain);
    assert(error instanceof Denied, String(error));
    assertEquals([error.state, error.transient], [state, transient]);
  });
}

Deno.test("etcd3 errors: a lease that is gone is told as such", () => {
  const text = "Lease 5 NOT_FOUND: etcdserver: requested lease not found is expired or revoked";
  assert(classify(new Error(text), plain) instanceof LeaseNotFound);
});
