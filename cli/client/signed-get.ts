import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, CliError, EXIT } from '../errors.ts';
import { type Agents, problemOf } from './http.ts';
import { connectionFailure, retryDelay } from './retry.ts';

/** A signed GET, and how many bytes it answers. */
export interface Source {
  url: string;
  headers: Record<string, string>;
  size: number;
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

/** An answer that ended before its time. */
class ShortAnswer extends Error {}

/** Attempts in a row that bring no byte. */
const TRIES = 8;
/** Of answers that end well and too early. */
const SHORT_TRIES = 3;
/** A connection on which nothing moves for so long is given up. */
const IDLE_MS = 120_000;

/**
 * `size` bytes of the source from `offset`, each once and in order: a lost connection is taken up where it broke, and
 * 429 and 5xx are tried again with growing pauses. Nothing is hashed here.
 * @throws SourceRefused (403, 404), SourceDamaged; ApiError for other statuses; CliError unreachable
 */
export async function* readSource(
  source: Source,
  offset: number,
  size: number,
  { agents, signal }: { agents: Agents; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  let done = 0;
  for (let attempt = 1; done < size; attempt += 1) {
    const before = done;
    try {
      for await (const chunk of fetchFrom(source, offset + done, size - done, agents, signal)) {
        done += chunk.length;
        yield chunk;
      }
    } catch (error) {
      signal.throwIfAborted();
      // Whoever gets on may try for ever; who does not, only so often.
      if (done > before) attempt = 1;
      if (!mayPass(error)) throw error;
      if (error instanceof ShortAnswer && attempt >= SHORT_TRIES) throw new SourceDamaged(error.message);
      if (attempt >= TRIES) throw describe(source, error);
      await sleep(retryDelay(attempt, Math.random()), undefined, { signal });
    }
  }
}

function mayPass(error: unknown): boolean {
  if (error instanceof ApiError)
    return error.code !== 'integrity_failure' && (error.status === 429 || error.status >= 500);
  return error instanceof ShortAnswer || connectionFailure(error) !== null;
}

function describe({ url }: Source, error: unknown): unknown {
  if (connectionFailure(error) === null) return error;
  const { origin } = new URL(url);
  return new CliError(`Cannot reach the storage at ${origin} (${(error as NodeJS.ErrnoException).code}).`, {
    exit: EXIT.unreachable,
    code: 'unreachable',
    next: 'Run the same command again when it answers: what is complete is not read again.',
    extras: { url: origin },
    cause: error,
  });
}

async function* fetchFrom(
  source: Source,
  offset: number,
  size: number,
  agents: Agents,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const ask = askFor(source, offset, size);
  const response = await get(source.url, ask.headers, agents, signal);
  try {
    const status = response.statusCode ?? 0;
    if (status >= 300) throw refusalOf(source, status, await textOf(response));
    let skip = status === 206 ? ask.skip : ask.skipOfAll;
    let left = size;
    for await (const piece of response as AsyncIterable<Buffer>) {
      const chunk = skip === 0 ? piece : piece.subarray(Math.min(skip, piece.length));
      skip -= piece.length - chunk.length;
      if (chunk.length === 0) continue;
      yield chunk.length > left ? chunk.subarray(0, left) : chunk;
      left -= Math.min(left, chunk.length);
      // What follows is nobody's; an answer that ends here is read to its end, so that its connection can be used again.
      if (left === 0 && ask.goesOn) return;
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

/** A signature may bind a Range of its own: then no other can be asked for, and what comes before is skipped. */
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

function refusalOf(source: Source, status: number, body: string): Error {
  const problem = problemOf(status, body, new URL(source.url).pathname);
  if (status === 416) return new SourceDamaged(`storage has fewer than ${source.size} bytes of it`);
  if (problem.code === 'integrity_failure') return new SourceDamaged(problem.message);
  return status === 403 || status === 404 || status === 410 ? new SourceRefused(problem) : problem;
}

async function get(
  url: string,
  headers: Record<string, string>,
  agents: Agents,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const secure = url.startsWith('https:');
  const agent = secure ? agents.https : agents.http;
  const request = (secure ? httpsRequest : httpRequest)(url, { headers, agent, signal, timeout: IDLE_MS });
  request.on('timeout', () => request.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })));
  request.on('error', () => {});
  const answered = once(request, 'response');
  request.end();
  const [response] = (await answered) as [IncomingMessage];
  return response;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}
