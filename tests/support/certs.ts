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
  /** It may sign others itself. */
  readonly authority?: boolean;
  /** Days from now at which it becomes valid and ends, negative ones in the past; now, and in two days, unless told. */
  readonly days?: readonly [from: number, to: number];
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

  /** An authority of its own that this one vouches for. */
  async intermediate(name: string): Promise<Authority> {
    const { cert, key } = await this.sign(name, { authority: true });
    return new Authority(this.directory, cert, key);
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
    if (options.days !== undefined) await this.#signFor(options.days, files);
    else await run(["openssl", "x509", "-req", "-in", files.csr, "-out", files.cert, ...by, "-days", "2"]);
    return { ca: this.cert, cert: files.cert, key: files.key };
  }

  /** With both ends given: `openssl x509` can only begin now. */
  async #signFor(
    [from, to]: readonly [number, number],
    files: Record<"csr" | "cert" | "ext", string>,
  ): Promise<void> {
    const directory = await Deno.makeTempDir({ dir: this.directory });
    const config = `${directory}/ca.cnf`;
    await Deno.writeTextFile(config, authorityConfig(directory));
    await Deno.writeTextFile(`${directory}/index`, "");
    const by = ["-config", config, "-cert", this.cert, "-keyfile", this.key, "-extfile", files.ext];
    const dates = ["-startdate", inDays(from), "-enddate", inDays(to)];
    await run(["openssl", "ca", "-batch", "-notext", ...by, ...dates, "-in", files.csr, "-out", files.cert]);
  }
}

/** `20261128042700Z`, so many days from now. */
function inDays(days: number): string {
  const at = new Date(Date.now() + days * 86_400_000).toISOString();
  return `${at.slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
}

/** The least that `openssl ca` wants to know; its database is made anew each time. */
function authorityConfig(directory: string): string {
  return `
[ca]
default_ca = default
[default]
database = ${directory}/index
rand_serial = yes
new_certs_dir = ${directory}
default_md = sha256
policy = policy
[policy]
commonName = supplied
`;
}

function extensions({ ips = [], names = [], server = true, authority = false }: CertificateOptions): string {
  if (authority) return "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n";
  const alternatives = [...ips.map((ip) => `IP:${ip}`), ...names.map((name) => `DNS:${name}`)];
  return [
    "basicConstraints=CA:FALSE",
    `extendedKeyUsage=${server ? "serverAuth,clientAuth" : "clientAuth"}`,
    ...(alternatives.length === 0 ? [] : [`subjectAltName=${alternatives.join(",")}`]),
  ].join("\n") + "\n";
}
