import type { Context } from 'koa';
import type * as z from 'zod/mini';
import { StoreError } from '../core/errors.ts';

/** How many mistakes of one request are told. */
const ISSUES_MAX = 20;

/** Bodies are hashed, measured and kept as they come. @throws StoreError unsupported_media_type */
export function refuseEncoding(ctx: Context): void {
  const encoding = ctx.get('content-encoding');
  if (encoding === '' || encoding.toLowerCase() === 'identity') return;
  throw new StoreError(
    'unsupported_media_type',
    `Send the body without Content-Encoding, not as ${JSON.stringify(encoding.slice(0, 100))}.`,
  );
}

/** JSON is UTF-8 (RFC 8259, 8.1), and is read as nothing else. @throws StoreError unsupported_media_type */
export function refuseCharset(ctx: Context): void {
  const { charset } = ctx.request;
  if (charset === '' || /^utf-?8$/i.test(charset)) return;
  throw new StoreError(
    'unsupported_media_type',
    `Send JSON in UTF-8, not in ${JSON.stringify(charset.slice(0, 100))}.`,
  );
}

/** @throws StoreError invalid_request, naming the first fields that are wrong */
export function validate(schema: z.ZodMiniType, value: unknown, what: 'body' | 'query'): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.slice(0, ISSUES_MAX).map((issue) => ({
    field: issue.path.map(String).join('.') || what,
    message: issue.message.slice(0, 500).toWellFormed(),
  }));
  const first = errors[0];
  throw new StoreError('invalid_request', `The ${what} breaks the schema: ${first?.field}: ${first?.message}.`, {
    errors,
  });
}

/**
 * The query's parameters, as forms write them. What readers understand differently is an error: a name that stands twice, and bytes
 * that are not UTF-8, which others turn into U+FFFD silently. @throws StoreError invalid_request
 */
export function queryOf(ctx: Context): Record<string, string> {
  // Without a prototype, so that no name is special.
  const query: Record<string, string> = Object.create(null);
  for (const pair of ctx.querystring.split('&')) {
    if (pair === '') continue;
    const equals = pair.includes('=') ? pair.indexOf('=') : pair.length;
    const name = decoded(pair.slice(0, equals));
    const value = decoded(pair.slice(equals + 1));
    // The validating library leaves this one name out silently.
    if (name === '__proto__') throw new StoreError('invalid_request', 'The query has the unknown field "__proto__".');
    if (Object.hasOwn(query, name)) throw badQuery(name, 'appears more than once');
    if (value.includes('\u0000')) throw badQuery(name, 'contains U+0000, which cannot be stored');
    query[name] = value;
  }
  return query;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw badQuery(text, 'is not percent-encoded UTF-8');
  }
}

function badQuery(name: string, message: string): StoreError {
  const field = name.slice(0, 100);
  return new StoreError('invalid_request', `The query's ${JSON.stringify(field)} ${message}.`, {
    errors: [{ field: field.toWellFormed(), message }],
  });
}
