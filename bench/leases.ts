/** Leases of other hosts, as upstream writes them: numbered, each with a subnet, a public IP and a MAC of its own. */

export interface ForeignLease {
  /** `10.16.0.0-24`. */
  readonly key: string;
  /** `10.16.0.0/24`. */
  readonly subnet: string;
  /** The subnet's address as a number. */
  readonly address: number;
  readonly publicIp: string;
  readonly mac: string;
  /** With etcd's v3 interface. */
  readonly value: string;
  /** With its v2 interface, as older releases. */
  readonly valueV2: string;
}

/** Room for the foreign leases and for hosts' own. */
export const NETWORK = "10.0.0.0/8";

/** @param number from 0, below 60,000; public IPs are behind the hosts' router */
export function foreignLease(number: number): ForeignLease {
  const [high, low] = [number >> 8, number & 255];
  const network = `10.${16 + high}.${low}.0`;
  const publicIp = `172.${16 + (high >> 4)}.${(high & 15) * 16 + (low >> 4)}.${(low & 15) + 1}`;
  const octet = (n: number) => n.toString(16).padStart(2, "0");
  const mac = `02:00:5e:00:${octet(high)}:${octet(low)}`;
  return {
    key: `${network}-24`,
    subnet: `${network}/24`,
    address: ((10 << 24) | ((16 + high) << 16) | (low << 8)) >>> 0,
    publicIp,
    mac,
    value: `{"PublicIP":"${publicIp}","PublicIPv6":null,"BackendType":"vxlan",` +
      `"BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`,
    valueV2: `{"PublicIP":"${publicIp}","BackendType":"vxlan","BackendData":{"VtepMAC":"${mac}"}}`,
  };
}

export function foreignLeases(count: number, from = 0): ForeignLease[] {
  return Array.from({ length: count }, (_, i) => foreignLease(from + i));
}

/** The configuration that the leases fit; hosts take subnets beside them. */
export function networkConfig(): string {
  const Backend = { Type: "vxlan" };
  const config = { Network: NETWORK, SubnetLen: 24, SubnetMin: "10.1.0.0", SubnetMax: "10.1.255.0", Backend };
  return JSON.stringify(config);
}
