/**
 * systemd itself, as a user's manager in mount and process namespaces of its own, with the unit files of dist/ and Debian's of
 * docker: a flanneld that fails at once, again and again, as it may at boot, is started until it runs, and docker with it.
 *
 * What the units start is replaced by a script; the pause between two starts is shorter.
 */
import { assertEquals } from "@std/assert";
import { output } from "../support/process.ts";

const DIST = new URL("../../dist", import.meta.url).pathname;
const DOCKER = "/lib/systemd/system/docker.service";
/** More than systemd's five in ten seconds, and than docker's three in a minute. */
const FAILURES = 12;

const there = await Promise.all(
  ["/lib/systemd/systemd", DOCKER].map((path) => Deno.stat(path).then(() => true, () => false)),
);
const missing = there.includes(false) ? " [needs systemd and docker's unit]" : "";

Deno.test({
  name: `a flanneld that cannot start yet is started for as long as it takes, and docker after it${missing}`,
  ignore: missing !== "" || Deno.uid() !== 0,
  fn: async () => {
    const namespaces = [
      "--mount",
      "--pid",
      "--fork",
      "--kill-child",
      "--mount-proc",
      "--propagation",
      "private",
    ];
    const { stdout, stderr } = await output([
      "unshare",
      ...namespaces,
      "sh",
      "-ec",
      SCRIPT,
      "boot",
      DIST,
      DOCKER,
    ]);
    assertEquals(stdout, `active active after ${FAILURES} failures\n`, stderr);
  },
});

const SCRIPT = `
mount -t tmpfs run /run
mkdir -p /run/systemd/system /run/user /run/home /run/units
chmod 700 /run/user
export HOME=/run/home XDG_RUNTIME_DIR=/run/user SYSTEMD_UNIT_PATH=/run/units:/lib/systemd/user SYSTEMD_LOG_TARGET=console
unset XDG_CONFIG_HOME XDG_STATE_HOME DBUS_SESSION_BUS_ADDRESS
cd /run/units
mkdir flanneld.service.d docker.service.d
cp "$1/flanneld.service" "$2" .
cp "$1/docker.service.d/flannel.conf" docker.service.d
cat > flanneld.service.d/test.conf <<'END'
[Service]
EnvironmentFile=
ExecStart=
ExecStart=/bin/sh /run/program
ExecStartPost=
RestartSec=50ms
END
cat > docker.service.d/test.conf <<'END'
[Service]
Type=exec
ExecStart=
ExecStart=/bin/sleep infinity
RestartSec=50ms
END
printf '[Socket]\\nListenStream=/run/docker.sock\\n' > docker.socket
cat > /run/program <<'END'
echo failure >> /run/starts
[ "$(wc -l < /run/starts)" -gt ${FAILURES} ] || exit 1
mkdir -p /run/flannel
: > /run/flannel/docker
systemd-notify --ready
exec sleep infinity
END
/lib/systemd/systemd --user --unit=basic.target > /run/log 2>&1 &
for round in $(seq 100); do systemctl --user --quiet is-active basic.target 2> /dev/null && break; sleep 0.1; done
systemctl --user --no-block start docker.service
for round in $(seq 200); do
  states=$(systemctl --user is-active flanneld.service docker.service | tr '\\n' ' ') || true
  [ "$states" != "active active " ] || break
  sleep 0.1
done
echo "\${states}after $(($(wc -l < /run/starts) - 1)) failures"
cat /run/log >&2
`;
