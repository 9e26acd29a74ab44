/** The reading end of a pipe of the C library's, on which a native thread writes one byte when there is something to take. */
import { Socket } from "node:net";
import type { Library } from "./library.ts";

/** The descriptor is the socket's from now on, and closed with it. @throws with it closed */
export function openPipe(library: Library, fd: number): Socket {
  try {
    return new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    library.symbols.denim_close_descriptor(fd);
    throw error;
  }
}
