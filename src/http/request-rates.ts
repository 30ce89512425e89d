import type { Context } from 'koa';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { StoreError } from '../core/errors.ts';
import { clientNetwork } from '../core/ip-address.ts';
import type { Bounds } from './bounds.ts';

/** A window that is used up is over within so long, s. */
const WINDOW_S = 10;

/**
 * How many requests one caller may send: by its actor, or where there is none by the network it comes from. Counted in this process:
 * replicas count apart.
 */
export interface RequestRates {
  /** Counts a request, and says in the answer what is left. @param actor null: nobody was authenticated @throws StoreError too_many_requests */
  take(ctx: Context, actor: string | null): Promise<void>;
}

export function requestRates({ callerRequests, addressRequests }: Bounds): RequestRates {
  const callers = policy('caller', callerRequests);
  const addresses = policy('address', addressRequests);
  return {
    take: (ctx, actor) =>
      actor === null ? addresses(ctx, clientNetwork(ctx.req.socket.remoteAddress ?? '')) : callers(ctx, actor),
  };
}

/** @param perSecond on average over a window, all of which may come at once */
function policy(name: string, perSecond: number): (ctx: Context, key: string) => Promise<void> {
  const points = perSecond * WINDOW_S;
  const limiter = new RateLimiterMemory({ points, duration: WINDOW_S });
  return async (ctx, key) => {
    const left = await limiter.consume(key).catch((refused: unknown) => {
      if (refused instanceof RateLimiterRes) return refused;
      throw refused;
    });
    const again = Math.max(1, Math.ceil(left.msBeforeNext / 1_000));
    // RateLimit header fields for HTTP (draft-ietf-httpapi-ratelimit-headers, -08 and later).
    ctx.set('RateLimit-Policy', `"${name}";q=${points};w=${WINDOW_S}`);
    ctx.set('RateLimit', `"${name}";r=${left.remainingPoints};t=${again}`);
    if (left.consumedPoints <= points) return;
    throw new StoreError(
      'too_many_requests',
      `This ${name} may send ${points} requests in ${WINDOW_S} seconds: go on in ${again} seconds.`,
      {
        limit: `${name}_requests_per_second`,
        allowed: points,
        window: WINDOW_S,
        retry_after: again,
        headers: { 'Retry-After': String(again) },
      },
    );
  };
}
