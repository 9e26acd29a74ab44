/** What tests and benchmarks take over from the shell that starts them. */
import { assertEquals } from "@std/assert";
import { settled } from "../../tasks/surroundings.ts";

const ADDED = { LC_ALL: "C.UTF-8" };
const DIRECT = "localhost,127.0.0.1,127.0.0.0/8,::1";

Deno.test("what steers flanneld, etcd, docker and other programs under test is taken away", () => {
  const steering = [
    ...[
      "FLANNELD_IFACE",
      "FLANNEL_MTU",
      "ETCD_NAME",
      "ETCDCTL_API",
      "DOCKER_HOST",
      "NOTIFY_SOCKET",
      "JOURNAL_STREAM",
    ],
    ...[
      "LISTEN_FDS",
      "FDSTORE",
      "WATCHDOG_USEC",
      "STATE_DIRECTORY",
      "MAKEFLAGS",
      "LANG",
      "LC_NUMERIC",
      "LANGUAGE",
    ],
  ];
  const kept = {
    HOME: "/root",
    PATH: "/bin",
    TMPDIR: "/x",
    TERM: "vt100",
    CI: "true",
    DENIM_PEERS: "/p",
    LISTENER: "1",
  };
  const given = { ...kept, ...Object.fromEntries(steering.map((name) => [name, "x"])) };
  assertEquals(settled(given), { ...kept, ...ADDED, no_proxy: DIRECT, NO_PROXY: DIRECT });
});

Deno.test("a proxy stays, but is not for loopback", () => {
  const { http_proxy, no_proxy } = settled({ http_proxy: "http://proxy:3128", NO_PROXY: ".lan" });
  assertEquals([http_proxy, no_proxy], ["http://proxy:3128", `.lan,${DIRECT}`]);
});
