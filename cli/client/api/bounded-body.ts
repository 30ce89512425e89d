import type { Readable } from 'node:stream';
import { formatBytes } from '../../format.ts';

/** How slowly a body may come. */
export interface Pace {
  /** Nothing for so long is too slow. */
  idleMs: number;
  /** So long it may take whatever its rate. */
  graceMs: number;
  /** What it must come up to after that, in all. */
  bytesPerSecond: number;
}

const PACE: Pace = { idleMs: 60_000, graceMs: 60_000, bytesPerSecond: 4_096 };

/** Of the answers of storage to a part, and of answers with an error status. */
export const SHORT_BODY = 64 * 1024;

/** Milliseconds that never go back. `performance.now` would load `node:perf_hooks` for every command. */
const clock = (): number => process.uptime() * 1_000;

/** The body as it comes; breaking it off ends its connection. @throws Error ETIMEDOUT when it comes too slowly */
export async function* paced(body: Readable, pace: Pace = PACE): AsyncGenerator<Buffer> {
  const { idleMs, graceMs, bytesPerSecond } = pace;
  const began = clock();
  let received = 0;
  const timer = setTimeout(() => body.destroy(tooSlow(received)), idleMs);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      received += chunk.length;
      timer.refresh();
      if (clock() - began > graceMs + (received / bytesPerSecond) * 1_000) throw tooSlow(received);
      yield chunk;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** A body longer than it may be; what came of it is thrown away. */
export class BodyTooLong extends Error {
  constructor(max: number) {
    super(`longer than ${formatBytes(max)}`);
  }
}

/** The body as it comes. @throws BodyTooLong */
export async function* upTo(body: AsyncIterable<Buffer>, max: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > max) throw new BodyTooLong(max);
    yield piece;
  }
}

/** All of a body. @throws BodyTooLong */
export async function wholeBody(body: AsyncIterable<Buffer>, max: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of upTo(body, max)) pieces.push(piece);
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

/** What a body begins with, as text: of a longer one the rest is never read. */
export async function bodyStart(body: AsyncIterable<Buffer>, max: number = SHORT_BODY): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    pieces.push(piece);
    size += piece.length;
    if (size >= max) break;
  }
  return Buffer.concat(pieces, Math.min(size, max)).toString();
}

function tooSlow(received: number): Error {
  return Object.assign(new Error(`the answer arrived too slowly: ${received} bytes of it`), { code: 'ETIMEDOUT' });
}
