/**
 * Certificates for tests, made with the openssl command: an authority, and what it signs. Everything lies in the given
 * directory, valid for two days, on P-256 keys.
 */
import { run } from "./process.ts";

/** Paths of PEM files: a certificate, its key, and the authority that signed it. */
export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Subject alternative names that are addresses; a server's certificate usually has these alone. */
  readonly ips?: readonly string[];
  readonly names?: readonly string[];
  /** False: a client's certificate, useless for a server. */
  readonly server?: boolean;
  /** Valid until yesterday. */
  readonly expired?: boolean;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export class Authority {
  private constructor(readonly directory: string, readonly cert: string, readonly key: string) {}

  static async create(directory: string, name = "ca"): Promise<Authority> {
    const [cert, key] = [`${directory}/${name}.pem`, `${directory}/${name}.key`];
    const subject = ["-subj", `/CN=${name}`, "-days", "2"];
    await run(["openssl", "req", "-x509", ...NEW_KEY, "-keyout", key, "-out", cert, ...subject]);
    return new Authority(directory, cert, key);
  }

  /** Signs a new key's certificate under `name`. */
  async sign(name: string, options: CertificateOptions = {}): Promise<Identity> {
    const path = `${this.directory}/${name}`;
    const files = { cert: `${path}.pem`, key: `${path}.key`, csr: `${path}.csr`, ext: `${path}.ext` };
    await Deno.writeTextFile(files.ext, extensions(options));
    await run([
      "openssl",
      "req",
      ...NEW_KEY,
      "-keyout",
      files.key,
      "-out",
      files.csr,
      "-subj",
      `/CN=${name}`,
    ]);
    const by = ["-CA", this.cert, "-CAkey", this.key, "-CAcreateserial", "-extfile", files.ext];
    // openssl ca could set both ends; for x509 a negative number of days is the short way into the past.
    const days = ["-days", options.expired ? "-1" : "2"];
    await run(["openssl", "x509", "-req", "-in", files.csr, "-out", files.cert, ...by, ...days]);
    return { ca: this.cert, cert: files.cert, key: files.key };
  }
}

function extensions({ ips = [], names = [], server = true }: CertificateOptions): string {
  const alternatives = [...ips.map((ip) => `IP:${ip}`), ...names.map((name) => `DNS:${name}`)];
  return [
    "basicConstraints=CA:FALSE",
    `extendedKeyUsage=${server ? "serverAuth,clientAuth" : "clientAuth"}`,
    ...(alternatives.length === 0 ? [] : [`subjectAltName=${alternatives.join(",")}`]),
  ].join("\n") + "\n";
}
