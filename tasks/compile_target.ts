/** What `deno task compile` can build for: names that differ from one processor to the other. */

export interface Target {
  /** As `deno compile --target` takes it. */
  readonly triple: string;
  readonly arch: "x86_64" | "aarch64";
  /** Of Deno's binaries on npm; they are the ones that `npx deno` runs. */
  readonly npmPackage: string;
  /** In front of `gcc` and `strip` where this machine is another. */
  readonly crossPrefix: string;
  /** Debian packages of the cross compiler. */
  readonly crossPackages: string;
}

const targets: readonly Target[] = [
  {
    triple: "x86_64-unknown-linux-gnu",
    arch: "x86_64",
    npmPackage: "@deno/linux-x64-glibc",
    crossPrefix: "x86_64-linux-gnu-",
    crossPackages: "gcc-x86-64-linux-gnu libc6-dev-amd64-cross",
  },
  {
    triple: "aarch64-unknown-linux-gnu",
    arch: "aarch64",
    npmPackage: "@deno/linux-arm64-glibc",
    crossPrefix: "aarch64-linux-gnu-",
    crossPackages: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
  },
];

export const triples: readonly string[] = targets.map(({ triple }) => triple);

export function targetOf(triple: string): Target | undefined {
  return targets.find((target) => target.triple === triple);
}

/** Whether this machine runs what is built for `target`. */
export function isNative(target: Target): boolean {
  return target.arch === Deno.build.arch;
}

/** `dist/flanneld` for this machine, `dist/flanneld-aarch64` for another. */
export function fileNameOf(target: Target): string {
  return isNative(target) ? "flanneld" : `flanneld-${target.arch}`;
}
