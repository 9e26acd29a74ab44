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
    ...privateTmp ? [PRIVATE_TMP] : [],
    ...readOnly ? [REMOUNT] : [],
    'exec "$@"',
  ].join("\n");
  const words = ["sandbox", "env", "-u", "WRITABLE", "-u", "KEPT", ...rights(sandbox)];
  return [
    "env",
    `WRITABLE=${own.join(" ")}`,
    `KEPT=${programInTmp().join(" ")}`,
    "unshare",
    "--mount",
    "sh",
    "-ec",
    script,
    ...words,
  ];
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

/** Where the program under test lies, as far as that is in /tmp: a clone that is tried there, a home that is. */
function programInTmp(): string[] {
  const deno = Deno.execPath().replace(/\/[^/]*$/, "");
  const places = [ROOT, deno, Deno.env.get("HOME") ?? "", Deno.env.get("DENO_DIR") ?? ""];
  const inTmp = [...new Set(places.map((place) => place.replace(/\/$/, "")))].filter((place) =>
    place.startsWith("/tmp/")
  );
  return inTmp.filter((place) => !inTmp.some((other) => place.startsWith(`${other}/`)));
}

const ROOT = new URL("../../", import.meta.url).pathname;

/** Empty but for what the program under test is made of. */
const PRIVATE_TMP = `
hold=$(mktemp -d /run/kept-XXXXXX)
n=0
for path in $KEPT; do n=$((n + 1)); mkdir "$hold/$n"; mount --bind "$path" "$hold/$n"; done
mount -t tmpfs tmpfs /tmp
n=0
for path in $KEPT; do n=$((n + 1)); mkdir -p "$path"; mount --move "$hold/$n" "$path"; rmdir "$hold/$n"; done
rmdir "$hold"`;

/**
 * What is writable becomes a mount of its own; then every other mount outside of the kernel's own file systems is read-only. A
 * mount that another one hides, as the machine's are hidden under the host's own /run, has no path any more and is passed over:
 * what stands at its path has another number. Blanks in a path are written as `\040`.
 */
const REMOUNT = String.raw`
for path in $WRITABLE; do mount --bind "$path" "$path"; done
while read -r id _ _ _ point _; do
  point=$(printf %b "$(printf %s "$point" | sed 's/\\/&0/g')")
  case $point in /proc* | /sys* | /dev* | /tmp) continue ;; esac
  case " $WRITABLE " in *" $point "*) continue ;; esac
  here=$( (sed -n 's/^mnt_id:[[:blank:]]*//p' /proc/self/fdinfo/0 < "$point") 2> /dev/null) || continue
  [ "$here" != "$id" ] || mount -o remount,bind,ro "$point"
done < /proc/self/mountinfo
`;
