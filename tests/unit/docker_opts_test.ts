/** dockerd's options from subnet.env; the same bytes as the shell script's are compared in the kernel tier. */
import { assertEquals, assertThrows } from "@std/assert";
import { parseEnv } from "../../src/files/env_text.ts";
import {
  dockerOptions,
  type DockerOptionsChoice,
  dockerOptionsDefault,
} from "../../src/files/docker_opts.ts";

const env = parseEnv("FLANNEL_SUBNET=10.1.74.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n");
const options = (changes: Partial<DockerOptionsChoice>) =>
  dockerOptions(env, { ...dockerOptionsDefault, ...changes });

const bip = 'DOCKER_OPT_BIP="--bip=10.1.74.1/24"\n';
const ipMasq = 'DOCKER_OPT_IPMASQ="--ip-masq=true"\n';
const mtu = 'DOCKER_OPT_MTU="--mtu=1472"\n';
const all = '" --bip=10.1.74.1/24 --ip-masq=true --mtu=1472"\n';

Deno.test("docker options: upstream's five cases", () => {
  assertEquals(options({}), `${bip}${ipMasq}${mtu}DOCKER_OPTS=${all}`);
  assertEquals(options({ combined: false }), bip + ipMasq + mtu);
  assertEquals(options({ individual: false }), `DOCKER_OPTS=${all}`);
  assertEquals(options({ key: "CUSTOM_KEY" }), `${bip}${ipMasq}${mtu}CUSTOM_KEY=${all}`);
  assertEquals(options({ ipMasq: false }), `${bip}${mtu}DOCKER_OPTS=" --bip=10.1.74.1/24 --mtu=1472"\n`);
});

Deno.test("docker options: what the variable holds comes first; nothing known gives an empty variable", () => {
  assertEquals(
    options({ individual: false, before: "--debug" }),
    'DOCKER_OPTS="--debug  --bip=10.1.74.1/24 --ip-masq=true --mtu=1472"\n',
  );
  assertEquals(dockerOptions(new Map()), 'DOCKER_OPTS=""\n');
});

Deno.test("docker options: wrong values are refused", () => {
  const from = (text: string) => () => dockerOptions(parseEnv(text));
  assertThrows(from("FLANNEL_IPMASQ=maybe"), Error, "Invalid value of FLANNEL_IPMASQ: maybe");
  assertThrows(from('FLANNEL_MTU=1"'), Error, 'Invalid value of FLANNEL_MTU: 1"');
  assertThrows(() => options({ key: "A B" }), Error, "not a variable name");
});
