import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { PartRequest } from '../../../src/api/types.ts';
import { ApiError } from '../../errors.ts';
import { bodyStart, paced } from '../api/bounded-body.ts';
import { openRequest, type Pool } from '../api/connections.ts';
import { problemOf, type Refusal } from '../api/problem.ts';

/** Where an object's bytes come from. */
export interface ByteSource {
  /** For messages: what the bytes are. */
  label: string;
  /** Pieces of some bytes, in order. A piece need not stay as it is once the second one after it is asked for. */
  pieces(offset: number, size: number): AsyncGenerator<Buffer> | Generator<Buffer>;
}

export interface SendOptions {
  pool: Pool;
  signal: AbortSignal;
  /** Told of bytes as they leave. */
  sent: (bytes: number) => void;
}

/**
 * PUTs one part to its signed URL.
 * @throws ApiError for an error status; what the source throws; connection errors as they are
 */
export async function sendPart(part: PartRequest, source: ByteSource, options: SendOptions): Promise<void> {
  const response = await put(part, source, options);
  if (response.status < 300) return;
  const what = `Part ${part.number} of ${source.label}`;
  const problem = problemOf({ ...response, what, url: part.url, who: 'storage', sent: part.size });
  throw problem instanceof ApiError ? partProblem(problem) : problem;
}

/** RGW says NoSuchKey of a bucket that is gone, too: of a part either name alone leads astray. */
function partProblem(problem: ApiError): ApiError {
  const { code, status, extras } = problem;
  if (extras.storage_code !== 'NoSuchKey' && extras.storage_code !== 'NoSuchBucket') return problem;
  return new ApiError(code, status, `The upload or the bucket is gone: ${problem.detail}`, extras);
}

type PartAnswer = Pick<Refusal, 'status' | 'body' | 'retryAfter'>;

async function put(
  { url, method, headers, offset, size }: PartRequest,
  source: ByteSource,
  { pool, signal, sent }: SendOptions,
): Promise<PartAnswer> {
  // Whichever fails first, of the body and the answer, ends both; the other one's failure is its echo.
  const request = openRequest({ url, method, headers: { 'content-length': String(size), ...headers } }, pool, signal);
  let early: IncomingMessage | undefined;
  const answered = once(request, 'response').then(([response]) => {
    early = response as IncomingMessage;
    return early;
  });
  answered.catch(() => {});
  const sending = writeAll(request, source.pieces(offset, size), sent, answered);
  sending.catch(() => request.destroy());
  try {
    return await readAnswer(await Promise.race([answered, sending.then(() => answered)]));
  } catch (error) {
    // An error status may arrive, and the connection end, while the body is still being sent: the answer says more.
    if (early && !early.readableAborted) return readAnswer(early);
    throw error;
  } finally {
    // Nothing reads from the source's memory any more when this is over.
    if (!request.writableFinished) request.destroy();
  }
}

/** One piece on the wire, and the next one being read. */
async function writeAll(
  request: ClientRequest,
  pieces: AsyncGenerator<Buffer> | Generator<Buffer>,
  sent: (bytes: number) => void,
  answered: Promise<unknown>,
): Promise<void> {
  const failed = answered.then(() => {});
  // The connection may break before the first piece is there, when nobody waits for it yet.
  failed.catch(() => {});
  let writing: Promise<void> = Promise.resolve();
  for await (const piece of pieces) {
    await writing;
    if (request.destroyed) break;
    const written = new Promise<void>((resolve, reject) => {
      request.write(piece, (error) => (error ? reject(error) : resolve()));
    });
    writing = Promise.race([written, failed]).then(() => sent(piece.length));
    writing.catch(() => {});
  }
  await writing;
  request.end();
}

async function readAnswer(response: IncomingMessage): Promise<PartAnswer> {
  const { statusCode: status = 0, headers } = response;
  return { status, body: await bodyStart(paced(response)), retryAfter: headers['retry-after'] };
}
