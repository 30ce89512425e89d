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

/** The query's parameters; one that stands twice is an error. */
export function queryOf(ctx: Context): Record<string, string> {
  // Without a prototype, so that no name is special.
  const query: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(ctx.query)) {
    // The validating library leaves this one name out silently.
    if (name === '__proto__') throw new StoreError('invalid_request', 'The query has the unknown field "__proto__".');
    if (typeof value !== 'string') {
      throw new StoreError('invalid_request', `The query has ${JSON.stringify(name)} more than once.`, {
        errors: [{ field: name, message: 'appears more than once' }],
      });
    }
    if (value.includes('\u0000') || !value.isWellFormed()) {
      throw new StoreError('invalid_request', `The query's ${JSON.stringify(name)} is not text that can be stored.`, {
        errors: [{ field: name.slice(0, 100).toWellFormed(), message: 'contains U+0000, or is not valid Unicode' }],
      });
    }
    query[name] = value;
  }
  return query;
}
