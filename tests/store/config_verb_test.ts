/** `flanneld config` on a real etcd: what is stored is printed as it is, and written only with intent. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { run } from "../../src/cli/config/config.ts";
import { Failure } from "../../src/model/errors.ts";
import { openV3Config } from "../../src/store/etcd/v3/v3_store.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { flags } from "./etcd3_harness.ts";

const KEY = "/coreos.com/network/config";
const one = '{"Network":"10.1.0.0/16","Backend":{"Type":"vxlan"}}';
const two = '{"Network":"10.2.0.0/16","Backend":{"Type":"host-gw"}}';

Deno.test("config get, set and explain on etcd", async () => {
  await using etcd = await EtcdCluster.start();
  const directory = await Deno.makeTempDir();
  try {
    const config = (...args: string[]) => call([...args, `-etcd-endpoints=${etcd.endpoints}`]);
    const file = async (text: string) => {
      await Deno.writeTextFile(`${directory}/net.json`, `${text}\n`);
      return `${directory}/net.json`;
    };
    await assertRejects(() => config("get"), Failure, `"${KEY}" is absent; create it`);
    await assertRejects(async () => config("set", await file("{}")), Failure, "nothing was written");
    await assertRejects(() => config("get"), Failure, "is absent");

    assertEquals(await config("set", await file(one)), `${KEY}: 10.1.0.0/16: 255 subnets of /24, vxlan\n`);
    assertEquals(await etcd.ctl("get", "--print-value-only", KEY), `${one}\n`);
    assertEquals(await config("get"), `${one}\n`);
    assertEquals((await config("explain")).split("\n")[0], "Network 10.1.0.0/16");

    await config("set", await file(one));
    await assertRejects(async () => config("set", await file(two)), Failure, "another one stands there");
    assertEquals(await config("get"), `${one}\n`);
    await config("set", await file(two), "--force");
    assertEquals(await config("get"), `${two}\n`);

    // Whose subnet has no room in it is named.
    await etcd.ctl("put", "/coreos.com/network/subnets/10.2.7.0-24", '{"PublicIP":"192.168.64.11"}');
    await etcd.ctl("put", "/coreos.com/network/subnets/10.1.7.0-24", '{"PublicIP":"192.168.64.12"}');
    errors.length = 0;
    await assertRejects(async () => config("set", await file(one)), Failure, "another one stands there");
    assertEquals(errors.filter((line) => line.startsWith("note:")).length, 1);
    assertMatch(errors.join(""), /note: a host has 10\.2\.7\.0\/24, for which this has no room/);

    for (let n = 0; n < 6; n++) {
      await etcd.ctl("put", `/coreos.com/network/subnets/10.3.${n}.0-24`, '{"PublicIP":"192.168.64.13"}');
    }
    errors.length = 0;
    await assertRejects(async () => config("set", await file(one)), Failure, "another one stands there");
    assertMatch(errors.join(""), /note: and 2 hosts more\n$/);

    // A broken one is printed as it is, and can be replaced.
    await etcd.ctl("put", KEY, "{broken");
    assertEquals(await config("get"), "{broken\n");
    await config("set", await file(one), "--force");
    assertEquals(await config("check"), "10.1.0.0/16: 255 subnets of /24, vxlan\n");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the configuration is not written over what nobody has looked at", async () => {
  await using etcd = await EtcdCluster.start();
  await using place = await openV3Config(flags(etcd.endpoints));
  assertEquals(await place.write(one, null), true);
  assertEquals(await place.write(two, null), false);
  const seen = await place.read();
  await etcd.ctl("put", place.name, two);
  assertEquals(await place.write(one, seen), false);
  assertEquals((await place.read())?.text, two);
  assertEquals(await place.write(one, await place.read()), true);
});

Deno.test("IPv6 alone is not written to etcd's v2 API, and objected to where it stands there", async () => {
  await using etcd = await startEtcd2();
  const six = '{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd00:1::/48"}';
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, six);
    const config = (api: string, ...args: string[]) =>
      call([...args, `-etcd-endpoints=${etcd.endpoints}`, `--etcd-api=${api}`]);
    await assertRejects(() => config("v2", "set", file), Failure, "use --etcd-api=v3");
    await assertRejects(() => config("v2", "get"), Failure, "is absent");
    await config("v3", "set", file);
    assertMatch(await config("v3", "check"), /^fd00:1::\/48: 65535 subnets of \/64/);
    await etcd.ctl2("set", KEY, six);
    errors.length = 0;
    await assertRejects(() => config("v2", "check"), Error, "exit 1");
    assertMatch(errors.join(""), /IPv6 alone is not possible in etcd's v2 API; use --etcd-api=v3/);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("config get and set follow the API that has the network", async () => {
  await using etcd = await startEtcd2();
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/net.json`;
    await Deno.writeTextFile(file, one);
    const config = (...args: string[]) => call([...args, `-etcd-endpoints=${etcd.endpoints}`]);
    await config("set", file, "-etcd-api=v2");
    assertEquals(await etcd.ctl2("get", KEY), `${one}\n`);
    assertEquals(await etcd.ctl("get", KEY), "");
    assertEquals(await config("get"), `${one}\n`);
    await Deno.writeTextFile(file, two);
    await config("set", file, "--force");
    assertEquals(await etcd.ctl2("get", KEY), `${two}\n`);
    await config("set", file, "-etcd-prefix=/other");
    assertEquals(await etcd.ctl("get", "--print-value-only", "/other/config"), `${two}\n`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** What was said on stderr. */
const errors: string[] = [];

async function call(args: string[]): Promise<string> {
  let out = "";
  const io = {
    args,
    environment: {},
    out: (text: string) => void (out += text),
    err: (text: string) => void errors.push(text),
  };
  const code = await run(io);
  if (code !== 0) throw new Error(`exit ${code}`);
  return out;
}
