/**
 * What the project needs from the machine, by Debian package: a file tells whether it is there. `build` is what `deno task compile`
 * needs, `demo` what the demonstration needs besides, `test` comes on top for the tests.
 */

export const purposes = ["build", "demo", "test"] as const;
/** Each includes those before it. */
export type Purpose = (typeof purposes)[number];

export interface Need {
  readonly package: string;
  /** A program looked up in PATH, or an absolute path. */
  readonly provides: string;
  readonly purpose: Purpose;
}

const rows: Readonly<Record<Purpose, readonly (readonly [name: string, provides: string])[]>> = {
  build: [
    ["gcc", "cc"],
    ["make", "make"],
    ["libc6-dev", "/usr/include/stdio.h"],
    ["linux-libc-dev", "/usr/include/linux/if_link.h"],
  ],
  demo: [
    ["util-linux", "nsenter"],
    ["iproute2", "ip"],
    ["iptables", "iptables"],
    ["iputils-ping", "ping"],
    ["iperf3", "iperf3"],
  ],
  test: [
    ["nftables", "nft"],
    ["etcd-server", "etcd"],
    ["etcd-client", "etcdctl"],
    ["openssl", "openssl"],
    ["docker.io", "dockerd"],
    ["busybox-static", "busybox"],
    ["socat", "socat"],
    ["procps", "ps"],
    ["systemd", "systemd-analyze"],
    ["tcpdump", "tcpdump"],
    ["ethtool", "ethtool"],
    ["gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"],
    ["libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/include/stdio.h"],
    ["qemu-user-static", "qemu-aarch64-static"],
  ],
};

export const needs: readonly Need[] = Object.entries(rows).flatMap(([purpose, list]) =>
  list.map(([name, provides]) => ({ package: name, provides, purpose: purpose as Purpose }))
);

/** The needs for `purpose` that `present` does not find. */
export function missing(purpose: Purpose, present: (provides: string) => boolean): Need[] {
  const last = purposes.indexOf(purpose);
  const wanted = needs.filter((need) => purposes.indexOf(need.purpose) <= last);
  return wanted.filter((need) => !present(need.provides));
}
