import { open } from 'node:fs/promises';
import { type Agent, type ClientRequest, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTransient, S3AnswerError } from './s3-errors.ts';

/** A request as it goes out; the length of the body is among the headers. */
export interface OutgoingRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Bytes of a file. */
export interface FileRange {
  file: string;
  offset: number;
  size: number;
}

export interface SendOptions {
  /** A piece of a stream is valid until the next one is requested; none is requested before the connection is open. */
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  agent: Agent;
  /** A connection on which nothing moves for so long is given up. */
  idleMs?: number;
  /** Gives it up at once. */
  signal?: AbortSignal;
}

/** Error documents and the probe's objects are small. */
const ANSWER_MAX = 1024 ** 2;

/** Sends one request by plain node:http, once. @throws Error of the connection, when no answer came; what the body throws */
export async function send(request: OutgoingRequest, options: SendOptions): Promise<Answer> {
  const { body, agent, idleMs = 60_000, signal } = options;
  const secure = request.url.startsWith('https:');
  const { method, headers } = request;
  const outgoing = (secure ? httpsRequest : httpRequest)(request.url, {
    method,
    headers,
    agent,
    ...(signal && { signal }),
  });
  outgoing.setTimeout(idleMs, () => {
    outgoing.destroy(Object.assign(new Error(`nothing moved for ${idleMs} ms`), { code: 'ETIMEDOUT' }));
  });
  const answered = answerTo(outgoing);
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return answered;
  }
  // The failure of the body is the reason why there is no answer.
  const [answer, sent] = await Promise.allSettled([answered, writeAll(outgoing, body, secure)]);
  if (sent.status === 'rejected') throw sent.reason;
  if (answer.status === 'rejected') throw answer.reason;
  return answer.value;
}

function answerTo(outgoing: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let answering = false;
    outgoing.on('response', (response) => {
      answering = true;
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= ANSWER_MAX) chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        // An answer before the end of the body: the rest need not be sent.
        if (!outgoing.writableFinished) outgoing.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    // Storage may answer and close before it has taken the whole body: then the answer counts.
    outgoing.on('error', (error) => {
      if (!answering) reject(error);
    });
  });
}

/**
 * Writes the body, a piece at a time: each is in the kernel before the next one is asked for, so that its memory can be
 * used again. A body that fails aborts the request: storage must not take a part of it for the whole.
 */
async function writeAll(outgoing: ClientRequest, body: AsyncIterable<Uint8Array>, secure: boolean): Promise<void> {
  let over = false;
  let wake = (): void => {};
  outgoing.once('close', () => {
    over = true;
    wake();
  });
  await new Promise<void>((resolve) => {
    wake = resolve;
    outgoing.once('socket', (socket) => {
      if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', resolve);
      else resolve();
    });
  });
  try {
    if (over) return;
    for await (const piece of body) {
      if (over) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        outgoing.write(piece, () => resolve());
      });
    }
    outgoing.end();
  } catch (error) {
    outgoing.destroy(error as Error);
    throw error;
  }
}

/** Of a file that is sent, at a time. */
const READ = 256 * 1024;

/** The bytes of a range, all in one buffer that is used again and again: a new one each time would be garbage. */
async function* piecesOf({ file, offset, size }: FileRange): AsyncGenerator<Uint8Array> {
  const handle = await open(file);
  try {
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ, size));
    for (let done = 0; done < size; ) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - done), offset + done);
      if (bytesRead === 0) throw new Error(`${file} ends ${size - done} bytes early`);
      yield buffer.subarray(0, bytesRead);
      done += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

const ATTEMPTS = 4;

/**
 * Sends bytes of a file with a signed request that may be repeated, until it is taken.
 * @param sign gives a fresh request for every attempt
 * @throws S3AnswerError when storage refuses it, Error of the connection
 */
export async function sendFile(sign: () => Promise<OutgoingRequest>, body: FileRange, agent: Agent): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return taken(await send(await sign(), { body: piecesOf(body), agent }));
    } catch (error) {
      if (attempt === ATTEMPTS || !isTransient(error)) throw error;
      await pause(attempt);
    }
  }
}

/**
 * Sends bytes as they arrive, once: they cannot be read again. The request is retried only until the first of them is
 * requested.
 * @param lone gives an agent for one request: a kept connection may be closed by the gateway just now, and that would end it
 * for nothing
 * @throws S3AnswerError when storage refuses it, Error of the connection, what the body throws
 */
export async function sendStream(
  sign: () => Promise<OutgoingRequest>,
  body: AsyncIterable<Uint8Array>,
  lone: (url: string) => Agent,
): Promise<Answer> {
  let begun = false;
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    begun = true;
    yield* body;
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const request = await sign();
      return taken(await send(request, { body: watched(), agent: lone(request.url) }));
    } catch (error) {
      if (begun || attempt === ATTEMPTS || !isTransient(error)) throw error;
      await pause(attempt);
    }
  }
}

function taken(answer: Answer): Answer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new S3AnswerError(answer.status, answer.body.toString());
}

function pause(attempt: number): Promise<void> {
  return sleep(100 * 2 ** attempt * (0.5 + Math.random()));
}
