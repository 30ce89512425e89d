import { isUtf8 } from 'node:buffer';
import type { Context } from 'koa';
import { koaBody } from 'koa-body';
import type { z } from 'zod';
import { StoreError } from '../core/errors.ts';

/**
 * Reads a JSON body whole, byte by byte as it came: the usual decoder would turn invalid UTF-8 into U+FFFD silently, and
 * a path or metadata would be kept that nobody sent.
 */
export function jsonReader(maxBytes: number): (ctx: Context) => Promise<unknown> {
  const read = koaBody({
    json: false,
    urlencoded: false,
    multipart: false,
    text: true,
    textTypes: ['application/json', 'application/*+json'],
    // Latin-1: one character for each byte.
    encoding: 'binary',
    textLimit: maxBytes,
    parsedMethods: ['POST', 'PUT', 'DELETE'] as never,
  });
  return async (ctx) => {
    if (!hasBody(ctx)) return undefined;
    if (!ctx.is('application/json', 'application/*+json')) {
      throw new StoreError(
        'unsupported_media_type',
        `Send the body with Content-Type: application/json, not ${ctx.get('content-type') || 'none'}.`,
      );
    }
    refuseEncoding(ctx);
    await read(ctx, async () => {});
    const bytes = Buffer.from(String(ctx.request.body ?? ''), 'latin1');
    if (bytes.length === 0) return undefined;
    if (!isUtf8(bytes)) throw new StoreError('invalid_json', 'The body is not valid UTF-8.');
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch (error) {
      throw new StoreError('invalid_json', `The body is not JSON: ${(error as Error).message}.`);
    }
  };
}

/** Bodies are hashed, measured and kept as they come. @throws StoreError unsupported_media_type */
export function refuseEncoding(ctx: Context): void {
  const encoding = ctx.get('content-encoding');
  if (encoding === '' || encoding.toLowerCase() === 'identity') return;
  throw new StoreError(
    'unsupported_media_type',
    `Send the body without Content-Encoding, not as ${JSON.stringify(encoding)}.`,
  );
}

function hasBody(ctx: Context): boolean {
  return ctx.get('transfer-encoding') !== '' || Number(ctx.get('content-length') || 0) > 0;
}

/** @throws StoreError invalid_request, naming each field */
export function validate(schema: z.ZodType, value: unknown, what: 'body' | 'query'): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.slice(0, 20).map((issue) => ({
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
        errors: [{ field: name, message: 'stands more than once' }],
      });
    }
    if (value.includes('\u0000') || !value.isWellFormed()) {
      throw new StoreError('invalid_request', `The query's ${JSON.stringify(name)} is not text that can be kept.`, {
        errors: [{ field: name.slice(0, 100).toWellFormed(), message: 'holds U+0000, or is not valid Unicode' }],
      });
    }
    query[name] = value;
  }
  return query;
}
