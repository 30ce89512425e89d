import type { Context } from 'koa';
import { StoreError } from '../core/errors.ts';
import type { Bounds } from '../http/bounds.ts';
import { readBody } from '../http/read-body.ts';

/** Bytes: of a token as long as a cookie may be, and where to go. */
const FORM_MAX = 16 * 1024;

/** By GET, whatever the method was (RFC 9110, 15.4.4). */
export function leadTo(ctx: Context, place: string): undefined {
  ctx.status = 303;
  ctx.set('Location', place);
  ctx.body = '';
  return undefined;
}

/** @throws StoreError unsupported_media_type, body_too_large, request_timeout */
export async function readForm(ctx: Context, { bodyRate, jsonPatienceMs }: Bounds): Promise<URLSearchParams> {
  if (ctx.is('application/x-www-form-urlencoded') === false) {
    throw new StoreError('unsupported_media_type', 'Send the form as application/x-www-form-urlencoded.');
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of readBody(ctx, { bytesPerSecond: bodyRate, patienceMs: jsonPatienceMs })) {
    size += chunk.length;
    if (size > FORM_MAX) throw new StoreError('body_too_large', `The form has more than ${FORM_MAX} bytes.`);
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
