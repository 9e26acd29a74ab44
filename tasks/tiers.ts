/** The tiers of the tests, from fast to slow: where their files are and what they need. */

export interface Tier {
  readonly name: string;
  /** Root, because of network namespaces. */
  readonly root: boolean;
  /** What runs in a process of its own: the whole tier, or each file. */
  readonly process: "tier" | "file";
  /** Put in front of the command: a network namespace of its own with loopback up. */
  readonly namespace: boolean;
  /** Minutes for one process. */
  readonly minutes: number;
  /** Part of a plain `deno task test`. */
  readonly always: boolean;
}

const plain = { root: false, process: "tier", namespace: false, minutes: 10, always: true } as const;
const rooted = { root: true, process: "file", namespace: false, minutes: 20, always: true } as const;

export const tiers: readonly Tier[] = [
  { ...plain, name: "unit" },
  { ...plain, name: "golden" },
  { ...plain, name: "model" },
  { ...plain, name: "fuzz" },
  { ...plain, name: "faults" },
  { ...plain, name: "mutants", minutes: 30 },
  { ...plain, name: "simulation" },
  { ...plain, name: "store" },
  { ...rooted, name: "kernel", namespace: true },
  { ...rooted, name: "scenarios" },
  { ...rooted, name: "interop" },
  { ...rooted, name: "bare", minutes: 40 },
  { ...rooted, name: "vm", minutes: 60, always: false },
  { ...rooted, name: "scale", minutes: 60, always: false },
  { ...rooted, name: "long", minutes: 60, always: false },
  { ...rooted, name: "mutations", minutes: 120, always: false },
];

/** The tier of `tests/unit/ip_test.ts`, or null. */
export function tierOf(path: string): Tier | null {
  const name = /(?:^|\/)tests\/([^/]+)\//.exec(path)?.[1];
  return tiers.find((tier) => tier.name === name) ?? null;
}

export function isTestFile(path: string): boolean {
  return /_test\.ts$/.test(path) && tierOf(path) !== null;
}

/** The command that runs `command` in a network namespace of its own. */
export function inNamespace(command: readonly string[]): string[] {
  return ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", ...command];
}
