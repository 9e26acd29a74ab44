/** What a hardened unit may write, on machines whose mounts are many and strange: support/sandbox.ts. */
import { assertEquals } from "@std/assert";
import { run } from "../support/process.ts";
import { sandboxed } from "../support/sandbox.ts";
import { readService } from "../support/unit_file.ts";

const HARDENED = new URL("../../dist/flanneld-hardened.conf", import.meta.url);

/** As after `ip netns add`, a container runtime and a disk that somebody named; then the host's own /run over it all. */
const MACHINE = `
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
mkdir -p /run/netns /run/lock /run/flannel /var/lib/flannel
mount --bind /run/netns /run/netns
mount --make-shared /run/netns
: > /run/netns/other
mount --bind /proc/self/ns/net /run/netns/other
mount -t tmpfs lock /run/lock
mount -t tmpfs mnt /mnt
mkdir "/mnt/my disk" /mnt/kept
mount -t tmpfs disk "/mnt/my disk"
: > /mnt/file
mount --bind /mnt/file /mnt/file
mount -t tmpfs run /run
mkdir -p /run/lock /run/flannel
exec "$@"`;

const LOOK = `
for path in / /run /run/lock /mnt "/mnt/my disk" /mnt/file /var/lib/flannel /run/flannel /tmp; do
  [ ! -w "$path" ] || echo "$path"
done`;

Deno.test({
  name: "the hardened unit's disk is read-only whatever is mounted on it, and under what",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const unit = "[Service]\nStateDirectory=flannel\nRuntimeDirectory=flannel\n";
    const service = readService([unit, await Deno.readTextFile(HARDENED)]);
    const machine = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", MACHINE, "machine"];
    const writable = await run([...machine, ...sandboxed(service), "sh", "-c", LOOK]);
    assertEquals(writable.trimEnd().split("\n"), ["/var/lib/flannel", "/run/flannel", "/tmp"]);
  },
});
