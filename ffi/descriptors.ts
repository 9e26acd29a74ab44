/**
 * Descriptors that came from elsewhere by number alone, such as those a service manager kept through a restart: what they are.
 * Only the kernel is asked; the names that came with them are not believed.
 */
import { Failure } from "../src/model/errors.ts";
import { describeErrno } from "./errno.ts";
import { readIp } from "./ip_text.ts";
import { DESCRIPTOR, DESCRIPTOR_KIND } from "./layout.ts";
import type { Library } from "./library.ts";
import { decodeName } from "./udp_codec.ts";

/** One queue of a TUN device. */
export interface TunDescriptor {
  readonly kind: "tun";
  readonly name: string;
  /** The device may have several queues. */
  readonly multiQueue: boolean;
  /** Its packets have an offload header: not those of a `plain` tunnel. */
  readonly offload: boolean;
}

export interface UdpSocketDescriptor {
  readonly kind: "udpSocket";
  readonly family: 4 | 6;
  /** Where it is bound; `0.0.0.0` or `::` and port 0 where it is not. */
  readonly address: string;
  readonly port: number;
}

/** What the descriptor is; null for what is neither, or not open. */
export function describeDescriptor(library: Library, fd: number): TunDescriptor | UdpSocketDescriptor | null {
  const bytes = new Uint8Array(DESCRIPTOR.size);
  const view = new DataView(bytes.buffer);
  if (library.symbols.denim_describe(fd, bytes) < 0) return null;
  switch (bytes[DESCRIPTOR.kind]) {
    case DESCRIPTOR_KIND.tun:
      return {
        kind: "tun",
        name: decodeName(view, DESCRIPTOR.name),
        multiQueue: bytes[DESCRIPTOR.multiQueue] !== 0,
        offload: bytes[DESCRIPTOR.offload] !== 0,
      };
    case DESCRIPTOR_KIND.udpSocket: {
      const family = bytes[DESCRIPTOR.family] === 6 ? 6 : 4;
      return {
        kind: "udpSocket",
        family,
        address: readIp(bytes, DESCRIPTOR.address, family),
        port: view.getUint16(DESCRIPTOR.port, true),
      };
    }
    default:
      return null;
  }
}

/**
 * From now on programs that this process starts do not get the descriptor. Inherited ones (LISTEN_FDS) come without that.
 *
 * @throws {Failure} where it is not open
 */
export function setCloseOnExec(library: Library, fd: number): void {
  check(`keep the descriptor ${fd} from other programs`, library.symbols.denim_close_on_exec(fd));
}

/**
 * Closes a descriptor that nothing else in this process owns.
 *
 * @throws {Failure} where it is not open
 */
export function closeDescriptor(library: Library, fd: number): void {
  check(`close the descriptor ${fd}`, library.symbols.denim_close_descriptor(fd));
}

function check(action: string, result: number): void {
  if (result < 0) throw new Failure(`${action}: ${describeErrno(result)}`);
}
