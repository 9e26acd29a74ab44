/**
 * What a shell may have set and what would steer the programs that tests and benchmarks start: flanneld's, etcd's and docker's
 * own variables, what a service manager gives its services, proxies for loopback, another language, a narrow umask. Children
 * of a task that has called `settle` have none of it.
 */

const STEERING = [
  /^(FLANNELD|FLANNEL|ETCD|ETCDCTL|DOCKER|IPERF3|GREP|XTABLES)_/,
  /^(NOTIFY_SOCKET|JOURNAL_STREAM|INVOCATION_ID|FDSTORE|MAINPID|CREDENTIALS_DIRECTORY)$/,
  /^(LISTEN_|WATCHDOG_|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY$)/,
  /^(MAKEFLAGS|MAKELEVEL|MFLAGS|POSIXLY_CORRECT|BASH_ENV|ENV|CDPATH|TAR_OPTIONS|OPENSSL_CONF)$/,
  /^(LANG|LANGUAGE|LC_\w+)$/,
];
const LOOPBACK = ["localhost", "127.0.0.1", "127.0.0.0/8", "::1"];

/** The variables of `given` that may stay, and those that are added. */
export function settled(given: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(given).filter(([name]) => !STEERING.some((pattern) => pattern.test(name)));
  const direct = [given["no_proxy"] ?? given["NO_PROXY"] ?? "", ...LOOPBACK].filter((part) => part !== "")
    .join(",");
  return { ...Object.fromEntries(kept), no_proxy: direct, NO_PROXY: direct, LC_ALL: "C.UTF-8" };
}

/** Makes it so for this process and for all that it starts. */
export function settle(): void {
  const given = Deno.env.toObject();
  const wanted = settled(given);
  for (const name of Object.keys(given)) if (!(name in wanted)) Deno.env.delete(name);
  for (const [name, value] of Object.entries(wanted)) Deno.env.set(name, value);
  Deno.umask(0o022);
}
