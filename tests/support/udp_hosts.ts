/**
 * Two hosts, each a namespace, for tests of the userspace datapath:
 *
 *   10.99.0.1 fd99::1 (eth0) ────── veth ────── (eth0) 10.99.0.2 fd99::2, and 10.99.0.3 of a stranger
 *            host a                                          host b
 */
import { createNamespace, type Namespace } from "./netns.ts";

export interface Hosts {
  readonly a: Namespace;
  readonly b: Namespace;
}

/** Registers a test on two hosts with an underlay between them. */
export function hostsTest(name: string, body: (hosts: Hosts) => Promise<void>): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    async fn() {
      const unique = `dnu${Deno.pid}`;
      await using a = await createNamespace(`${unique}a`);
      await using b = await createNamespace(`${unique}b`);
      await a.sh(`
        ip link add eth0 type veth peer name eth0 netns ${b.pid}
        ip link set eth0 up
        ip address add 10.99.0.1/24 dev eth0
        ip address add fd99::1/64 dev eth0 nodad`);
      await b.sh(`
        ip link set eth0 up
        ip address add 10.99.0.2/24 dev eth0
        ip address add 10.99.0.3/24 dev eth0
        ip address add fd99::2/64 dev eth0 nodad`);
      await body({ a, b });
    },
  });
}
