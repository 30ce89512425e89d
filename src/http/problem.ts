import { STATUS_CODES } from 'node:http';
import type { Context, Next } from 'koa';
import { ERROR_TABLE, type ErrorCode, StoreError } from '../core/errors.ts';
import type { Log } from '../usecases/services.ts';

const DOCS = 'https://artifact-store.invalid/errors#';

/** Answers every error as application/problem+json (RFC 9457). What is not ours is logged and told as `internal`. */
export function problems(log: Log) {
  return async (ctx: Context, next: Next): Promise<void> => {
    try {
      await next();
    } catch (thrown) {
      const error = known(thrown);
      if (error.status >= 500) {
        log.error({ err: thrown, request_id: ctx.state.requestId, code: error.code }, 'request failed');
      }
      if (ctx.headerSent || !ctx.writable) {
        ctx.res.destroy();
        return;
      }
      present(ctx, error);
      // The rest of a body that was refused half way is read away (Node does so only when none of it was read): what the
      // client sends next on this connection stands behind it.
      ctx.res.once('finish', () => ctx.req.resume());
    }
  };
}

function present(ctx: Context, error: StoreError): void {
  const { headers, ...extras } = error.extras as { headers?: Record<string, string> };
  // What a handler said of the bytes that it meant to serve is not true of the problem.
  for (const name of ['ETag', 'Repr-Digest', 'Accept-Ranges', 'Cache-Control', 'Content-Disposition']) ctx.remove(name);
  ctx.status = error.status;
  if (headers) ctx.set(headers);
  if (error.status === 401) ctx.set('WWW-Authenticate', 'Bearer');
  if (error.status === 503) ctx.set('Retry-After', '2');
  ctx.body = JSON.stringify({
    type: `${DOCS}${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    request_id: ctx.state.requestId,
    ...extras,
  });
  ctx.type = 'application/problem+json';
}

function known(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const status = (thrown as { status?: unknown }).status;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (status === 413) return new StoreError('body_too_large', 'The JSON body is too large: see GET /v1/limits.');
  if (status === 400 && /abort|size did not match/i.test(message)) {
    return new StoreError('body_length_mismatch', 'The connection ended before the body did.');
  }
  if (status === 415) return new StoreError('unsupported_media_type', 'Send the body as plain application/json.');
  if ((thrown as { code?: unknown }).code === 'ECONNRESET') {
    return new StoreError('body_length_mismatch', 'The connection ended before the body did.');
  }
  return new StoreError(
    'internal',
    'The service failed; its log names the cause under this request_id.',
    {},
    { cause: thrown },
  );
}

/** For docs and /openapi.json: the codes by status. */
export function codesOf(status: number): ErrorCode[] {
  return (Object.keys(ERROR_TABLE) as ErrorCode[]).filter((code) => ERROR_TABLE[code].status === status);
}

export function statusText(status: number): string {
  return STATUS_CODES[status] ?? String(status);
}
