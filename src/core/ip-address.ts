/** Networks and addresses as numbers, so that one comparison serves IPv4 and IPv6. */

const IPV4_BITS = 32;
const BITS = 128;
/** ::ffff:0:0/96: where IPv4 addresses lie among those of IPv6. */
const MAPPED = 0xffffn << 32n;

/** A range of addresses: those whose first `bits` bits are the base's. */
export interface Network {
  base: bigint;
  bits: number;
}

/** An address as a number of 128 bits, IPv4 as the IPv6 address that it is mapped to; null when the text is none. */
export function parseIp(text: string): bigint | null {
  const bare = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  if (bare.includes(':')) return parseIpv6(bare);
  const ipv4 = parseIpv4(bare);
  return ipv4 === null ? null : MAPPED | ipv4;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address; null when the text is none of these. */
export function parseNetwork(text: string): Network | null {
  const [address = '', length, ...rest] = text.split('/');
  const base = parseIp(address);
  if (base === null || rest.length > 0) return null;
  const width = address.includes(':') ? BITS : IPV4_BITS;
  if (length === undefined) return { base, bits: BITS };
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return null;
  return { base, bits: BITS - width + Number(length) };
}

export function inNetwork(address: bigint, { base, bits }: Network): boolean {
  const rest = BigInt(BITS - bits);
  return address >> rest === base >> rest;
}

/**
 * Whom requests from an address are counted for: the address, or of IPv6 its /64, which a single client has whole (RFC 6177).
 * @param address a text that is none stands for itself
 */
export function clientNetwork(address: string): string {
  const number = parseIp(address);
  if (number === null || inNetwork(number, { base: MAPPED, bits: BITS - IPV4_BITS }))
    return address.replace(/^::ffff:/i, '');
  return `${(number >> 64n).toString(16)}::/64`;
}

function parseIpv4(text: string): bigint | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  const bytes = match.slice(1).map(Number);
  return bytes.some((byte) => byte > 255) ? null : bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function parseIpv6(text: string): bigint | null {
  const groups = ipv6Groups(text);
  if (groups === null || groups.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return null;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** The eight groups of an IPv6 address, `::` written out and an IPv4 address at its end as two of them. */
function ipv6Groups(text: string): string[] | null {
  const dotted = /^(.*:)([\d.]+\.[\d.]+)$/.exec(text);
  const ipv4 = dotted === null ? null : parseIpv4(dotted[2] as string);
  if (dotted !== null && ipv4 === null) return null;
  const hex = ipv4 === null ? text : `${dotted?.[1]}${(ipv4 >> 16n).toString(16)}:${(ipv4 & 0xffffn).toString(16)}`;
  const [head = '', tail, ...rest] = hex.split('::');
  if (rest.length > 0) return null;
  const before = head === '' ? [] : head.split(':');
  if (tail === undefined) return before.length === 8 ? before : null;
  const after = tail === '' ? [] : tail.split(':');
  const missing = 8 - before.length - after.length;
  return missing < 1 ? null : [...before, ...Array<string>(missing).fill('0'), ...after];
}

const LOOPBACK = ['127.0.0.0/8', '::1'].map(knownNetwork);
/** fe80::/10 and 169.254.0.0/16 in each way to write an IPv4 address as one of IPv6: mapped, NAT64, 6to4, compatible. */
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10', '64:ff9b::a9fe:0/112', '2002:a9fe::/32', '::a9fe:0/112'].map(
  knownNetwork,
);

/** This machine itself, by name or address, as it stands in a URL. */
export function isLoopbackHost(host: string): boolean {
  if (/^(.*\.)?localhost\.?$/i.test(host)) return true;
  const address = parseIp(host);
  return address !== null && LOOPBACK.some((network) => inNetwork(address, network));
}

/** Addresses of one cable, where clouds answer with a machine's credentials (169.254.169.254). */
export function isLinkLocal(text: string): boolean {
  const address = parseIp(text);
  return address !== null && LINK_LOCAL.some((network) => inNetwork(address, network));
}

function knownNetwork(text: string): Network {
  const network = parseNetwork(text);
  if (network === null) throw new RangeError(`${text} is not a network`);
  return network;
}
