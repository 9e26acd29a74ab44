/** Error numbers of the kernel (asm-generic/errno.h: the same on every architecture Deno runs on), for people. */

const known: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  1: ["EPERM", "not permitted: this needs CAP_NET_ADMIN (run as root, or grant the capability)"],
  2: ["ENOENT", "there is no such entry"],
  3: ["ESRCH", "there is no such route or process"],
  4: ["EINTR", "interrupted"],
  6: ["ENXIO", "no such device or address"],
  7: ["E2BIG", "it is more than one call takes"],
  9: ["EBADF", "the socket is closed"],
  11: ["EAGAIN", "it kept changing while it was read: try again"],
  12: ["ENOMEM", "the kernel is out of memory"],
  13: ["EACCES", "access denied"],
  16: ["EBUSY", "it is in use"],
  17: ["EEXIST", "something is there already"],
  19: ["ENODEV", "there is no such device"],
  22: ["EINVAL", "the kernel does not accept these values together"],
  23: ["ENFILE", "the system has no file descriptors left"],
  24: ["EMFILE", "this process has no file descriptors left (see ulimit -n)"],
  28: ["ENOSPC", "no space left"],
  34: ["ERANGE", "a value is out of range"],
  74: ["EBADMSG", "the kernel's answer was not understood"],
  89: ["EDESTADDRREQ", "it needs a definite address of this host, not any"],
  90: ["EMSGSIZE", "the message is too long"],
  93: ["EPROTONOSUPPORT", "the kernel lacks this protocol"],
  95: ["EOPNOTSUPP", "the kernel cannot do this, or cannot change it in place"],
  97: ["EAFNOSUPPORT", "the kernel lacks this address family (is IPv6 switched off?)"],
  98: ["EADDRINUSE", "it is taken already"],
  99: ["EADDRNOTAVAIL", "this host does not have that address"],
  100: ["ENETDOWN", "the device is down"],
  101: ["ENETUNREACH", "there is no way to the gateway (is the device up and its address set?)"],
  105: ["ENOBUFS", "the answer was lost: the receive buffer overran"],
  110: ["ETIMEDOUT", "no answer in time"],
  111: ["ECONNREFUSED", "nobody listens there"],
  113: ["EHOSTUNREACH", "the host cannot be reached"],
};

/** `EPERM` for 1 or -1; `errno 4711` where the number is not known. */
export function errnoName(errno: number): string {
  return known[Math.abs(errno)]?.[0] ?? `errno ${Math.abs(errno)}`;
}

/** What the number means and what to do, then its name: `there is no such device (ENODEV)`. */
export function describeErrno(errno: number): string {
  const entry = known[Math.abs(errno)];
  return entry === undefined ? errnoName(errno) : `${entry[1]} (${entry[0]})`;
}
