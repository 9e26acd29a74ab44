/**
 * A minimal Debian as an archive: debootstrap's minbase and what the README presumes, which is git, node, npm and the certificates
 * that they need. Built in a minute and kept for the month in `$XDG_CACHE_HOME/denim` (`~/.cache/denim`), so that Debian's
 * updates come in; gzip's checksum tells whoever unpacks it whether it is still whole.
 *
 * It is built in memory, in namespaces that end with the building, whatever ends it.
 */
import { output, say } from "../support/process.ts";
import { type Settings, SUITE } from "./settings.ts";

const PRESUMED = ["ca-certificates", "git", "nodejs", "npm"];

/** Milliseconds for debootstrap and the packages, from a slow mirror. */
const DEADLINE = 900_000;

/** Where archives are kept, on a disk. */
export function cacheDirectory(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") ?? "/var/tmp"}/.cache`;
  return `${cache}/denim`;
}

/** Where the archive is, or is to be; its name tells what is in it. */
export function archivePath(now: Date = new Date()): string {
  return `${cacheDirectory()}/bare-${SUITE}-${Deno.build.arch}-${now.toISOString().slice(0, 7)}.tar.gz`;
}

/**
 * Builds the archive; those of other months go.
 *
 * @param scratch an empty directory, `scratch/settings` with the machine's settings
 */
export async function build(
  archive: string,
  scratch: string,
  { mirror, environment }: Settings,
): Promise<void> {
  say(`bare: building a minimal Debian, ${archive}`);
  const directory = cacheDirectory();
  const fresh = await Deno.makeTempFile({ dir: directory, prefix: ".bare-" });
  try {
    const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
    const words = [scratch, SUITE, mirror, fresh, ...PRESUMED];
    const command = ["unshare", ...namespaces, "sh", "-ec", BUILD, "build", ...words];
    const { code, stdout, stderr } = await output(command, { env: environment, deadline: DEADLINE });
    if (code !== 0) {
      throw new Error(`build a minimal Debian from "${mirror}": exit code ${code}\n${stdout}${stderr}`);
    }
    for (const { name } of Deno.readDirSync(directory)) {
      if (/^bare-.*\.tar\.gz$/.test(name)) await Deno.remove(`${directory}/${name}`);
    }
    await Deno.rename(fresh, archive);
  } finally {
    await Deno.remove(fresh).catch(() => {});
  }
}

/** The machine's settings stay outside of the archive, but for apt's sources. Nothing of it has to outlive a power cut. */
const BUILD = `
settings=$1/settings root=$1/root suite=$2 mirror=$3 archive=$4
shift 4
mkdir -p "$root"
mount -t proc proc /proc
mount -t tmpfs -o mode=755 bare "$root"
debootstrap --variant=minbase "$suite" "$root" "$mirror"
cp -r "$settings/." "$root"
mount -t proc proc "$root/proc"
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot "$root" apt-get -q -y update
chroot "$root" apt-get -q -y dist-upgrade
chroot "$root" apt-get -q -y install --no-install-recommends "$@"
umount "$root/proc"
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/speed"
rm -rf "$root/var/lib/apt/lists/"* "$root/var/cache/apt/"*.bin "$root/var/cache/apt/archives/"*.deb
rm -f "$root/etc/apt/apt.conf.d/90machine" "$root/etc/resolv.conf" "$root/etc/hosts" "$root/etc/hostname"
tar -C "$root" --one-file-system -I 'gzip -1' -cf "$archive" .
`;
