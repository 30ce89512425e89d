import { STATUS_CODES } from 'node:http';
import type { Context, Next } from 'koa';
import { ERROR_TABLE, type ErrorCode, StoreError } from '../core/errors.ts';
import type { Log } from '../usecases/services.ts';

const OF_BYTES = ['ETag', 'Repr-Digest', 'Accept-Ranges', 'Content-Range', 'Cache-Control', 'Content-Disposition'];

/**
 * What the `type` of every problem begins with; the code follows. RFC 9457 (3.1.1) wants an address that opens, absolute where possible, else
 * with its full path. What the service calls itself by is the proxy's address only where that is configured: else clients resolve
 * `/docs/errors#…` against the address that they asked.
 * @param publicUrl as configured
 */
export function errorPages(publicUrl: string | null): string {
  return `${publicUrl ?? ''}/docs/errors#`;
}

/** Answers an error in another form. @returns whether it did */
export type PresentProblem = (ctx: Context, error: StoreError) => boolean;

export interface ProblemOptions {
  /** As errorPages gives it. */
  documented: string;
  /** For people, where the address is one of theirs. */
  asPage: PresentProblem;
}

/** Answers every error as application/problem+json (RFC 9457), or as a page. What is not ours is logged and told as `internal`. */
export function problems(log: Log, options: ProblemOptions) {
  return async (ctx: Context, next: Next): Promise<void> => {
    try {
      await next();
    } catch (thrown) {
      const error = known(thrown);
      // A quota that is used up is no failure of the service.
      if (error.status >= 500 && error.code !== 'quota_exceeded') {
        log.error({ err: thrown, request_id: ctx.state.requestId, code: error.code }, 'request failed');
      }
      if (ctx.headerSent) {
        ctx.res.destroy();
        return;
      }
      // Also when nobody reads it: the log shows the status.
      present(ctx, error, options);
      if (!ctx.writable) ctx.res.destroy();
    }
  };
}

function present(ctx: Context, error: StoreError, { documented, asPage }: ProblemOptions): void {
  // Headers that a handler set for the bytes that it meant to serve do not apply to the problem.
  for (const name of OF_BYTES) ctx.remove(name);
  ctx.status = error.status;
  const { headers } = error.extras as { headers?: Record<string, string> };
  if (headers) ctx.set(headers);
  if (error.status === 401) ctx.set('WWW-Authenticate', 'Bearer');
  if (error.status === 503) ctx.set('Retry-After', '2');
  if (asPage(ctx, error)) return;
  ctx.body = JSON.stringify(problemDocument(error, ctx.state.requestId, documented));
  ctx.type = 'application/problem+json';
}

export function problemDocument(error: StoreError, requestId: string, pages: string): Record<string, unknown> {
  const { headers: _, ...extras } = error.extras;
  return {
    type: `${pages}${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...extras,
  };
}

function known(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
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

/** Every status that a problem can have, ascending. */
export function errorStatuses(): number[] {
  return [...new Set(Object.values(ERROR_TABLE).map(({ status }) => status))].toSorted((a, b) => a - b);
}

export function statusText(status: number): string {
  return STATUS_CODES[status] ?? String(status);
}
