/**
 * What the binary is made of, as CycloneDX 1.5: Deno, the C parts and the npm packages that are in its modules, with the hashes
 * that deno.lock pins. Without a time or a random serial number: the same sources give the same text.
 */
import { version } from "../src/cli/version.ts";
import type { Kind } from "./compile_request.ts";

export interface Lock {
  readonly npm: Readonly<Record<string, { readonly integrity?: string }>>;
}

export interface SbomInput {
  readonly lock: Lock;
  /** As `packagesIn` gives them. */
  readonly packages: readonly string[];
  readonly kind: Kind;
  readonly commit: string;
  /** The version of Deno that is inside. */
  readonly deno: string;
  readonly triple: string;
  readonly binary: { readonly name: string; readonly sha256: string };
  readonly library: { readonly sha256: string };
  /** Of the launcher kind only; glibc is linked into it statically. */
  readonly launcher?: { readonly sha256: string; readonly glibc: string };
}

/** @throws Error where a package is inside and the lock does not know it */
export function sbom(input: SbomInput): string {
  const { kind, commit, triple } = input;
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: component("application", input.binary.name, version, {
        hashes: [sha256Entry(input.binary.sha256)],
        properties: Object.entries({ target: triple, kind, commit }).map(([name, value]) => ({
          name,
          value,
        })),
      }),
    },
    components: [
      runtimeComponent(input),
      component("library", "libdenim.so", version, { hashes: [sha256Entry(input.library.sha256)] }),
      ...launcherComponents(input.launcher),
      ...input.packages.map((key) => npmComponent(key, input.lock)),
    ],
  };
  return JSON.stringify(document, null, 2) + "\n";
}

/** Of the compiled kind, Deno's runtime without its tools: npm has none. */
function runtimeComponent({ kind, deno }: SbomInput): unknown {
  if (kind === "launcher") return component("application", "deno", deno, { purl: `pkg:npm/deno@${deno}` });
  return component("application", "denort", deno, { purl: `pkg:github/denoland/deno@v${deno}` });
}

function launcherComponents(launcher: SbomInput["launcher"]): unknown[] {
  if (launcher === undefined) return [];
  return [
    component("application", "launcher", version, { hashes: [sha256Entry(launcher.sha256)] }),
    component("library", "glibc", launcher.glibc, { scope: "required" }),
  ];
}

function npmComponent(key: string, lock: Lock): unknown {
  const at = key.lastIndexOf("@");
  const [name, npmVersion] = [key.slice(0, at), key.slice(at + 1)];
  // Behind the version the lock may name the peers that it was resolved with.
  const found = Object.keys(lock.npm).find((each) => each === key || each.startsWith(`${key}_`));
  if (found === undefined) throw new Error(`list what is inside: deno.lock does not have "${key}"`);
  const integrity = lock.npm[found]?.integrity;
  const hashes = integrity?.startsWith("sha512-")
    ? [{ alg: "SHA-512", content: hexOfBase64(integrity.slice("sha512-".length)) }]
    : [];
  return component("library", name, npmVersion, {
    purl: `pkg:npm/${name.replace(/^@/, "%40")}@${npmVersion}`,
    hashes,
  });
}

function component(
  type: string,
  name: string,
  componentVersion: string,
  more: Readonly<Record<string, unknown>>,
): unknown {
  return { type, "bom-ref": `${name}@${componentVersion}`, name, version: componentVersion, ...more };
}

function sha256Entry(content: string): unknown {
  return { alg: "SHA-256", content };
}

function hexOfBase64(text: string): string {
  return [...atob(text)].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
