/**
 * Running another processor's programs: Debian's qemu-user-static, which the kernel is told to use in a namespace that ends with
 * the program. Nothing is registered on the machine itself, and no root is needed.
 */
import { isNative, type Target } from "./compile_target.ts";
import { capture } from "./run.ts";

/** "$1" is the emulator, "$2" where the target's libraries are, "$3" the machine number of its ELF files; the command follows. */
const SCRIPT = String.raw`
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
  zeros='\x00\x00\x00\x00\x00\x00\x00\x00\x00'
  any='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  register=/proc/sys/fs/binfmt_misc/register
  printf '%s' ":other:M::\x7fELF\x02\x01\x01$zeros\x02\x00\x$3\x00:$any:$1:OF" > $register
  export QEMU_LD_PREFIX="$2"
  shift 3
  exec "$@"`;

const MACHINES = { x86_64: "3e", aarch64: "b7" };

/** Words to put in front of a program for `target`: none where this machine runs it, null where nothing here does. */
export async function runnerFor(target: Target): Promise<string[] | null> {
  if (isNative(target)) return [];
  const emulator = `/usr/bin/qemu-${target.arch}-static`;
  const libraries = `/usr/${target.arch.replace("_", "-")}-linux-gnu`;
  const places = [emulator, libraries, MACHINES[target.arch]];
  const runner = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", SCRIPT, "sh", ...places];
  const { code } = await capture([...runner, "test", "-x", emulator]);
  return code === 0 ? runner : null;
}
