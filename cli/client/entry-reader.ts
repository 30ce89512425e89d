import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DownloadList } from '../../src/api/types.ts';
import { digestFromHex, isDigest } from '../../src/core/digest.ts';
import { ApiError, CliError, EXIT } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import { type Agents, problemOf } from './http.ts';
import { connectionFailure, retryDelay } from './retry.ts';

type DownloadObject = DownloadList['objects'][number];

/** One file's bytes inside an object, and where to get them. */
export interface Entry {
  path: string;
  digest: string;
  offset: number;
  size: number;
  object: Pick<DownloadObject, 'url' | 'headers' | 'size'>;
}

export interface EntryReader {
  /**
   * The entry's bytes, each once and in order: a lost connection is taken up where it broke. Hashed on the way; the end
   * is reached only if they are what the digest says. @throws CliError integrity_failure, ApiError
   */
  read(entry: Entry): AsyncGenerator<Buffer>;
}

const TRIES = 8;
const IDLE_MS = 120_000;

export function integrityFailure(path: string, message: string): CliError {
  const options = { exit: EXIT.integrity, code: 'integrity_failure', extras: { path } } as const;
  return new CliError(`${JSON.stringify(path)} ${message}`, options);
}

/** The entries of one page of downloads, flat. */
export function entriesOf({ objects }: DownloadList): Entry[] {
  return objects.flatMap(({ entries, ...object }) => entries.map((entry) => ({ ...entry, object })));
}

export function entryReader(client: ApiClient, packageId: string, agents: Agents): EntryReader {
  return {
    async *read(entry) {
      if (!isDigest(entry.digest)) throw integrityFailure(entry.path, 'has no SHA-256 digest.');
      const hash = createHash('sha256');
      for await (const chunk of resuming(client, packageId, agents, entry)) {
        hash.update(chunk);
        yield chunk;
      }
      const actual = digestFromHex(hash.digest('hex'));
      if (actual !== entry.digest) throw integrityFailure(entry.path, `has the digest ${actual}, not ${entry.digest}.`);
    },
  };
}

async function* resuming(client: ApiClient, packageId: string, agents: Agents, wanted: Entry): AsyncGenerator<Buffer> {
  let entry = wanted;
  let done = 0;
  for (let attempt = 1; done < entry.size; attempt += 1) {
    const before = done;
    try {
      for await (const chunk of fetchFrom(entry, done, agents, client.signal)) {
        done += chunk.length;
        yield chunk;
      }
    } catch (error) {
      client.signal.throwIfAborted();
      // Whoever gets on may try for ever; who does not, only so often.
      if (done > before) attempt = 1;
      if (attempt >= TRIES || !mayPass(error)) throw error;
      await sleep(retryDelay(attempt, Math.random()), undefined, { signal: client.signal });
      if (error instanceof ApiError && error.status === 403) entry = await freshEntry(client, packageId, entry);
    }
  }
}

function mayPass(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 403 || error.status === 429 || error.status >= 500;
  return connectionFailure(error) !== null;
}

/** The URL expired: another one for the same bytes. */
async function freshEntry(client: ApiClient, packageId: string, entry: Entry): Promise<Entry> {
  const fresh = entriesOf(await client.planDownloads(packageId, { paths: [entry.path] }));
  return (
    fresh.find(({ path, digest, size }) => path === entry.path && digest === entry.digest && size === entry.size) ??
    entry
  );
}

async function* fetchFrom(entry: Entry, done: number, agents: Agents, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { object, offset, size, path } = entry;
  // A signature may bind a Range of its own: then no other is asked for, and what came before is skipped.
  const bound = Object.keys(object.headers).some((name) => name.toLowerCase() === 'range');
  const whole = !bound && offset === 0 && size === object.size && done === 0;
  const range: Record<string, string> = bound || whole ? {} : { range: `bytes=${offset + done}-${offset + size - 1}` };
  const response = await get(object.url, { ...object.headers, ...range }, agents, signal);
  try {
    const status = response.statusCode ?? 0;
    if (status >= 300) throw problemOf(status, await textOf(response), path);
    // A server that does not know ranges sends everything.
    let skip = bound ? done : status === 200 && !whole ? offset + done : 0;
    let left = size - done;
    for await (const piece of response as AsyncIterable<Buffer>) {
      const chunk = piece.subarray(Math.min(skip, piece.length));
      skip -= piece.length - chunk.length;
      if (chunk.length === 0) continue;
      if (chunk.length > left && (whole || bound)) throw integrityFailure(path, `has more than its ${size} bytes.`);
      yield chunk.subarray(0, left);
      left -= Math.min(left, chunk.length);
      if (left === 0 && !whole && !bound) return;
    }
    if (left > 0) throw Object.assign(new Error(`${path} ended early`), { code: 'ECONNRESET' });
  } finally {
    if (!response.readableEnded) response.destroy();
  }
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
