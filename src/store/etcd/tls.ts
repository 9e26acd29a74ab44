/**
 * The TLS files of the etcd connection: what is in them, checked before anybody connects.
 *
 * - Any combination works: an authority alone, a client certificate with its key alone, both, none (the system's authorities
 *   then decide whom to trust). Certificate and key may stand in one file, which then may be named by either flag or both.
 * - What is unreadable or does not fit together is a Failure at start that names flag and path.
 * - The files are read again for every new connection, so that renewed certificates are used without a restart; while they
 *   are unreadable or half written, the last good ones serve.
 * - What is in the files never reaches a message.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { Failure, messageOf, UsageError } from "../../model/errors.ts";
import type { Log } from "../../observe/log.ts";
import { osErrorText } from "../../system/os_error.ts";
import { CertificateDates } from "./certificate_dates.ts";
import { isCertificate, isEncrypted, isPrivateKey, type PemBlock, pemBlocks } from "./pem.ts";

export interface TlsPaths {
  /** Empty where not given. */
  readonly keyfile: string;
  readonly certfile: string;
  readonly cafile: string;
}

/** Where distributions keep the authorities that the system trusts, all in one file. */
const SYSTEM_AUTHORITIES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

export class TlsFiles {
  readonly dates = new CertificateDates();
  readonly #paths: TlsPaths;
  readonly #log: Log | undefined;
  /** Null before the first connection where no file is given. */
  #good: Read | null;
  /** The trouble that was reported last, so that it is reported once. */
  #trouble = "";

  /** @throws Failure where a file is unreadable or holds the wrong thing; UsageError where half of a pair is missing */
  constructor(paths: TlsPaths, log?: Log) {
    this.#paths = paths;
    this.#log = log;
    this.#good = tlsConfigured(paths) ? readContext(paths) : null;
    if (this.#good?.own) warnAboutKeyMode(ownFiles(paths).keyfile, log);
  }

  /** Our own certificate as it was read last; null where none is given. */
  get own(): OwnCertificate | null {
    const certificate = this.#good?.own ?? null;
    return certificate && { certificate, path: ownFiles(this.#paths).certfile };
  }

  /** What to connect with now. */
  context(): SecureContext {
    try {
      const fresh = readContext(this.#paths);
      if (this.#trouble !== "") {
        this.#log?.info("the certificates for etcd can be read again, and are in use");
      }
      this.#trouble = "";
      this.#good = fresh;
      return fresh.context;
    } catch (thrown) {
      if (this.#good === null) throw thrown;
      const trouble = messageOf(thrown);
      if (trouble !== this.#trouble) this.#log?.warn(`${trouble}; the certificates read before stay in use`);
      this.#trouble = trouble;
      return this.#good.context;
    }
  }
}

export interface OwnCertificate {
  readonly certificate: X509Certificate;
  /** Of its file. */
  readonly path: string;
}

interface Read {
  readonly context: SecureContext;
  /** Our own certificate; null where none is given. */
  readonly own: X509Certificate | null;
}

export function tlsConfigured(paths: TlsPaths): boolean {
  return paths.keyfile !== "" || paths.certfile !== "" || paths.cafile !== "";
}

/** One file may hold both certificate and key: then either flag alone says where they are. */
function ownFiles({ keyfile, certfile }: TlsPaths): { readonly certfile: string; readonly keyfile: string } {
  return { certfile: certfile || keyfile, keyfile: keyfile || certfile };
}

function readContext(paths: TlsPaths): Read {
  const { cafile } = paths;
  const ca = cafile === "" ? systemAuthorities() : readCertificates("-etcd-cafile", cafile).join("");
  const trust = { ...(ca && { ca }), minVersion: "TLSv1.2" } as const;
  if (paths.keyfile === "" && paths.certfile === "") {
    return { context: createSecureContext(trust), own: null };
  }
  const { key, chain: [own, ...others] } = readPair(paths);
  const cert = [own, ...others].join("");
  return { context: createSecureContext({ ...trust, cert, key }), own: own! };
}

/** Our key, and our certificate with those that it stands on behind it, whatever their order in the file. */
function readPair(paths: TlsPaths): { readonly key: string; readonly chain: readonly X509Certificate[] } {
  const { certfile, keyfile } = ownFiles(paths);
  requirePair(paths);
  const certificates = readCertificates("-etcd-certfile", certfile);
  for (const { text, key } of readKeys(keyfile)) {
    const own = certificates.find((certificate) => certificate.checkPrivateKey(key));
    if (own === undefined) continue;
    return { key: text, chain: [own, ...certificates.filter((each) => each !== own)] };
  }
  throw new Failure(
    `use -etcd-keyfile "${keyfile}": it does not belong to the certificate in -etcd-certfile "${certfile}"; give the matching pair`,
  );
}

/** @throws UsageError where one flag is given, and its file does not hold what the other would name */
function requirePair({ keyfile, certfile }: TlsPaths): void {
  if (keyfile !== "" && certfile !== "") return;
  const [given, path, missing, wanted] = keyfile === ""
    ? ["-etcd-certfile", certfile, "-etcd-keyfile", isPrivateKey] as const
    : ["-etcd-keyfile", keyfile, "-etcd-certfile", isCertificate] as const;
  if (pemBlocks(read(given, path)).some(wanted)) return;
  throw new UsageError(`use ${given} "${path}": ${missing} is missing; give both, or neither`);
}

function read(flag: string, path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (thrown) {
    throw new Failure(`read ${flag} "${path}": ${osErrorText(thrown)}; correct the path or its permissions`);
  }
}

function readCertificates(flag: string, path: string): X509Certificate[] {
  const blocks = pemBlocks(read(flag, path)).filter(isCertificate);
  try {
    if (blocks.length > 0) return blocks.map(({ text }) => new X509Certificate(text));
  } catch {
    // Whatever the parser says is about its own insides.
  }
  const state = blocks.length > 0 ? "a certificate in it is damaged" : "no certificate in it";
  throw new Failure(`read ${flag} "${path}": ${state}; give a file in PEM form`);
}

interface PrivateKey {
  readonly text: string;
  readonly key: KeyObject;
}

function readKeys(path: string): PrivateKey[] {
  const blocks = pemBlocks(read("-etcd-keyfile", path)).filter(isPrivateKey);
  const keys = blocks.flatMap((block) => readKey(block) ?? []);
  if (keys.length > 0) return keys;
  const state = blocks.some(isEncrypted)
    ? "the key is encrypted; store it without a passphrase"
    : `${
      blocks.length > 0 ? "the private key in it is damaged" : "no private key in it"
    }; give a file in PEM form`;
  throw new Failure(`read -etcd-keyfile "${path}": ${state}`);
}

function readKey({ text }: PemBlock): PrivateKey | null {
  try {
    return { text, key: createPrivateKey(text) };
  } catch {
    return null;
  }
}

/** Undefined where the system has none in a known place: the runtime's own then serve. */
function systemAuthorities(): Buffer | undefined {
  const chosen = Deno.env.get("SSL_CERT_FILE");
  for (const path of chosen ? [chosen] : SYSTEM_AUTHORITIES) {
    try {
      return Buffer.from(Deno.readFileSync(path));
    } catch {
      continue;
    }
  }
  return undefined;
}

function warnAboutKeyMode(keyfile: string, log?: Log): void {
  const mode = Deno.statSync(keyfile).mode ?? 0;
  if ((mode & 0o007) === 0) return;
  log?.warn(
    `-etcd-keyfile "${keyfile}" can be read by everybody on this host (mode ${
      (mode & 0o777).toString(8)
    }); run chmod o= "${keyfile}"`,
  );
}
