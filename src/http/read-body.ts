import type { IncomingMessage } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Context } from 'koa';
import { StoreError } from '../core/errors.ts';
import type { Bounds } from './bounds.ts';
import { Pace, type PaceRule } from './pace.ts';

/** The clock is looked at when patience may have run out, but not more often than this. */
const SHORTEST_LOOK_MS = 50;
/** Bytes. */
const SMALL_CHUNK = 1_024;

/**
 * The request's body, as it arrives. The first read sends 100 Continue to a client that waits for it, so the body of a
 * request that was refused before is never sent. answer-unread.ts handles what is left unread.
 * @throws StoreError request_timeout (it arrives too slowly), body_length_mismatch (it broke off)
 */
export async function* readBody({ req, res }: Context, rule: PaceRule): AsyncGenerator<Buffer> {
  if (isAwaitingContinue(req)) res.writeContinue();
  const pace = new Pace(rule);
  const chunks = req.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  let giveUp: (error: StoreError) => void = () => {};
  const isOver = (): boolean => pace.isWaiting && pace.patienceLeftMs() <= 0;
  const look = (): void => {
    timer = setTimeout(look, Math.max(pace.patienceLeftMs(), SHORTEST_LOOK_MS));
    // First take what arrived while this process was stopped or busy.
    if (isOver()) setImmediate(() => isOver() && giveUp(tooSlow(rule)));
  };
  let timer = setTimeout(look, rule.patienceMs);
  try {
    while (true) {
      pace.wait();
      const { value, done } = await new Promise<IteratorResult<Buffer>>((resolve, reject) => {
        giveUp = reject;
        chunks.next().then(resolve, (cause) => reject(brokenOff(cause)));
      });
      if (done) return;
      pace.take(value.length);
      yield value;
      // A packet can hold ten thousand one-byte chunks. After this turn the rest of it is read in one piece.
      if (value.length < SMALL_CHUNK) await nextTurn();
    }
  } finally {
    clearTimeout(timer);
    // A pending read would keep this from settling.
    chunks.return?.().catch(() => {});
  }
}

/** A body of bytes, which goes to storage as it arrives. */
export function readBytes(ctx: Context, { bodyRate, bytesPatienceMs }: Bounds): AsyncGenerator<Buffer> {
  return readBody(ctx, { bytesPerSecond: bodyRate, patienceMs: bytesPatienceMs });
}

function isAwaitingContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion !== '1.0' && /^100-continue$/i.test(headers.expect ?? '');
}

function tooSlow({ bytesPerSecond, patienceMs }: PaceRule): StoreError {
  return new StoreError(
    'request_timeout',
    `The body arrived at less than ${bytesPerSecond} bytes a second for ${Math.round(patienceMs / 1_000)} seconds: send it again, faster.`,
  );
}

export function brokenOff(cause: unknown): StoreError {
  return new StoreError('body_length_mismatch', 'The connection ended before the body did.', {}, { cause });
}
