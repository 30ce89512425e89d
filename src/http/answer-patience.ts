import type { Socket } from 'node:net';
import type { Context, Next } from 'koa';

/**
 * Ends an answer that the client does not read. While storage or the registry is slow nothing waits for the client, and the
 * answer goes on. @param idleMs how long no byte may be accepted by the client while some are waiting
 */
export function answerPatience(idleMs: number) {
  return async (ctx: Context, next: Next): Promise<void> => {
    ctx.res.on('timeout', (socket: Socket) => {
      if (socket.writableLength > 0) socket.destroy();
      else socket.setTimeout(idleMs);
    });
    await next();
    ctx.req.socket.setTimeout(idleMs);
  };
}
