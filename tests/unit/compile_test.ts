/** The parts of `deno task compile` that are functions of their input. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { libraryPlaces } from "../../ffi/library.ts";
import { embedProto, packagesIn, withBuild, withoutPlaces } from "../../tasks/compile_bundle.ts";
import { OPTIONS, writeProgram } from "../../tasks/compile_denort.ts";
import { needsOf } from "../../tasks/compile_launcher.ts";
import { composePack, hex, sha256 } from "../../tasks/compile_pack.ts";
import { checkProcessor, denoVersionIn, processorOf } from "../../tasks/compile_program.ts";
import { readRequest } from "../../tasks/compile_request.ts";
import { type Lock, sbom } from "../../tasks/compile_sbom.ts";
import { version } from "../../src/cli/version.ts";
import { targetOf, triples } from "../../tasks/compile_target.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const file = (name: string, text: string) => ({ name, mode: 0o400, bytes: bytes(text) });

Deno.test("a pack's pieces follow each other without overlap, and its name depends on names, modes and contents", () => {
  const pieces = (files: ReturnType<typeof file>[]) =>
    composePack(bytes("launcher"), { version: "v1", needs: "glibc 2.27", files });
  const list = pieces([file("flanneld", "x".repeat(5000)), file("main.js", "")]);
  assertEquals(list.map(({ offset }) => offset), [0, 4096, 12288, 12288, 12288 + 128 + 2 * 128]);
  const trailer = list.at(-1)!.bytes;
  assertEquals(new TextDecoder().decode(trailer.subarray(0, 8)), "denimpk1");
  assertEquals(hex(trailer.subarray(32)), hex(sha256(list.at(-2)!.bytes)));
  const name = (files: ReturnType<typeof file>[]) =>
    new TextDecoder().decode(pieces(files).at(-2)!.bytes.subarray(8, 64)).replace(/\0*$/, "");
  const names = [
    name([file("flanneld", "a")]),
    name([file("flanneld", "b")]),
    name([file("flannele", "a")]),
    name([{ ...file("flanneld", "a"), mode: 0o500 }]),
  ];
  assertEquals(new Set(names).size, 4);
  assert(names.every((each) => /^v1-[0-9a-f]{16}$/.test(each)), names.join(" "));
  assertThrows(() => name([file("x".repeat(64), "a")]), RangeError, "at most 63");
});

Deno.test("modules are named by their order, and say nothing of where the package cache is", () => {
  const tree = (cache: string, hash: string) =>
    new Map([
      [`chunk-${hash}.js`, `// ${cache}/npm/registry.example/a/1.0.0/x.js\nvar a = "/npm/stays/";`],
      [`etcd_client-${hash}X.js`, `var b = __commonJS({\n  "${cache}/npm/r.example/b/y.js"(e) {}})`],
      ["main.js", `import "./chunk-${hash}.js"; import("./etcd_client-${hash}X.js"); import("./absent.js")`],
    ]);
  const here = withoutPlaces(tree("../../root/.cache/deno", "AAAA"));
  assertEquals(here, withoutPlaces(tree("../../../../home/me/.cache/deno", "BBBB")));
  assertEquals([...here.keys()], ["main.js", "chunk-1.js", "etcd_client-2.js"]);
  assertEquals(here.get("chunk-1.js"), '// npm:a/1.0.0/x.js\nvar a = "/npm/stays/";');
  assert(here.get("etcd_client-2.js")!.includes('"npm:b/y.js"(e)'));
  assertEquals(
    here.get("main.js"),
    'import "./chunk-1.js"; import("./etcd_client-2.js"); import("./absent.js")',
  );
});

Deno.test("the protocol is embedded in the one place that loads it, or the build fails", () => {
  const load = "(0, p.loadSync)(`${__dirname}/../proto/rpc.proto`, {keepCase: true})";
  assertEquals(embedProto(["a", load], '{"$&":1}'), ["a", '(0, p.fromJSON)({"$&":1}, {keepCase: true})']);
  assertThrows(() => embedProto(["a"], "{}"), Error, "found 0 places");
  assertThrows(() => embedProto([load, load], "{}"), Error, "found 2 places");
});

Deno.test("what a program needs of glibc is the newest version that it names", () => {
  assertEquals(
    needsOf(bytes("\0GLIBC_2.2.5\0GLIBC_2.17\0\0GLIBC_2.9\0")),
    "glibc 2.17 or later, with libgcc_s.so.1",
  );
  assertThrows(() => needsOf(bytes("GLIBC_PRIVATE")), Error, "no version of glibc");
});

Deno.test("what is inside is read from the modules, copies and scoped packages included", () => {
  const modules = [
    file("main.js", "// npm:etcd3/1.1.2/lib/index.js\nimport x;\n// npm:smol-toml/1.4.2/dist/x.js"),
    file("a.js", '  "npm:@grpc/grpc-js/1.14.7_1/build/src/x.js"(e) {},\nvar a = "npm:fast-check/4.0.0/x.js"'),
    file("b.js", "// npm:etcd3/1.1.2/lib/other.js"),
  ];
  assertEquals(packagesIn(modules), ["@grpc/grpc-js@1.14.7", "etcd3@1.1.2", "smol-toml@1.4.2"]);
});

const lock: Lock = {
  npm: {
    "@a/b@1.2.0": { integrity: "sha512-AAEC" },
    "c@3.0.0_d@1.0.0": { integrity: "sha512-AwQF" },
    "fast-check@4.0.0": {},
  },
};
const input = {
  lock,
  packages: ["@a/b@1.2.0", "c@3.0.0"],
  commit: "0123",
  deno: "2.9.6",
  triple: "x86_64-unknown-linux-gnu",
  binary: { name: "flanneld", sha256: "ab" },
  library: { sha256: "cd" },
};

Deno.test("the list of parts has what is inside, with the hashes of the lock, and nothing else", () => {
  const launcher = { sha256: "ef", glibc: "2.36" };
  const document = JSON.parse(sbom({ ...input, kind: "launcher", launcher }));
  assertEquals([document.bomFormat, document.specVersion], ["CycloneDX", "1.5"]);
  const refs = (list: { "bom-ref": string }[]) => list.map((each) => each["bom-ref"]);
  const rest = ["@a/b@1.2.0", "c@3.0.0"];
  assertEquals(refs(document.components), [
    "deno@2.9.6",
    `libdenim.so@${version}`,
    `launcher@${version}`,
    "glibc@2.36",
    ...rest,
  ]);
  assertEquals(document.components[4].hashes, [{ alg: "SHA-512", content: "000102" }]);
  assertEquals(document.components[4].purl, "pkg:npm/%40a/b@1.2.0");
  assertEquals(document.components[5].hashes, [{ alg: "SHA-512", content: "030405" }]);
  const compiled = JSON.parse(sbom({ ...input, kind: "compiled" }));
  assertEquals(refs(compiled.components), ["denort@2.9.6", `libdenim.so@${version}`, ...rest]);
  assertEquals(compiled.metadata.component.properties, [
    { name: "target", value: "x86_64-unknown-linux-gnu" },
    { name: "kind", value: "compiled" },
    { name: "commit", value: "0123" },
  ]);
  const unknown = () => sbom({ ...input, kind: "compiled", packages: ["left-pad@1.0.0"] });
  assertThrows(unknown, Error, 'deno.lock does not have "left-pad@1.0.0"');
});

/** The beginning of an ELF file for this machine number. */
function elf(machine: number, text = ""): Uint8Array {
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46]);
  new DataView(header.buffer).setUint16(18, machine, true);
  return new Uint8Array([...header, ...bytes(text)]);
}

Deno.test("programs are told apart by processor and by the Deno inside, before they are shipped", () => {
  const [x86, arm] = triples.map((triple) => targetOf(triple)!);
  assertEquals([62, 183, 40].map((machine) => processorOf(elf(machine))), [
    "x86_64",
    "aarch64",
    "machine 40",
  ]);
  assertEquals([bytes("#!/bin/sh"), new Uint8Array()].map(processorOf), [null, null]);
  checkProcessor("use it", elf(62), x86!);
  assertThrows(
    () => checkProcessor('use "x"', elf(62), arm!),
    Error,
    'use "x": it is a program for x86_64; one for aarch64 is needed',
  );
  assertThrows(() => checkProcessor('use "x"', bytes("text"), x86!), Error, "it is no program");
  assertEquals(denoVersionIn(elf(62, "OTLP-Exporter-Deno/0.80.0 …d1Deno/2.9.6Deno/2.9.6+e518")), "2.9.6");
  assertEquals(denoVersionIn(elf(62, "Deno/x Deno/2.9")), null);
});

const around = { directory: "/here", arch: "x86_64", dist: "/top/dist", denort: undefined };

Deno.test("every word and variable of the build is used or refused", () => {
  const plain = readRequest([], around);
  assertEquals([plain.kind, plain.directory, plain.deno, plain.denort], [
    undefined,
    "/top/dist",
    undefined,
    undefined,
  ]);
  const paths = readRequest(["--kind=launcher", "--directory=out", "--deno=../deno"], around);
  assertEquals([paths.directory, paths.deno], ["/here/out", "/deno"]);
  // What is named decides the kind.
  assertEquals(readRequest(["--deno=/d"], around).kind, "launcher");
  const named = readRequest([], { ...around, denort: "rt" });
  assertEquals([named.kind, named.denort], ["compiled", "/here/rt"]);
  assertEquals(readRequest(["--kind=launcher"], { ...around, denort: "/rt" }).kind, "launcher");
  const refused: [string[], string][] = [
    [["--kind=compiled", "--deno=/nonexistent"], "into the launcher kind; name a denort in DENORT_BIN"],
    [["--directory="], '--directory "": it has no value'],
    [["--deno", ""], '--deno "": it has no value'],
    [["--kind="], '--kind "": it has no value'],
    [["--kind=both"], 'kind "both": the kinds are compiled and launcher'],
    [["--target=x", "--target=y"], '--target "y": it was given before'],
    [["--target=riscv"], 'for "riscv": the targets are x86_64'],
    [["--kin=x"], '"--kin=x": give --kind'],
    [["flanneld"], '"flanneld": give --kind'],
  ];
  for (const [args, says] of refused) assertThrows(() => readRequest(args, around), Error, says);
  const both = () => readRequest(["--deno=/d"], { ...around, denort: "/rt" });
  assertThrows(both, Error, '--deno "/d" and DENORT_BIN "/rt" are for different kinds; give --kind');
});

Deno.test("the library is looked for without .., and never in a directory that others may write to", () => {
  assertEquals(libraryPlaces("/top/ffi"), ["/top/ffi/libdenim.so", "/top/dist/libdenim.so"]);
  // Embedded files are below the directory for temporary files; the launcher's below a directory of the user's choice.
  for (const directory of ["/tmp/deno-compile-flanneld", "/tmp/v0.1.0-0123456789abcdef"]) {
    assertEquals(libraryPlaces(directory), [`${directory}/libdenim.so`]);
  }
  assertEquals(libraryPlaces(undefined), [], "not in the current directory either");
});

Deno.test("deno compile is told to run no code from a file that lies about, and gets files without times", async () => {
  assert(OPTIONS.includes("--no-code-cache"));
  const directory = await Deno.makeTempDir();
  try {
    writeProgram(`${directory}/program`, [file("libdenim.so", "ELF"), file("main.js", "1")]);
    for (const name of ["libdenim.so", "main.js"]) {
      const { mtime, mode } = Deno.statSync(`${directory}/program/${name}`);
      assertEquals([mtime?.getTime(), mode! & 0o7777], [0, 0o644]);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the entry module says what was built; only the launcher's takes its variables away", () => {
  const modules = [file("main.js", "main();"), file("chunk-1.js", "0")];
  const text = (kind: "launcher" | "compiled") =>
    withBuild(modules, { kind, commit: "01ab" }).map((each) => new TextDecoder().decode(each.bytes));
  const [main, chunk] = text("compiled");
  assertEquals([main, chunk], [
    '{\n  globalThis[Symbol.for("denim.build")] = {"kind":"compiled","commit":"01ab"};\n}\nmain();',
    "0",
  ]);
  const [launched = ""] = text("launcher");
  assert(
    launched.includes('{ ...{"kind":"launcher","commit":"01ab"}, binary: Deno.env.get("DENIM_BINARY") };'),
  );
  assert(launched.includes("Deno.env.delete(name)") && launched.endsWith("}\nmain();"));
});

Deno.test("both targets are known by their triples", () => {
  assertEquals(triples.map((triple) => targetOf(triple)?.arch), ["x86_64", "aarch64"]);
  assertEquals(targetOf("riscv64gc-unknown-linux-gnu"), undefined);
});
