import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import type { SignedRequest } from '../../src/blobs/blob-store.ts';

export interface SignedAnswer {
  /** 0: the connection broke before an answer came. */
  status: number;
  body: Buffer;
}

export interface SendOptions {
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  method?: string;
  /** Change the request's own. */
  headers?: Record<string, string>;
  /** Go away after the body, however much was declared. */
  breakOff?: boolean;
}

/** Sends a signed request over real HTTP, exactly as given or as the options spoil it. */
export async function sendSigned(request: SignedRequest, options: SendOptions = {}): Promise<SignedAnswer> {
  const { outgoing, answer } = openSigned(request, options);
  const { body = Buffer.alloc(0), breakOff = false } = options;
  if (breakOff) {
    outgoing.write(body instanceof Uint8Array ? body : Buffer.alloc(0), () => outgoing.destroy());
  } else if (body instanceof Uint8Array) {
    outgoing.end(body);
  } else {
    Readable.from(body).pipe(outgoing);
  }
  return answer;
}

/** The request before its body: for tests that send it piece by piece. */
export function openSigned(
  request: SignedRequest,
  { method = request.method, headers = {} }: SendOptions = {},
): { outgoing: ClientRequest; answer: Promise<SignedAnswer> } {
  const open = request.url.startsWith('https:') ? httpsRequest : httpRequest;
  const outgoing = open(request.url, { method, headers: { ...request.headers, ...headers }, agent: false });
  const answer = new Promise<SignedAnswer>((resolve) => {
    let answered = false;
    outgoing.on('response', (response: IncomingMessage) => {
      answered = true;
      const chunks: Buffer[] = [];
      const end = (): void => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('close', end).on('error', end);
    });
    outgoing.on('error', () => {});
    outgoing.on('close', () => {
      if (!answered) resolve({ status: 0, body: Buffer.alloc(0) });
    });
  });
  return { outgoing, answer };
}
