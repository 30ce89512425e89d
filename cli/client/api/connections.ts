import { lookup as resolve } from 'node:dns';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { isLinkLocal } from '../../../src/core/ip-address.ts';
import { agentProxy, type HttpProxy, type ProxyEnv, proxyEnvOf, proxyFor } from '../../../src/core/proxy.ts';

/** An address to which no connection is made, wherever its URL came from. */
export class LinkLocalRefused extends Error {
  readonly code = 'ERR_LINK_LOCAL';

  constructor(host: string, address: string) {
    super(`${host === address ? address : `${host} (${address})`} is a link-local address`);
  }
}

export interface ConnectionsOptions {
  /** What names proxies (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY). */
  env?: ProxyEnv;
  /** How names become addresses; the system's way. */
  lookup?: typeof resolve;
}

/** A connection on which nothing moves for so long is given up. */
const IDLE_MS = 120_000;

/** How a command reaches the service and its storage: through which proxies, and which addresses it never connects to. */
export class Connections {
  readonly #env: ProxyEnv;
  readonly #lookup: LookupFunction;
  readonly #known = new Set<string>();

  constructor({ env = {}, lookup }: ConnectionsOptions = {}) {
    this.#env = proxyEnvOf(env);
    this.#lookup = refusingLinkLocal(lookup);
  }

  /** @throws ProxySettingError */
  proxyOf(url: string): HttpProxy | null {
    return proxyFor(new URL(url), this.#env);
  }

  /** Whoever is at this URL has answered. */
  heard(url: string): void {
    this.#known.add(new URL(url).origin);
  }

  hasAnswered(url: string): boolean {
    return this.#known.has(new URL(url).origin);
  }

  pool(maxSockets: number): Pool {
    return new Pool(this, maxSockets, this.#lookup);
  }
}

/** For URLs of either scheme. Each is made when it is first asked for: TLS takes longer to load than a short command needs. */
export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

class AgentsOfProxy implements Agents {
  readonly #options: object;
  #http: HttpAgent | null = null;
  #https: HttpsAgent | null = null;

  constructor(options: object) {
    this.#options = options;
  }

  get http(): HttpAgent {
    this.#http ??= new HttpAgent(this.#options);
    return this.#http;
  }

  get https(): HttpsAgent {
    this.#https ??= new HttpsAgent(this.#options);
    return this.#https;
  }

  destroy(): void {
    this.#http?.destroy();
    this.#https?.destroy();
  }
}

/** Connections kept open and used again; one pool for JSON calls and others for bytes, so that neither waits for the other. */
export class Pool {
  readonly connections: Connections;
  readonly #options: object;
  /** By proxy; '' is none. */
  readonly #agents = new Map<string, AgentsOfProxy>();

  constructor(connections: Connections, maxSockets: number, lookup: LookupFunction) {
    this.connections = connections;
    // Sockets that idle longer than the service keeps them would be used in the moment it closes them.
    this.#options = { keepAlive: true, maxSockets, timeout: IDLE_MS, scheduling: 'lifo', lookup };
  }

  /** @throws LinkLocalRefused, ProxySettingError */
  agentsFor(url: string): Agents {
    const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
    if (isLinkLocal(host)) throw new LinkLocalRefused(host, host);
    return this.#agentsOf(this.connections.proxyOf(url));
  }

  close(): void {
    for (const agents of this.#agents.values()) agents.destroy();
  }

  #agentsOf(proxy: HttpProxy | null): Agents {
    const key = proxy?.url ?? '';
    const known = this.#agents.get(key);
    if (known) return known;
    const made = new AgentsOfProxy({ ...this.#options, ...agentProxy(proxy) });
    this.#agents.set(key, made);
    return made;
  }
}

export interface SignedRequest {
  url: string;
  method: string;
  headers: Record<string, string | number>;
}

/** A request to a signed URL, not sent yet. Redirects are answers like others. @throws LinkLocalRefused, ProxySettingError */
export function openRequest({ url, ...options }: SignedRequest, pool: Pool, signal: AbortSignal): ClientRequest {
  const agents = pool.agentsFor(url);
  const [open, agent] = url.startsWith('https:') ? [httpsRequest, agents.https] : [httpRequest, agents.http];
  const request = open(url, { ...options, agent, signal, timeout: IDLE_MS });
  request.on('timeout', () => request.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })));
  request.on('response', () => pool.connections.heard(url));
  // An error reaches whoever waits for the answer; after that nobody handles it.
  request.on('error', () => {});
  return request;
}

/** Names often have a link-local address beside their others: only a name that has no other one is refused. */
function refusingLinkLocal(lookup: typeof resolve | undefined): LookupFunction {
  return (host, options, callback) => {
    (lookup ?? resolve)(host, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '');
      const usable = found.filter(({ address }) => !isLinkLocal(address));
      const [first] = usable;
      if (first === undefined) return callback(new LinkLocalRefused(host, found[0]?.address ?? ''), '');
      if (options.all) return callback(null, usable);
      callback(null, first.address, first.family);
    });
  };
}
