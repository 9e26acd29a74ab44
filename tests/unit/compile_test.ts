/** The parts of `deno task compile` that are functions of their input. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { embedProto, withoutPlaces } from "../../tasks/compile_bundle.ts";
import { needsOf } from "../../tasks/compile_launcher.ts";
import { composePack, hex, sha256 } from "../../tasks/compile_pack.ts";
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

Deno.test("the list of parts has what main.ts reaches, with the hashes of the lock, and nothing of the tests", () => {
  const lock: Lock = {
    specifiers: { "npm:@a/b@1": "1.2.0", "npm:fast-check@4": "4.0.0" },
    npm: {
      "@a/b@1.2.0": { integrity: "sha512-AAEC", dependencies: ["c", "d@1.0.0"] },
      "c@3.0.0": { dependencies: ["@a/b"] },
      "d@1.0.0": {},
      "d@2.0.0": {},
      "fast-check@4.0.0": {},
    },
  };
  const text = sbom({
    lock,
    imports: { b: "npm:@a/b@1", "fast-check": "npm:fast-check@4", "@std/cli": "./src/std/cli.ts" },
    deno: "2.9.6",
    triple: "x86_64-unknown-linux-gnu",
    binary: { name: "flanneld", sha256: "ab" },
    library: { sha256: "cd" },
    launcher: { sha256: "ef", glibc: "2.36" },
  });
  const document = JSON.parse(text);
  assertEquals([document.bomFormat, document.specVersion], ["CycloneDX", "1.5"]);
  const names = document.components.map((each: { "bom-ref": string }) => each["bom-ref"]);
  assertEquals(names.filter((name: string) => !name.startsWith("libdenim")), [
    "deno@2.9.6",
    `launcher@${version}`,
    "glibc@2.36",
    "@a/b@1.2.0",
    "c@3.0.0",
    "d@1.0.0",
  ]);
  assertEquals(document.components[4].hashes, [{ alg: "SHA-512", content: "000102" }]);
  assertEquals(document.components[4].purl, "pkg:npm/%40a/b@1.2.0");
});

Deno.test("both targets are known by their triples", () => {
  assertEquals(triples.map((triple) => targetOf(triple)?.arch), ["x86_64", "aarch64"]);
  assertEquals(targetOf("riscv64gc-unknown-linux-gnu"), undefined);
});
