import { createReadStream, type ReadStream } from 'node:fs';
import { type Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
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
  body?: Uint8Array | FileRange;
  agent?: Agent | false;
  /** A connection on which nothing moves for so long is given up. */
  idleMs?: number;
}

/** Error documents and the probe's objects are small. */
const ANSWER_MAX = 1024 ** 2;

/** Sends one request by plain node:http, once. @throws Error of the connection, when no answer came */
export function send(request: OutgoingRequest, options: SendOptions = {}): Promise<Answer> {
  const { body, agent = false, idleMs = 60_000 } = options;
  const open = request.url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise<Answer>((resolve, reject) => {
    const { method, headers } = request;
    const bytes = body instanceof Uint8Array ? body : undefined;
    const source = body === undefined || body instanceof Uint8Array ? null : openRange(body);
    const outgoing = open(request.url, { method, headers, agent });
    outgoing.setTimeout(idleMs, () => {
      outgoing.destroy(Object.assign(new Error(`nothing moved for ${idleMs} ms`), { code: 'ETIMEDOUT' }));
    });
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
        source?.destroy();
        if (!outgoing.writableFinished) outgoing.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    // Storage may answer and close before it has taken the whole body: then the answer counts.
    outgoing.on('error', (error) => {
      source?.destroy();
      if (!answering) reject(error);
    });
    if (source === null) outgoing.end(bytes);
    else source.on('error', (error) => outgoing.destroy(error)).pipe(outgoing);
  });
}

/** Null: nothing of it. */
function openRange({ file, offset, size }: FileRange): ReadStream | null {
  if (size === 0) return null;
  return createReadStream(file, { start: offset, end: offset + size - 1 });
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
      const answer = await send(await sign(), { body, agent });
      if (answer.status >= 200 && answer.status < 300) return answer;
      throw new S3AnswerError(answer.status, answer.body.toString());
    } catch (error) {
      if (attempt === ATTEMPTS || !isTransient(error)) throw error;
      await sleep(100 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}
