/** The demo's own namespaces need a root that is a mount: in a chroot into a plain directory it says so beforehand. */
import { assertThrows } from "@std/assert";
import { refuseRoot } from "../../src/cli/demo/inside.ts";
import { Failure } from "../../src/model/errors.ts";

const PROC = "415 413 0:22 / /proc rw,relatime - proc proc rw\n";

Deno.test("a root that is a mount will do", () => {
  refuseRoot(`${PROC}24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n`);
  refuseRoot(`24 1 254:0 /a/deep/place / rw,relatime - ext4 /dev/root rw\n${PROC}`);
});

Deno.test("a root that is a plain directory is refused, with the way out", () => {
  for (const mounts of ["", PROC, `${PROC}24 1 254:0 / /run rw,relatime - tmpfs tmpfs rw\n`]) {
    assertThrows(() => refuseRoot(mounts), Failure, "mount --bind DIR DIR");
  }
});
