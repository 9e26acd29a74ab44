/** The tutorial's flow with the daemon as it goes on a node: the one file that can be built here. */
import { buildBinary } from "../support/binary.ts";
import { tutorial, vxlan } from "./tutorial.ts";

const directory = Deno.makeTempDirSync({ prefix: "denim-binary-" });
const before = Deno.env.get("DENIM_DAEMON");

Deno.test.beforeAll(async () => {
  await buildBinary(directory, Deno.env.has("DENORT_BIN") ? "compiled" : "launcher");
  Deno.env.set("DENIM_DAEMON", `${directory}/flanneld`);
});

Deno.test.afterAll(async () => {
  if (before === undefined) Deno.env.delete("DENIM_DAEMON");
  else Deno.env.set("DENIM_DAEMON", before);
  await Deno.remove(directory, { recursive: true });
});

tutorial(vxlan);
