/** What the operating system said, in words for people: without error numbers, class names and repeated paths. */
import { messageOf } from "../model/errors.ts";

const states: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not on this host",
  EBUSY: "device or resource busy",
  EDQUOT: "disk quota exceeded",
  EEXIST: "already exists",
  EINVAL: "not possible here",
  EIO: "input/output error",
  EISDIR: "is a directory",
  ELOOP: "too many symbolic links in a row",
  EMFILE: "this process has no file descriptors left",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "the system has no file descriptors left",
  ENOENT: "no such file or directory",
  ENOSPC: "no space left on device",
  ENOTDIR: "a part of the path is not a directory",
  EPERM: "operation not permitted",
  ETXTBSY: "a program of this name runs",
  EROFS: "read-only file system",
};

/** The symbolic error number (`EROFS`) of something thrown by the runtime; null where it has none. */
export function osErrorCode(thrown: unknown): string | null {
  const code = thrown instanceof Error ? (thrown as Error & { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : null;
}

/** The state, lower case, for the middle of an error message: `read-only file system`. */
export function osErrorText(thrown: unknown): string {
  const known = states[osErrorCode(thrown) ?? ""];
  if (known !== undefined) return known;
  const text = messageOf(thrown);
  return text.charAt(0).toLowerCase() + text.slice(1);
}
