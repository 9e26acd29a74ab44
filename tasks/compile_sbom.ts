/**
 * What the binary is made of, as CycloneDX 1.5: Deno, the C parts and the npm packages that main.ts reaches, with the hashes that
 * deno.lock pins. Without a time or a random serial number: the same sources give the same text.
 */
import { version } from "../src/cli/version.ts";

export interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<
    Record<string, { readonly integrity?: string; readonly dependencies?: readonly string[] }>
  >;
}

export interface SbomInput {
  readonly lock: Lock;
  /** The imports of deno.json. */
  readonly imports: Readonly<Record<string, string>>;
  readonly deno: string;
  readonly triple: string;
  readonly binary: { readonly name: string; readonly sha256: string };
  readonly library: { readonly sha256: string };
  /** Of the launcher kind only; glibc is linked into it statically. */
  readonly launcher?: { readonly sha256: string; readonly glibc: string };
}

/** Imports that only tests have. */
const TESTS_ONLY = new Set(["fast-check", "@std/assert"]);

export function sbom(input: SbomInput): string {
  const components = [
    component("application", "deno", input.deno, { purl: `pkg:npm/deno@${input.deno}` }),
    component("library", "libdenim.so", version, { hashes: [sha256Entry(input.library.sha256)] }),
    ...launcherComponents(input.launcher),
    ...packages(input).map((key) => npmComponent(key, input.lock)),
  ];
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: component("application", input.binary.name, version, {
        hashes: [sha256Entry(input.binary.sha256)],
        properties: [{ name: "target", value: input.triple }],
      }),
    },
    components,
  };
  return JSON.stringify(document, null, 2) + "\n";
}

function launcherComponents(launcher: SbomInput["launcher"]): unknown[] {
  if (launcher === undefined) return [];
  return [
    component("application", "launcher", version, { hashes: [sha256Entry(launcher.sha256)] }),
    component("library", "glibc", launcher.glibc, { scope: "required" }),
  ];
}

/** Keys of the lock's packages, sorted: those that the imports name, and all below them. */
function packages({ lock, imports }: SbomInput): string[] {
  const seen = new Set<string>();
  const visit = (key: string) => {
    if (seen.has(key)) return;
    seen.add(key);
    for (const dependency of lock.npm[key]?.dependencies ?? []) visit(resolve(dependency, lock));
  };
  for (const [name, specifier] of Object.entries(imports)) {
    if (!specifier.startsWith("npm:") || TESTS_ONLY.has(name)) continue;
    const wanted = specifier.slice("npm:".length);
    visit(`${wanted.slice(0, wanted.lastIndexOf("@"))}@${lock.specifiers[specifier]}`);
  }
  return [...seen].sort();
}

/** The lock leaves the version out where there is only one. */
function resolve(dependency: string, lock: Lock): string {
  if (dependency in lock.npm) return dependency;
  const found = Object.keys(lock.npm).find((key) => key.slice(0, key.lastIndexOf("@")) === dependency);
  if (found === undefined) {
    throw new Error(`read deno.lock: it names "${dependency}" and does not describe it`);
  }
  return found;
}

function npmComponent(key: string, lock: Lock): unknown {
  const at = key.lastIndexOf("@");
  const [name, npmVersion] = [key.slice(0, at), key.slice(at + 1)];
  const integrity = lock.npm[key]?.integrity;
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
