/**
 * Prints etcd3's protocol as the JSON that protobufjs reads without a file.
 *
 * etcd3 finds its .proto files beside its own modules, where a bundle has none. Which files it reads is seen by loading it; they
 * are then parsed with its own protobufjs and etcd3's options.
 */
import fs from "node:fs";
import { createRequire } from "node:module";

interface Root {
  loadSync(path: string, options: unknown): Root;
  toJSON(options?: unknown): unknown;
}

/** The first .proto file that is read while etcd3 loads; the others are imported by it. */
async function protoFile(): Promise<string> {
  const read = fs.readFileSync;
  const seen: string[] = [];
  const noting = (...args: Parameters<typeof read>) => {
    if (String(args[0]).endsWith(".proto")) seen.push(String(args[0]));
    return read(...args);
  };
  fs.readFileSync = noting as typeof read;
  await import("etcd3");
  fs.readFileSync = read;
  const [first] = seen;
  if (first === undefined) throw new Error("load etcd3: it has read no .proto file");
  return first;
}

const path = await protoFile();
const loader = createRequire(path).resolve("@grpc/proto-loader");
const { Root } = createRequire(loader)("protobufjs") as { Root: new () => Root };
const json = JSON.stringify(new Root().loadSync(path, { keepCase: true }).toJSON());
Deno.stdout.writeSync(new TextEncoder().encode(json + "\n"));
