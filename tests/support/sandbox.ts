/**
 * What systemd does to a hardened unit before it starts it, in a namespace where no systemd runs: capabilities, no way to new
 * ones, a file system that is read-only but for the unit's directories, a /tmp of its own. What else such a unit says (system
 * calls, address families, devices) is passed over.
 */
import type { Sandbox, Service } from "./unit_file.ts";

/** Words to put before the command; none where the unit asks for nothing of it. */
export function sandboxed({ sandbox, stateDirectory, runtimeDirectory }: Service): string[] {
  const { readOnly, privateTmp } = sandbox;
  if (!readOnly && !privateTmp) return rights(sandbox);
  const own = [["/var/lib", stateDirectory], ["/run", runtimeDirectory]].flatMap(([parent, name]) =>
    name === "" ? [] : [`${parent}/${name}`]
  );
  const script = [
    ...privateTmp ? ["mount -t tmpfs tmpfs /tmp"] : [],
    ...readOnly ? [REMOUNT] : [],
    'exec "$@"',
  ].join("\n");
  const words = ["sandbox", "env", "-u", "WRITABLE", ...rights(sandbox)];
  return ["env", `WRITABLE=${own.join(" ")}`, "unshare", "--mount", "sh", "-ec", script, ...words];
}

/** The same for the capabilities alone. */
export function rights({ capabilities, noNewPrivileges }: Sandbox): string[] {
  if (capabilities === null && !noNewPrivileges) return [];
  const set = ["-all", ...(capabilities ?? []).map((name) => `+${name.replace(/^CAP_/, "").toLowerCase()}`)]
    .join(",");
  return [
    "/usr/bin/setpriv",
    ...noNewPrivileges ? ["--no-new-privs"] : [],
    ...capabilities === null ? [] : [`--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`],
    "--",
  ];
}

/** What is writable becomes a mount of its own; then every other mount outside of the kernel's own file systems is read-only. */
const REMOUNT = `
for path in $WRITABLE; do mount --bind "$path" "$path"; done
while read -r _ point _; do
  case $point in /proc* | /sys* | /dev* | /tmp) continue ;; esac
  case " $WRITABLE " in *" $point "*) continue ;; esac
  mount -o remount,bind,ro "$point"
done < /proc/self/mounts
`;
