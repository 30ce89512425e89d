import { inNetwork, isLoopbackHost, type Network, parseIp, parseNetwork } from './ip-address.ts';

/**
 * Which addresses the service may be made to send something to by whoever names a URL: those of the public Internet, and what the
 * operator allows.
 */

/** Not globally reachable by IANA's registries of special-purpose addresses (RFC 6890), and multicast. */
const CLOSED = networks(
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  // Teredo and others that stand for something else, examples, 6to4, examples.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
);
/** What else there is of IPv6 is loopback, local, multicast, or an IPv4 address in disguise. */
const OPEN = networks('::ffff:0:0/96', '2000::/3');

/** What the operator allows beside. */
export interface AllowedPlace {
  /** In lower case; with a leading dot: and everything below it. */
  host: string | null;
  network: Network | null;
}

/** A network, an address, a host, or `.domain` for all hosts below it; null: it is none of these. */
export function parseAllowedPlace(text: string): AllowedPlace | null {
  const network = parseNetwork(text);
  if (network !== null) return { host: null, network };
  const host = text.replace(/^\*\./, '.').toLowerCase();
  return /^\.?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(host) &&
    !/^[\d.]+$/.test(host)
    ? { host, network: null }
    : null;
}

/** Whether a connection to this address may be made for the host. @param address as the system resolved it, or as the URL has it */
export function mayReach(host: string, address: string, allowed: readonly AllowedPlace[]): boolean {
  const number = parseIp(address);
  if (number === null) return false;
  if (isNamed(host, allowed) || allowed.some(({ network }) => network !== null && inNetwork(number, network)))
    return true;
  return OPEN.some((network) => inNetwork(number, network)) && !CLOSED.some((network) => inNetwork(number, network));
}

/** Why nothing is sent to this URL, as half a sentence; null: it may be tried. The host's addresses are looked at when it is. */
export function urlProblem(url: URL, allowed: readonly AllowedPlace[]): string | null {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'is no https:// URL';
  if (url.username !== '' || url.password !== '')
    return 'has a user or a password: whoever lists webhooks would see it';
  if (url.hash !== '') return 'has a fragment, which is never sent';
  const number = parseIp(host);
  const listed = isNamed(host, allowed) || isWithin(number, allowed);
  if (number === null ? isLoopbackHost(host) && !listed : !mayReach(host, host, allowed)) {
    return 'leads to an address that is not public: the operator can allow it (ARTIFACT_STORE_WEBHOOK_ALLOW)';
  }
  if (url.protocol === 'http:' && !listed) {
    return 'is not https://: events would travel unencrypted. The operator can allow it for a host (ARTIFACT_STORE_WEBHOOK_ALLOW)';
  }
  return null;
}

/** Whether the operator allows the host by its name. */
export function isNamed(host: string, allowed: readonly AllowedPlace[]): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return allowed.some((place) => {
    if (place.host === null) return false;
    return place.host.startsWith('.') ? name.endsWith(place.host) : name === place.host;
  });
}

function isWithin(address: bigint | null, allowed: readonly AllowedPlace[]): boolean {
  return address !== null && allowed.some(({ network }) => network !== null && inNetwork(address, network));
}

function networks(...texts: readonly string[]): Network[] {
  return texts.map((text) => {
    const network = parseNetwork(text);
    if (network === null) throw new RangeError(`${text} is not a network`);
    return network;
  });
}
