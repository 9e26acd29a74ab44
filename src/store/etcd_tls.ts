/**
 * The TLS files of the etcd connection: what is in them, checked before anybody connects.
 *
 * - Any combination works: an authority alone, a client certificate with its key alone, both, none (the system's authorities
 *   then decide whom to trust).
 * - What is unreadable or does not fit together is a Failure at start that names flag and path.
 * - The files are read again for every new connection, so that renewed certificates are used without a restart; while they
 *   are unreadable or half written, the last good ones serve.
 * - What is in the files never reaches a message.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { Failure, messageOf, UsageError } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { osErrorText } from "../system/os_error.ts";

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
  readonly #paths: TlsPaths;
  readonly #log: Log | undefined;
  /** Null before the first connection where no file is given. */
  #good: SecureContext | null;
  /** The trouble that was reported last, so that it is reported once. */
  #trouble = "";

  /** @throws Failure where a file is unreadable or holds the wrong thing; UsageError where half of a pair is missing */
  constructor(paths: TlsPaths, log?: Log) {
    this.#paths = paths;
    this.#log = log;
    checkPair(paths);
    this.#good = tlsConfigured(paths) ? readContext(paths) : null;
    warnAboutKeyMode(paths.keyfile, log);
  }

  /** What to connect with now. */
  context(): SecureContext {
    try {
      const fresh = readContext(this.#paths);
      this.#trouble = "";
      return this.#good = fresh;
    } catch (thrown) {
      if (this.#good === null) throw thrown;
      const trouble = messageOf(thrown);
      if (trouble !== this.#trouble) this.#log?.warn(`${trouble}; the certificates read before stay in use`);
      this.#trouble = trouble;
      return this.#good;
    }
  }
}

export function tlsConfigured(paths: TlsPaths): boolean {
  return paths.keyfile !== "" || paths.certfile !== "" || paths.cafile !== "";
}

function checkPair({ keyfile, certfile }: TlsPaths): void {
  if ((keyfile === "") === (certfile === "")) return;
  const [given, path, missing] = keyfile === ""
    ? ["-etcd-certfile", certfile, "-etcd-keyfile"]
    : ["-etcd-keyfile", keyfile, "-etcd-certfile"];
  throw new UsageError(`use ${given} "${path}": ${missing} is missing; give both, or neither`);
}

function readContext({ keyfile, certfile, cafile }: TlsPaths): SecureContext {
  const ca = cafile === "" ? systemAuthorities() : read("-etcd-cafile", cafile);
  if (cafile !== "") readCertificates("-etcd-cafile", cafile, ca);
  if (keyfile === "") return createSecureContext({ ...(ca && { ca }), minVersion: "TLSv1.2" });
  const cert = read("-etcd-certfile", certfile);
  const key = read("-etcd-keyfile", keyfile);
  const [own] = readCertificates("-etcd-certfile", certfile, cert);
  if (!own?.checkPrivateKey(readKey(keyfile, key))) {
    throw new Failure(
      `use -etcd-keyfile "${keyfile}": it does not belong to the certificate in -etcd-certfile "${certfile}"; give the matching pair`,
    );
  }
  return createSecureContext({ ...(ca && { ca }), cert, key, minVersion: "TLSv1.2" });
}

function read(flag: string, path: string): Buffer {
  try {
    return Buffer.from(Deno.readFileSync(path));
  } catch (thrown) {
    throw new Failure(`read ${flag} "${path}": ${osErrorText(thrown)}; correct the path or its permissions`);
  }
}

const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

function readCertificates(flag: string, path: string, pem: Buffer | undefined): X509Certificate[] {
  try {
    const blocks = pem?.toString("latin1").match(PEM_CERTIFICATE) ?? [];
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // Whatever the parser says is about its own insides.
  }
  throw new Failure(`read ${flag} "${path}": no certificate in it; give a file in PEM form`);
}

function readKey(path: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    const locked = pem.includes("ENCRYPTED");
    throw new Failure(
      `read -etcd-keyfile "${path}": ${
        locked
          ? "the key is encrypted; store it without a passphrase"
          : "no private key in it; give a file in PEM form"
      }`,
    );
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
  if (keyfile === "") return;
  const mode = Deno.statSync(keyfile).mode ?? 0;
  if ((mode & 0o007) === 0) return;
  log?.warn(
    `-etcd-keyfile "${keyfile}" can be read by everybody on this host (mode ${
      (mode & 0o777).toString(8)
    }); run chmod o= "${keyfile}"`,
  );
}
