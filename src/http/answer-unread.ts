import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Context, Next } from 'koa';
import type { Bounds } from './bounds.ts';

type Linger = Pick<Bounds, 'lingerMs' | 'lingerBytes'>;

/**
 * Closes the connection after an answer to a request whose body was not read to its end. The rest of the body is not read,
 * except for a few bytes during a short time: closing at once would reset the connection before the client has seen the
 * answer.
 */
export function answerUnread(linger: Linger) {
  return async (ctx: Context, next: Next): Promise<void> => {
    await next();
    // A body in the same packet as its headers is parsed right after them.
    if (!ctx.req.complete) await nextTurn();
    if (ctx.req.complete || ctx.headerSent || !ctx.writable) return;
    ctx.set('Connection', 'close');
    if (ctx.body instanceof Readable) return;
    ctx.respond = false;
    ctx.state.answeredAt = performance.now();
    const text = textOf(ctx.body);
    if (text !== '') ctx.length = Buffer.byteLength(text);
    ctx.res.flushHeaders();
    if (text !== '' && ctx.method !== 'HEAD') ctx.res.write(text);
    await pass(ctx.req, linger);
    ctx.res.end();
  };
}

/** As Koa would send it. */
function textOf(body: unknown): string {
  if (body === null || body === undefined) return '';
  return typeof body === 'string' ? body : JSON.stringify(body);
}

/** Waits until the body ends, the client goes away, or the time is over. */
async function pass(req: IncomingMessage, { lingerMs, lingerBytes }: Linger): Promise<void> {
  const { socket } = req;
  if (socket.destroyed) return;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, lingerMs);
  let left = lingerBytes;
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left <= 0) req.pause();
  });
  req.once('end', over.resolve);
  socket.once('close', over.resolve);
  await over.promise;
  clearTimeout(timer);
}
