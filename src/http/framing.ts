import type { IncomingMessage } from 'node:http';
import type { Context, Next } from 'koa';
import { StoreError } from '../core/errors.ts';

/**
 * Every header that this service reads. Of two, Node takes the first, or both with a comma between them; others take the last.
 * HTTP lets lists be split (If-Match, Repr-Digest), but no client does so.
 */
export const ONCE: ReadonlySet<string> = new Set([
  'access-control-request-method',
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'if-match',
  'if-none-match',
  'if-range',
  'origin',
  'range',
  'repr-digest',
  'sec-fetch-dest',
  'sec-fetch-site',
  'transfer-encoding',
]);

/**
 * Refuses requests that a proxy and this service could read differently: a transfer coding other than chunked, a header that stands
 * twice, an address that names another host than Host does, or in which some see a fragment or a slash. The handlers behind it see
 * a path as the address.
 */
export function framing() {
  return async (ctx: Context, next: Next): Promise<void> => {
    try {
      ctx.req.url = understood(ctx.req);
    } catch (error) {
      // It is not certain where the next request on this connection begins.
      ctx.set('Connection', 'close');
      throw error;
    }
    await next();
  };
}

/** @returns the address as a path @throws StoreError bad_request, expectation_failed, misdirected_request */
function understood(req: IncomingMessage): string {
  checkVersion(req);
  checkTransferEncoding(req);
  checkExpectation(req);
  const twice = repeatedHeader(req);
  if (twice !== null) throw badRequest(`The request has more than one ${twice} header: send one.`);
  const { host } = req.headers;
  if (host === undefined && req.httpVersion === '1.1') throw badRequest('The request has no Host header.');
  const target = req.url ?? '';
  checkCharacters(target);
  return pathOf(target, host ?? '');
}

function repeatedHeader({ rawHeaders }: IncomingMessage): string | null {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    if (seen.has(name)) return name;
    if (ONCE.has(name)) seen.add(name);
  }
  return null;
}

/** What no address has (RFC 3986): some readers cut a fragment off, take a backslash for a slash, or guess an encoding. */
function checkCharacters(target: string): void {
  const [wrong] = /[^\x21-\x7e]|[#\\]/.exec(target) ?? [];
  if (wrong === undefined) return;
  throw badRequest(`The address ${shown(target)} has the character ${shown(wrong)}: write it percent-encoded.`);
}

function checkVersion({ httpVersion }: IncomingMessage): void {
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    throw badRequest(`The request is HTTP/${httpVersion}: use HTTP/1.1.`);
}

function checkTransferEncoding({ headers, httpVersion }: IncomingMessage): void {
  const encoding = headers['transfer-encoding'];
  if (encoding === undefined) return;
  if (httpVersion === '1.0') throw badRequest('HTTP/1.0 has no Transfer-Encoding: send a Content-Length.');
  if (encoding.toLowerCase() === 'chunked') return;
  throw badRequest(`Send the body with Transfer-Encoding: chunked or a Content-Length, not as ${shown(encoding)}.`);
}

function checkExpectation({ headers: { expect }, httpVersion }: IncomingMessage): void {
  if (expect === undefined || httpVersion === '1.0' || /^100-continue$/i.test(expect)) return;
  throw new StoreError('expectation_failed', `Expect can only be 100-continue, not ${shown(expect)}.`);
}

/** The path and query of a request's target, which proxies may send in absolute form (RFC 9112, 3.2.2). */
function pathOf(target: string, host: string): string {
  if (target.startsWith('/') || target === '*') return target;
  const [, scheme = '', authority = '', path = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(target) ?? [];
  if (!/^https?$/i.test(scheme)) throw badRequest(`The address must be a path or an http URL, not ${shown(target)}.`);
  if (withoutPort(authority, scheme) !== withoutPort(host, scheme)) {
    throw new StoreError(
      'misdirected_request',
      `The address names the host ${shown(authority)}, but Host names ${shown(host)}: send both the same.`,
    );
  }
  return path.startsWith('/') ? path : `/${path}`;
}

/** The authority without what its scheme stands for. */
function withoutPort(authority: string, scheme: string): string {
  return authority.toLowerCase().replace(scheme.toLowerCase() === 'https' ? /:443$/ : /:80$/, '');
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function badRequest(message: string): StoreError {
  return new StoreError('bad_request', message);
}
