/**
 * What the project needs from the machine, by Debian package: files tell whether it is there. `build` is what `deno task compile`
 * needs, `demo` what the demonstration needs besides, `test` comes on top for the tests and benchmarks; `fuzz` is what fuzzing
 * the C code needs beside `build`. Every program that the sources start is here or among those that each Debian has
 * (tests/unit/packages_test.ts).
 */

/** Each with those whose needs it has too. */
const includes = {
  build: [],
  demo: ["build"],
  test: ["build", "demo"],
  fuzz: ["build"],
} as const satisfies Record<string, readonly string[]>;

export type Purpose = keyof typeof includes;
export const purposes = Object.keys(includes) as Purpose[];

export interface Need {
  readonly package: string;
  /** A program looked up in PATH, or an absolute path. */
  readonly provides: string;
  readonly purpose: Purpose;
}

type Row = readonly [name: string, ...provides: string[]];

const rows: Readonly<Record<Purpose, readonly Row[]>> = {
  build: [
    ["gcc", "cc"],
    ["make", "make"],
    ["util-linux", "nsenter", "unshare", "setpriv", "flock"],
    ["libc6-dev", "/usr/include/stdio.h"],
    ["linux-libc-dev", "/usr/include/linux/if_link.h"],
    ["iproute2", "ip", "bridge", "ss", "tc", "nstat"],
  ],
  demo: [
    ["mount", "mount", "umount"],
    ["iptables", "iptables", "iptables-save", "ip6tables", "iptables-nft-save"],
    ["iputils-ping", "ping"],
    ["iperf3", "iperf3"],
  ],
  test: [
    ["nftables", "nft"],
    ["etcd-server", "etcd"],
    ["etcd-client", "etcdctl"],
    ["openssl", "openssl"],
    ["docker.io", "dockerd", "docker"],
    ["busybox-static", "busybox"],
    ["socat", "socat"],
    ["procps", "ps", "sysctl"],
    ["kmod", "modprobe"],
    ["systemd", "systemd-analyze", "systemctl", "systemd-notify", "/lib/systemd/systemd"],
    ["tcpdump", "tcpdump"],
    ["ethtool", "ethtool"],
    ["debootstrap", "debootstrap"],
    ["gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"],
    ["libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/include/stdio.h"],
    ["qemu-user-static", "qemu-aarch64-static"],
  ],
  fuzz: [
    ["clang", "clang"],
  ],
};

/** Programs of Debian's smallest system that the sources start (the tier `bare` looks whether they are there). */
export const everywhere: readonly string[] = [
  "apt-config apt-get bash dpkg gzip hostname ldd sed sh tar",
  // diffutils, findutils, grep
  "cmp diff find xargs grep",
  // coreutils
  "cat chmod chown chroot cp cut date dd dirname env head install ln ls mkdir mkfifo mknod mktemp mv nice od printenv readlink",
  "rm rmdir seq sha256sum sleep sort stat tail tee timeout touch tr truncate uname uniq wc",
].flatMap((line) => line.split(" "));

/** What the README asks for before the first command. */
export const presumed: readonly string[] = ["git", "npm", "npx"];

export const needs: readonly Need[] = Object.entries(rows).flatMap(([purpose, list]) =>
  list.flatMap(([name, ...provides]) =>
    provides.map((each) => ({ package: name, provides: each, purpose: purpose as Purpose }))
  )
);

/** What is needed for `purpose`, whatever is there. */
export function needsOf(purpose: Purpose): Need[] {
  const all: readonly Purpose[] = [...includes[purpose], purpose];
  return needs.filter((need) => all.includes(need.purpose));
}

/** The needs for `purpose` that `present` does not find. */
export function missing(purpose: Purpose, present: (provides: string) => boolean): Need[] {
  return needsOf(purpose).filter((need) => !present(need.provides));
}
