import type { Socket } from 'node:net';
import type { Context, Next } from 'koa';

/**
 * Ends an answer of which the client takes nothing for so long. While nothing waits for the client, because storage or the
 * registry is slow, it goes on. @param idleMs each byte that the client takes gives it this time anew
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
