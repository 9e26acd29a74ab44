/**
 * A daemon of the built file from its start to its end, in a network namespace of its own with two devices that are not connected
 * to anything: it loads the C library, reads the kernel and listens to it, makes its device, keeps a lease in SQLite, writes the
 * subnet file and ends when asked. No root is needed where users may have namespaces of their own.
 */
import { capture } from "./run.ts";

/** "$1" is a directory; the words of a daemon follow. Ends with 90 where the namespace can't be set up. */
const SCRIPT = `
  directory=$1; shift
  { ip link set lo up; ip link add d0 type veth peer name d1; ip address add 192.0.2.1/24 dev d0
    ip link set d0 up; ip link set d1 up; ip route add default via 192.0.2.2; } >/dev/null 2>&1 || exit 90
  "$@" >"$directory/log" 2>&1 &
  daemon=$!
  tries=0
  while ! test -s "$directory/subnet.env" && kill -0 $daemon 2>/dev/null && test $tries -lt 150; do
    sleep 0.2; tries=$((tries + 1))
  done
  test -s "$directory/subnet.env" || { kill -KILL $daemon 2>/dev/null; tail -n 1 "$directory/log"; exit 1; }
  kill -TERM $daemon
  wait $daemon || { tail -n 1 "$directory/log"; exit 1; }`;

const CONFIG = JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } });

/**
 * @param directory empty, of this test's own
 * @returns what is wrong; null where nothing is; undefined where this machine gives no namespaces or has no ip(8)
 */
export async function tryDaemon(
  path: string,
  directory: string,
  env: Readonly<Record<string, string>>,
): Promise<string | null | undefined> {
  Deno.writeTextFileSync(`${directory}/net.json`, CONFIG);
  const store = [`--store=sqlite:${directory}/leases.db`, `-net-config-path=${directory}/net.json`];
  const flags = [
    ...store,
    `-subnet-file=${directory}/subnet.env`,
    `-state-dir=${directory}`,
    "-iptables-forward-rules=false",
  ];
  const enter = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", SCRIPT, "sh", directory];
  const { code, output } = await capture([...enter, path, ...flags], { cwd: directory, env, clearEnv: true });
  if (code === 0) return null;
  // unshare itself ends with 1 and its name.
  if (code === 90 || code === 127 || output.startsWith("unshare:")) return undefined;
  return output.trim() || "nothing";
}
