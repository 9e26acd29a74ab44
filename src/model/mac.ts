/** Ethernet addresses: text forms, and the deterministic address of a new tunnel device. */
import type { Family } from "./ip.ts";

/** Lower case, six octets with colons. */
export type Mac = string;

/**
 * Reads the three spellings that other daemons may have published: colons, hyphens and Cisco's dotted triplets.
 * Null where the text is none of them.
 */
export function parseMac(text: string): Mac | null {
  const plain = /^([0-9a-f]{2}([:-]))([0-9a-f]{2}\2){4}[0-9a-f]{2}$/i;
  const dotted = /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/i;
  if (!plain.test(text) && !dotted.test(text)) return null;
  const digits = text.replace(/[:.-]/g, "").toLowerCase();
  return digits.match(/../g)!.join(":");
}

/** True for a unicast address that is not all zero: what a VTEP can have. */
export function isUsableMac(mac: Mac): boolean {
  return mac !== "00:00:00:00:00:00" && (parseInt(mac.slice(0, 2), 16) & 1) === 0;
}

/**
 * The MAC of a new device: a hash of the host's id, VNI and family, marked local and unicast. The same host gets the same MAC
 * after a reboot or a deleted device, so that no peer has to learn anything; another host gets another one, whatever addresses do.
 *
 * @param host the host's id, 32 hexadecimal digits
 */
export function deriveMac(host: string, vni: number, family: Family): Mac {
  const input = [...new TextEncoder().encode(host), family, vni >>> 16, (vni >>> 8) & 255, vni & 255];
  const hash = mix64(
    input.reduce((h, byte) => BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n), 0xcbf29ce484222325n),
  );
  const octets = Array.from({ length: 6 }, (_, i) => Number((hash >> BigInt(8 * i)) & 0xffn));
  octets[0] = ((octets[0] ?? 0) & 0xfc) | 0x02;
  return octets.map((octet) => octet.toString(16).padStart(2, "0")).join(":");
}

/** Spreads every input bit over the whole word (the finaliser of MurmurHash3): FNV alone leaves neighbours close. */
function mix64(hash: bigint): bigint {
  let h = hash;
  for (const factor of [0xff51afd7ed558ccdn, 0xc4ceb9fe1a85ec53n]) {
    h = BigInt.asUintN(64, (h ^ (h >> 33n)) * factor);
  }
  return h ^ (h >> 33n);
}
