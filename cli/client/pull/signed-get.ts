import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrameDecoder } from '../../../src/core/frame-decoder.ts';
import type { FrameTable } from '../../../src/core/frame-table.ts';
import { FrameError } from '../../../src/core/zstd-frame.ts';
import { ApiError } from '../../errors.ts';
import { bodyStart, paced } from '../api/bounded-body.ts';
import { openRequest, type Pool } from '../api/connections.ts';
import { isOfConnection, mayPass } from '../api/failure-rules.ts';
import { noConnection } from '../api/no-connection.ts';
import { problemOf } from '../api/problem.ts';
import { type RetryNotes, retryDelay } from '../api/retry.ts';

/** A signed GET, and how many bytes it answers. */
export interface Source {
  url: string;
  headers: Record<string, string>;
  size: number;
  /** How the answer stands for its content; null: it is the content. */
  frames: FrameTable | null;
}

/** Bytes of what the source holds, whatever form it is stored in. */
export function contentSize({ size, frames }: Source): number {
  return frames === null ? size : frames.logicalSize;
}

/** The URL is no longer good for these bytes: ask for another one. */
export class SourceRefused extends Error {
  readonly problem: ApiError;

  constructor(problem: ApiError) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Storage has fewer bytes than it should: asking again gives no more of them. */
export class SourceDamaged extends Error {}

/** One frame of it has other bytes: the others may be well. */
export class FrameDamaged extends SourceDamaged {}

/** An answer that ended before its time. */
class ShortAnswer extends Error {}

/** Bytes that are read and thrown away: of a pack before a range, or where storage knows no ranges. */
const SKIP_MAX = 1024 ** 3;
/** Attempts in a row that bring no byte. */
const TRIES = 8;
/** Of answers that end well and too early. */
const SHORT_TRIES = 3;

/** How bytes are read. */
export interface Reading {
  pool: Pool;
  notes: RetryNotes;
  signal: AbortSignal;
}

/**
 * `size` bytes of the source's content from `offset`, each once and in order; what is stored in frames is decompressed. Nothing
 * is hashed here. @throws as `readAnswer` does
 */
export async function* readSource(
  source: Source,
  offset: number,
  size: number,
  reading: Reading,
): AsyncGenerator<Buffer> {
  const { frames } = source;
  if (frames === null || size === 0) {
    yield* readAnswer(source, offset, size, reading);
    return;
  }
  const { first, last, storedAt, stored } = frames.covering({ offset, size });
  try {
    const answer = readAnswer(source, storedAt, stored, reading);
    yield* FrameDecoder.frames(frames, first, last).range(answer, { offset, size });
  } catch (error) {
    throw error instanceof FrameError ? new FrameDamaged(`its object ${error.message}`) : error;
  }
}

/**
 * `size` bytes of the source's answer from `offset`, each once and in order: a lost connection is taken up where it broke, and
 * 429 and 5xx are tried again with growing pauses. Nothing is hashed here.
 * @throws SourceRefused (403, 404), SourceDamaged; ApiError for other statuses; CliError unreachable
 */
async function* readAnswer(source: Source, offset: number, size: number, reading: Reading): AsyncGenerator<Buffer> {
  const { pool, notes, signal } = reading;
  const whom = `The storage at ${new URL(source.url).origin}`;
  let done = 0;
  for (let attempt = 1; done < size; attempt += 1) {
    const before = done;
    try {
      for await (const chunk of fetchFrom(source, offset + done, size - done, reading)) {
        done += chunk.length;
        yield chunk;
      }
    } catch (error) {
      signal.throwIfAborted();
      // Retries are unlimited while each attempt makes progress.
      if (done > before) attempt = 1;
      const known = pool.connections.hasAnswered(source.url);
      const again = error instanceof ShortAnswer || mayPass(error, { who: 'storage', known });
      if (error instanceof ShortAnswer && attempt >= SHORT_TRIES) throw new SourceDamaged(error.message);
      if (!again || attempt >= TRIES) throw describe(source, error, pool);
      if (attempt === 1 && done === before) notes.retrying(whom, error, TRIES - 1);
      await sleep(retryDelay(attempt, Math.random()), undefined, { signal });
    }
  }
}

function describe({ url }: Source, error: unknown, { connections }: Pool): unknown {
  if (!isOfConnection(error)) return error;
  const next = 'Run the same command again when it answers: what is complete is not read again.';
  return noConnection({ who: 'storage', url, proxy: connections.proxyOf(url), next }, error);
}

async function* fetchFrom(
  source: Source,
  offset: number,
  size: number,
  { pool, signal }: Reading,
): AsyncGenerator<Buffer> {
  const ask = askFor(source, offset, size);
  const response = await get(source.url, ask.headers, pool, signal);
  try {
    const status = response.statusCode ?? 0;
    const retryAfter = response.headers['retry-after'];
    if (status >= 300) throw refusalOf(source, status, await bodyStart(paced(response)), retryAfter);
    let skip = status === 206 ? ask.skip : ask.skipOfAll;
    if (skip > SKIP_MAX) throw new SourceDamaged('storage returns the whole object although a range was requested');
    let left = size;
    for await (const piece of response as AsyncIterable<Buffer>) {
      const chunk = skip === 0 ? piece : piece.subarray(Math.min(skip, piece.length));
      skip -= piece.length - chunk.length;
      if (chunk.length === 0) continue;
      yield chunk.length > left ? chunk.subarray(0, left) : chunk;
      left -= Math.min(left, chunk.length);
      // What follows is nobody's, and may have no end; only of an answer that has come whole the end is taken, so that its
      // connection can be used again.
      if (left === 0 && (ask.goesOn || !response.complete)) return;
    }
    if (left > 0) throw new ShortAnswer(`the answer ended ${left} bytes early`);
  } finally {
    if (!response.readableEnded) response.destroy();
  }
}

interface Ask {
  headers: Record<string, string>;
  /** Bytes of a 206 before those that are wanted. */
  skip: number;
  /** Bytes of a 200 before them: a server that knows no ranges sends everything. */
  skipOfAll: number;
  /** Does the answer hold more than what is wanted? */
  goesOn: boolean;
}

/**
 * A signature can include a Range: then no other range can be requested, and the bytes before the wanted ones are
 * skipped.
 */
function askFor({ headers, size: all }: Source, offset: number, size: number): Ask {
  const bound = Object.entries(headers).find(([name]) => name.toLowerCase() === 'range')?.[1];
  if (bound !== undefined) {
    const start = Number(/^bytes=(\d+)-/.exec(bound)?.[1] ?? 0);
    return { headers, skip: offset, skipOfAll: start + offset, goesOn: offset + size < all };
  }
  if (offset === 0 && size === all) return { headers, skip: 0, skipOfAll: 0, goesOn: false };
  const range = `bytes=${offset}-${offset + size - 1}`;
  return { headers: { ...headers, range }, skip: 0, skipOfAll: offset, goesOn: false };
}

function refusalOf(source: Source, status: number, body: string, retryAfter: string | undefined): Error {
  const { url } = source;
  const problem = problemOf({ status, body, what: new URL(url).pathname, url, who: 'storage', retryAfter });
  if (!(problem instanceof ApiError)) return problem;
  if (status === 416) return new SourceDamaged(`storage has fewer than ${source.size} bytes of it`);
  if (problem.code === 'integrity_failure') return new SourceDamaged(problem.message);
  return status === 403 || status === 404 || status === 410 ? new SourceRefused(problem) : problem;
}

async function get(
  url: string,
  headers: Record<string, string>,
  pool: Pool,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const request = openRequest({ url, method: 'GET', headers }, pool, signal);
  const answered = once(request, 'response');
  request.end();
  const [response] = (await answered) as [IncomingMessage];
  return response;
}
