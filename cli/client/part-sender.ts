import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PartRequest } from '../../src/api/types.ts';
import { type Agents, problemOf } from './http.ts';
import { type FoundFile, fileChanged, fileError, identityOf, OPEN_FLAGS, sameIdentity } from './local-file.ts';

export interface SendOptions {
  agents: Agents;
  signal: AbortSignal;
  /** Told of bytes as they leave. */
  sent: (bytes: number) => void;
}

/** Up to here a body goes out in one piece; above, it is streamed. */
const WHOLE_MAX = 512 * 1024;
const CHUNK = 512 * 1024;
/** A connection on which nothing moves for so long is given up. */
const IDLE_MS = 120_000;

/**
 * PUTs one part to its signed URL, straight from the file. What is opened is compared with what was hashed, so that a
 * file that was replaced meanwhile is noticed here, and named.
 * @throws CliError file_changed, file_unreadable; ApiError for an error status; connection errors as they are
 */
export async function sendPart(part: PartRequest, file: FoundFile, options: SendOptions): Promise<void> {
  const handle = await open(file.absolute, OPEN_FLAGS).catch((error: unknown) => {
    throw fileError(file.path, error);
  });
  try {
    const stats = await handle.stat({ bigint: true });
    if (!sameIdentity(identityOf(stats), file.identity)) throw fileChanged(file.path);
    const response = await put(part, bodyOf(handle, part, file, options.sent), options);
    if (response.status >= 300) throw problemOf(response.status, response.body, `Part ${part.number} of ${file.path}`);
  } finally {
    await handle.close();
  }
}

async function* bodyOf(
  handle: FileHandle,
  { offset, size }: PartRequest,
  file: FoundFile,
  sent: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  const step = size <= WHOLE_MAX ? size : CHUNK;
  for (let done = 0; done < size; ) {
    const wanted = Math.min(step, size - done);
    // A buffer of its own for each piece: the socket keeps it until it is sent.
    const buffer = Buffer.allocUnsafe(wanted);
    const { bytesRead } = await handle.read(buffer, 0, wanted, offset + done).catch((error: unknown) => {
      throw fileError(file.path, error);
    });
    if (bytesRead === 0) throw fileChanged(file.path, 'became shorter');
    done += bytesRead;
    yield buffer.subarray(0, bytesRead);
    sent(bytesRead);
  }
}

async function put(
  { url, method, headers, size }: PartRequest,
  body: AsyncGenerator<Buffer>,
  { agents, signal }: SendOptions,
): Promise<{ status: number; body: string }> {
  const secure = url.startsWith('https:');
  const request = (secure ? httpsRequest : httpRequest)(url, {
    method,
    headers: { 'content-length': String(size), ...headers },
    agent: secure ? agents.https : agents.http,
    signal,
    timeout: IDLE_MS,
  });
  request.on('timeout', () => request.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })));
  // Whichever fails first ends both; the other one's failure is its echo.
  request.on('error', () => {});
  let early: IncomingMessage | undefined;
  const answered = once(request, 'response').then(([response]) => {
    early = response as IncomingMessage;
    return early;
  });
  answered.catch(() => {});
  const sending = pipeline(Readable.from(body, { objectMode: false, highWaterMark: CHUNK }), request);
  sending.catch(() => {});
  try {
    return await readAnswer(await Promise.race([answered, sending.then(() => answered)]));
  } catch (error) {
    // An error status may arrive, and the connection end, while the body is still being sent: the answer says more.
    if (early && !early.readableAborted) return readAnswer(early);
    throw error;
  }
}

async function readAnswer(response: IncomingMessage): Promise<{ status: number; body: string }> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return { status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() };
}
