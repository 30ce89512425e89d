import { randomUUID } from 'node:crypto';
import type { Context, Next } from 'koa';
import type { Log } from '../usecases/services.ts';
import type { Metrics } from './metrics.ts';

/** Operations whose answers are bytes of evidence. */
const SENDS = ['getFile', 'getManifest', 'getArchive', 'getObject', 'getEvidence'];

/** Gives each request its id, and logs and measures it when it is over. */
export function requestLog(log: Log, metrics: Metrics) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const started = performance.now();
    metrics.began();
    const { socket } = ctx.req;
    const writtenBefore = socket.bytesWritten;
    const readBefore = socket.bytesRead;
    ctx.state.requestId = randomUUID();
    ctx.set('X-Request-Id', ctx.state.requestId);
    ctx.res.once('close', () => {
      metrics.ended();
      // The connection may stay open after the answer (answer-unread.ts): that time does not count.
      const answeredAt = (ctx.state.answeredAt as number | undefined) ?? performance.now();
      const seconds = (answeredAt - started) / 1_000;
      const operation = (ctx.state.operationId as string | undefined) ?? 'none';
      const fields = {
        request_id: ctx.state.requestId,
        method: ctx.method,
        operation,
        // Without its query: that of a signed URL is a secret.
        path: withoutSecrets(ctx.path),
        status: ctx.status,
        ms: Math.round(seconds * 10_000) / 10,
      };
      metrics.observe(operation, ctx.method, ctx.status, seconds);
      if (operation === 'putPart' || operation === 'putFile')
        metrics.received(receivedOf(ctx, socket.bytesRead - readBefore));
      if (SENDS.includes(operation)) metrics.sent(sentOf(ctx, socket.bytesWritten - writtenBefore));
      if (ctx.status >= 500) log.warn(fields, 'request');
      else log.debug(fields, 'request');
    });
    await next();
  };
}

/** Bytes of the body: what was announced counts as far as it came. @param read from the connection since the request's head */
function receivedOf(ctx: Context, read: number): number {
  const announced = Number(ctx.get('content-length')) || 0;
  return ctx.req.complete ? announced : Math.min(announced, read);
}

/** Addresses for people without a token have a secret in their path. */
function withoutSecrets(path: string): string {
  return path.replace(/^(\/ui\/(?:shared|evidence)\/)[^/]*/, '$1…');
}

/** Bytes of the body. @param written to the connection: what an answer that broke off can have sent at most, its head included */
function sentOf({ res, method, status, length }: Context, written: number): number {
  if (method === 'HEAD' || status >= 300) return 0;
  // Of an archive that is compressed on its way the length is not known.
  const most = length ?? written;
  return res.writableFinished ? most : Math.min(most, written);
}
