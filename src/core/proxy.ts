import { inNetwork, isLoopbackHost, parseIp, parseNetwork } from './ip-address.ts';

/** Variables that name proxies; each is read in lower case too, and that spelling wins, as with curl. */
export const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'] as const;

/** Those of an environment that name proxies. */
export type ProxyEnv = Readonly<Record<string, string | undefined>>;

export interface HttpProxy {
  /** `http://user:password@host:port`: holds a secret, perhaps. */
  url: string;
  /** The same without user and password. */
  shown: string;
  /** The variable that names it. */
  variable: string;
}

/** A variable names a proxy that cannot be used; the message names the variable. */
export class ProxySettingError extends Error {
  override readonly name = 'ProxySettingError';
}

/** Only what names proxies, so that no other secret of an environment travels with it. */
export function proxyEnvOf(env: ProxyEnv): ProxyEnv {
  const names = PROXY_VARIABLES.flatMap((name) => [name.toLowerCase(), name as string]);
  return Object.fromEntries(names.filter((name) => env[name]).map((name) => [name, env[name]]));
}

/**
 * The proxy through which a URL is reached; null: none. Loopback is never reached through one.
 * @throws ProxySettingError when the variable that counts names none that can be used
 */
export function proxyFor(target: URL, env: ProxyEnv): HttpProxy | null {
  const scheme = target.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const set = ['NO_PROXY', scheme, 'ALL_PROXY'].map((name) => settingOf(env, name));
  const [without, ...named] = set;
  const found = named.find((setting) => setting !== null) ?? null;
  if (found === null || isLoopbackHost(target.hostname) || isExcepted(target, without?.value ?? '')) return null;
  return parseProxy(found);
}

/** Options of an agent that uses this proxy and no other, whatever the environment says. */
export function agentProxy(proxy: HttpProxy | null): { proxyEnv: Record<string, string> } {
  return { proxyEnv: proxy === null ? {} : { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url } };
}

interface Setting {
  variable: string;
  value: string;
}

function settingOf(env: ProxyEnv, name: string): Setting | null {
  for (const variable of [name.toLowerCase(), name]) {
    const value = env[variable]?.trim() ?? '';
    if (value !== '') return { variable, value };
  }
  return null;
}

function parseProxy({ variable, value }: Setting): HttpProxy {
  const text = value.includes('://') ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw new ProxySettingError(`${variable} is not the URL of a proxy: write http://host:port.`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ProxySettingError(
      `${variable} names a ${url.protocol.slice(0, -1)} proxy: only http:// and https:// proxies can be used.`,
    );
  }
  return { url: url.href, shown: url.origin, variable };
}

/** `*`, a host with all below it (with or without a leading dot or `*.`), an address, a network; each perhaps with a port. */
function isExcepted(target: URL, list: string): boolean {
  const host = target.hostname.replace(/\.$/, '').toLowerCase();
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && (entry === '*' || matches(entry, host, port)));
}

function matches(entry: string, host: string, port: string): boolean {
  const address = parseIp(host);
  const network = parseNetwork(entry);
  if (network !== null) return address !== null && inNetwork(address, network);
  const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (only !== undefined && only !== port) return false;
  if (address !== null) return address === parseIp(name);
  const suffix = name.replace(/^\*?\./, '').replace(/\.$/, '');
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`));
}
