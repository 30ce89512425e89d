import { ApiError } from '../../errors.ts';

/**
 * Which failures can be transient, in one table: failures that are not in it never are. `known`: only for a host that
 * has answered this command before, so that a wrong address is reported at once and a restart is waited for.
 */
type When = 'always' | 'known' | 'never';

interface Rule {
  service: When;
  storage: When;
  /** The request may have arrived: what must not be done twice is not sent again. */
  arrived: boolean;
  /** After the name of whoever was asked. */
  says: string;
}

// The service has just worked with its storage, so that its address is right, but where this machine cannot resolve it.
const NO_CONNECTION = { service: 'known', storage: 'always', arrived: false } as const;
const LOST = { service: 'always', storage: 'always', arrived: true } as const;

const CONNECTIONS: Record<string, Rule> = {
  ECONNREFUSED: { ...NO_CONNECTION, says: 'refuses connections' },
  EHOSTUNREACH: { ...NO_CONNECTION, says: 'cannot be reached' },
  ENETUNREACH: { ...NO_CONNECTION, says: 'cannot be reached' },
  EHOSTDOWN: { ...NO_CONNECTION, says: 'cannot be reached' },
  EAI_AGAIN: { ...NO_CONNECTION, says: 'has no address at the moment' },
  ENOTFOUND: { ...NO_CONNECTION, storage: 'known', says: 'has no address' },
  // No tunnel to it, through a proxy.
  ERR_PROXY_TUNNEL: { ...NO_CONNECTION, storage: 'known', says: 'cannot be reached through the proxy' },
  ECONNRESET: { ...LOST, says: 'dropped the connection' },
  EPIPE: { ...LOST, says: 'dropped the connection' },
  ECONNABORTED: { ...LOST, says: 'dropped the connection' },
  ERR_STREAM_PREMATURE_CLOSE: { ...LOST, says: 'dropped the connection' },
  ERR_HTTP_CONTENT_LENGTH_MISMATCH: { ...LOST, says: 'dropped the connection' },
  HPE_INVALID_EOF_STATE: { ...LOST, says: 'dropped the connection' },
  ETIMEDOUT: { ...LOST, says: 'does not answer' },
};

const STATUSES: Record<number, Pick<Rule, 'service' | 'storage'>> = {
  // For a signed URL that is no longer good there are fresh ones.
  403: { service: 'never', storage: 'always' },
  // This machine was too slow to send, for a while.
  408: { service: 'always', storage: 'always' },
  429: { service: 'always', storage: 'always' },
  500: { service: 'never', storage: 'always' },
  502: { service: 'always', storage: 'always' },
  503: { service: 'always', storage: 'always' },
  504: { service: 'always', storage: 'always' },
};

/** Bytes that are wrong, in storage or in the registry, stay so, and so do packages that nobody ends, whatever the status. */
const LASTING: ReadonlySet<string> = new Set(['integrity_failure', 'registry_damaged', 'too_many_packages']);

export interface Asked {
  who: 'service' | 'storage';
  /** It has answered this command before. */
  known: boolean;
}

/** May the same request succeed when it is sent again? */
export function mayPass(error: unknown, { who, known }: Asked): boolean {
  const rule = ruleOf(error);
  if (rule === null || (error instanceof ApiError && LASTING.has(error.code))) return false;
  return rule[who] === 'always' || (rule[who] === 'known' && known);
}

/** Once it was sent, somebody may have acted on it. */
export function mayHaveArrived(error: unknown): boolean {
  // Of too many, this one was not looked at.
  if (error instanceof ApiError) return error.status !== 429;
  return connectionRule(error)?.arrived ?? true;
}

/** As Node and got throw them: no answer came, or half of one. Answers with an error status are none of these. */
const NAMES: ReadonlySet<string> = new Set(['Error', 'RequestError', 'TimeoutError', 'ReadError']);

/** Of everything that a request can fail with: was it the connection, or who is at its other end? */
export function isOfConnection(error: unknown): boolean {
  return error instanceof Error && NAMES.has(error.name) && typeof (error as { code?: unknown }).code === 'string';
}

/** Half a sentence after the name of whoever was asked: `refuses connections (ECONNREFUSED)`. */
export function sayFailure(error: unknown): string {
  if (error instanceof ApiError) return `answered ${error.status}`;
  const { code, message } = error as { code?: string; message?: string };
  const says = connectionRule(error)?.says;
  return says === undefined ? `failed (${message})` : `${says} (${code})`;
}

function ruleOf(error: unknown): Pick<Rule, 'service' | 'storage'> | null {
  if (error instanceof ApiError) return STATUSES[error.status] ?? null;
  return connectionRule(error);
}

const NEVER_CONNECTED: ReadonlySet<unknown> = new Set(['lookup', 'connect', 'secureConnect']);

function connectionRule(error: unknown): Rule | null {
  const failed = error as { code?: unknown; syscall?: unknown; event?: unknown } | null;
  const code = failed?.code;
  if (typeof code !== 'string') return null;
  const rule = CONNECTIONS[code] ?? null;
  // Without a connection nothing was sent.
  const isEarly = code === 'ETIMEDOUT' && (failed?.syscall === 'connect' || NEVER_CONNECTED.has(failed?.event));
  if (rule !== null && isEarly) return { ...rule, ...NO_CONNECTION };
  // The proxy itself refuses: whom it lets through, and where, stays so.
  return (tunnelStatus(error) ?? 500) < 500 ? null : rule;
}

/** The status with which a proxy refused a tunnel; null: something else. */
export function tunnelStatus(error: unknown): number | null {
  for (let at = error as { code?: unknown; statusCode?: unknown; cause?: unknown } | undefined; at; ) {
    if (at.code === 'ERR_PROXY_TUNNEL' && typeof at.statusCode === 'number') return at.statusCode;
    at = at.cause as typeof at | undefined;
  }
  return null;
}
