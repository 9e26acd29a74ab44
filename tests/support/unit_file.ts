/**
 * Unit files of services, as far as the tests need systemd's reading of them: sections, drop-ins, continued lines, an empty value
 * that clears a list, variables. Pure.
 */

export interface Service {
  /** Of `[Unit] Requires=`: a restart of one of these restarts the service, too. */
  readonly requires: readonly string[];
  readonly type: string;
  readonly user: string;
  readonly stateDirectory: string;
  readonly environment: readonly string[];
  /** A dash in front: may be absent. */
  readonly environmentFiles: readonly string[];
  /** Below /run: there as long as the unit is, and longer where it says so. */
  readonly runtimeDirectory: string;
  /** With their marks in front: `+` with full rights, `-` may fail. */
  readonly startPre: readonly string[];
  readonly start: string;
  readonly startPost: readonly string[];
  readonly sandbox: Sandbox;
}

/** What a hardened unit takes away, as far as it can be done without systemd. */
export interface Sandbox {
  /** `CAP_NET_ADMIN` …; null where the unit leaves all. */
  readonly capabilities: readonly string[] | null;
  readonly noNewPrivileges: boolean;
  /** `ProtectSystem=strict`: but for the unit's own directories. */
  readonly readOnly: boolean;
  readonly privateTmp: boolean;
}

/** @param texts the unit file, then its drop-ins in their order */
export function readService(texts: readonly string[]): Service {
  const all = texts.flatMap(settings);
  const list = (section: string, key: string) => {
    const values = all.filter((each) => each.section === section && each.key === key).map(({ value }) =>
      value
    );
    return values.slice(values.lastIndexOf("") + 1);
  };
  const one = (key: string) => list("Service", key).at(-1) ?? "";
  return {
    requires: list("Unit", "Requires").flatMap(words),
    type: one("Type"),
    user: one("User"),
    stateDirectory: one("StateDirectory"),
    environment: list("Service", "Environment"),
    environmentFiles: list("Service", "EnvironmentFile"),
    runtimeDirectory: one("RuntimeDirectory"),
    startPre: list("Service", "ExecStartPre"),
    start: one("ExecStart"),
    startPost: list("Service", "ExecStartPost"),
    sandbox: {
      capabilities: one("CapabilityBoundingSet") === "" ? null : words(one("CapabilityBoundingSet")),
      noNewPrivileges: one("NoNewPrivileges") === "yes",
      readOnly: one("ProtectSystem") === "strict",
      privateTmp: one("PrivateTmp") === "yes",
    },
  };
}

function settings(text: string): { section: string; key: string; value: string }[] {
  let section = "";
  return text.replaceAll(/\s*\\\n\s*/g, " ").split("\n").flatMap((line) => {
    section = /^\[(\w+)\]$/.exec(line.trim())?.[1] ?? section;
    const [, key, value] = /^(\w+)=(.*)$/.exec(line.trim()) ?? [];
    return key === undefined ? [] : [{ section, key, value: value!.trim() }];
  });
}

/** `NAME=value` lines as variables; quotes around a value go. */
export function readVariables(text: string): Record<string, string> {
  const pairs = text.split("\n").flatMap((line) => {
    const [, name, value] = /^\s*(\w+)=(.*?)\s*$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value!.replace(/^(["'])(.*)\1$/, "$2")] as const];
  });
  return Object.fromEntries(pairs);
}

/** A command's words; a word that is `$NAME` becomes the words of the variable, which may be none. */
export function commandWords(command: string, variables: Readonly<Record<string, string>>): string[] {
  return words(command).flatMap((word) => {
    const name = /^\$(\w+)$/.exec(word)?.[1];
    return name === undefined ? [word] : words(variables[name] ?? "");
  });
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
