import type { Context, Next } from 'koa';
import { StoreError } from '../core/errors.ts';

const LOOPBACK = /^(127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d{1,5})?$/i;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host) || host === '::1';
}

/**
 * Without tokens, whoever can reach the socket may do everything: a web page in the same machine's browser must not.
 * DNS rebinding shows in a foreign Host, a cross-site request in a foreign Origin.
 * @param isOpen whether there is no token now
 */
export function loopbackOnly(corsOrigins: readonly string[], isOpen: () => Promise<boolean>) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const refusal = foreign(ctx, corsOrigins);
    // Asked only about requests that would be refused: the registry need not answer for the others.
    if (refusal !== null && (await isOpen())) throw refusal;
    await next();
  };
}

function foreign(ctx: Context, corsOrigins: readonly string[]): StoreError | null {
  const host = ctx.get('host');
  if (!isLoopback(host)) {
    return new StoreError(
      'foreign_host',
      `Without a token only loopback is served, not ${JSON.stringify(host.slice(0, 100))}.`,
    );
  }
  const origin = ctx.get('origin');
  // A report in its frame is nobody; its address says what it may load, and nothing else.
  if (origin === 'null' && ctx.path.startsWith('/ui/evidence/')) return null;
  if (origin === '' || origin === `http://${host}` || corsOrigins.includes(origin)) return null;
  return new StoreError(
    'foreign_origin',
    `${JSON.stringify(origin.slice(0, 100))} may not call this service: see ARTIFACT_STORE_CORS_ORIGINS.`,
  );
}

/**
 * Keeps pages of other sites from loading an answer as a script or an image, and browsers from guessing its type. Does not
 * apply to requests that cors() allows (Fetch standard).
 */
export function sameOrigin() {
  return (ctx: Context, next: Next): Promise<void> => {
    ctx.set({ 'Cross-Origin-Resource-Policy': 'same-origin', 'X-Content-Type-Options': 'nosniff' });
    return next();
  };
}

const ALLOWED_HEADERS = 'authorization, content-type, if-match, if-none-match, if-range, range, repr-digest';
const EXPOSED_HEADERS =
  'accept-ranges, content-range, etag, location, ratelimit, ratelimit-policy, repr-digest, retry-after, x-request-id';

/** Cross-origin calls (Fetch standard) from the origins that the operator named, and no others. */
export function cors(origins: readonly string[]) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const origin = ctx.get('origin');
    ctx.vary('Origin');
    if (origin === '' || !origins.includes(origin)) return next();
    ctx.set('Access-Control-Allow-Origin', origin);
    ctx.set('Access-Control-Expose-Headers', EXPOSED_HEADERS);
    if (ctx.method !== 'OPTIONS' || ctx.get('access-control-request-method') === '') return next();
    ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, POST, PUT, DELETE');
    ctx.set('Access-Control-Allow-Headers', ALLOWED_HEADERS);
    ctx.set('Access-Control-Max-Age', '600');
    ctx.status = 204;
  };
}
