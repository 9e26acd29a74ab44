/**
 * The demo's machines: a wire (a bridge), hosts on it, and a container behind each host, all network namespaces.
 *
 *      container 1            container 2            container 3
 *       10.x.1.2               10.x.2.2               10.x.3.2
 *          │                      │                      │
 *       docker0                docker0                docker0
 *      ┌───┴────┐            ┌────┴───┐            ┌────┴───┐
 *      │ host 1 │ flannel.1  │ host 2 │ flannel.1  │ host 3 │
 *      └───┬────┘            └────┬───┘            └────┬───┘
 *      192.168.64.11          192.168.64.12          192.168.64.13
 *          └──────────────── wire (bridge) ─────────────┘
 *
 * Everything lives inside namespaces of the demo's own (`inside.ts`): a host is a process that holds a network namespace,
 * and when the demo's first process ends, however it ends, the kernel takes all of it away. No name of it is visible
 * outside, and nothing outside is touched.
 */
import { Failure } from "../../model/errors.ts";
import { run, startProgram, unstartable } from "../../system/exec.ts";

export interface Node {
  readonly name: string;
  /** A process that lives in the node's network namespace. */
  readonly pid: number;
}

export interface DemoHost extends Node {
  readonly number: number;
  /** On the wire. */
  readonly address: string;
}

/** Runs a command that has to succeed; its output. */
export async function must(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, args);
  if (code === 0) return stdout;
  refuseMissing(stderr);
  throw new Failure(`run "${[command, ...args].join(" ")}": ${stderr.trim() || `exit code ${code}`}`);
}

/** @throws Failure where nsenter has not found the program that it was to run */
export function refuseMissing(stderr: string): void {
  const missing = /^nsenter: failed to execute ([^:\s]+)/m.exec(stderr)?.[1];
  if (missing !== undefined) throw unstartable(missing, new Deno.errors.NotFound());
}

/** The words that run a command inside a node. */
export function inside(node: Node, ...command: string[]): [string, ...string[]] {
  return ["nsenter", "-t", String(node.pid), "-n", "--", ...command];
}

export function mustInside(node: Node, ...command: string[]): Promise<string> {
  const [program, ...args] = inside(node, ...command);
  return must(program, ...args);
}

/** Makes the wire and the hosts on it. */
export async function makeHosts(count: number): Promise<DemoHost[]> {
  await must("ip", "link", "set", "lo", "up");
  await must("ip", "link", "add", "wire", "type", "bridge");
  await must("ip", "link", "set", "wire", "up");
  const hosts: DemoHost[] = [];
  for (let number = 1; number <= count; number++) hosts.push(await makeHost(number));
  return hosts;
}

/** A container behind a host, with the address after the gateway's; `subnet` as in FLANNEL_SUBNET: `10.1.15.1/24`. */
export async function makeContainer(
  host: DemoHost,
  subnet: string,
  mtu: number,
): Promise<Node & { address: string }> {
  const container = await makeNode(`container ${host.number}`);
  const [gateway = "", length = ""] = subnet.split("/");
  const address = gateway.replace(/\d+$/, (last) => String(Number(last) + 1));
  await mustInside(host, "ip", "link", "add", "docker0", "type", "bridge");
  await mustInside(host, "ip", "address", "add", subnet, "dev", "docker0");
  await mustInside(host, "ip", "link", "set", "docker0", "up");
  await mustInside(
    host,
    ...["ip", "link", "add", "c0", "mtu", String(mtu), "type", "veth"],
    ...["peer", "name", "eth0", "mtu", String(mtu), "netns", String(container.pid)],
  );
  await mustInside(host, "ip", "link", "set", "c0", "master", "docker0", "up");
  await mustInside(container, "ip", "address", "add", `${address}/${length}`, "dev", "eth0");
  await mustInside(container, "ip", "link", "set", "eth0", "up");
  await mustInside(container, "ip", "route", "add", "default", "via", gateway);
  return { ...container, address };
}

async function makeHost(number: number): Promise<DemoHost> {
  const node = await makeNode(`host ${number}`);
  const address = `192.168.64.${10 + number}`;
  const peer = ["peer", "name", "eth0", "netns", String(node.pid)];
  await must("ip", "link", "add", `h${number}`, "type", "veth", ...peer);
  await must("ip", "link", "set", `h${number}`, "master", "wire", "up");
  await mustInside(node, "ip", "address", "add", `${address}/24`, "dev", "eth0");
  await mustInside(node, "ip", "link", "set", "eth0", "up");
  await mustInside(node, "ip", "route", "add", "default", "via", "192.168.64.1");
  await mustInside(node, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
  return { ...node, number, address };
}

/** A process that sleeps in a network namespace of its own; it says so before it is used. */
async function makeNode(name: string): Promise<Node> {
  const holder = startProgram("unshare", {
    args: ["-n", "sh", "-c", "echo up; exec sleep infinity"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  holder.unref();
  const reader = holder.stdout.getReader();
  const { done } = await reader.read();
  await reader.cancel();
  if (done) throw new Failure(`make a network namespace for ${name}: unshare failed`);
  await mustInside({ name, pid: holder.pid }, "ip", "link", "set", "lo", "up");
  return { name, pid: holder.pid };
}
