import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** Bytes that stand nowhere whole: one block again and again. */
export interface LargeBody {
  size: number;
  digest: string;
  block: Buffer;
}

const MIB = 1024 ** 2;
// Every request has a connection of its own: a kept one is closed while digests are computed.

/** @param size whole MiB @param which bodies of another number have other bytes */
export function largeBody(size: number, which: number): LargeBody {
  const block = Buffer.alloc(MIB, which);
  const hash = createHash('sha256');
  for (let done = 0; done < size; done += MIB) hash.update(block);
  return { size, digest: `sha256:${hash.digest('hex')}`, block };
}

/** Sends it with its length, as fast as it is taken. @returns status and answer */
export function putLarge(
  url: string,
  { size, block }: LargeBody,
  query = '',
): Promise<{ status: number; answer: string }> {
  return new Promise((resolve, reject) => {
    const sending = request(
      url + query,
      { method: 'PUT', headers: { 'content-length': size }, agent: false },
      (response) => {
        text(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer }), reject);
      },
    );
    sending.once('error', reject);
    let left = size;
    const go = (): void => {
      while (left > 0) {
        left -= block.length;
        if (!sending.write(block)) return void sending.once('drain', go);
      }
      sending.end();
    };
    go();
  });
}

/** @returns the digest of what came */
export function getLarge(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { agent: false }, (answer) => {
      const hash = createHash('sha256');
      answer.on('data', (chunk: Buffer) => hash.update(chunk));
      answer.once('error', reject);
      answer.once('end', () => resolve(`sha256:${hash.digest('hex')}`));
    });
    asking.once('error', reject).end();
  });
}
