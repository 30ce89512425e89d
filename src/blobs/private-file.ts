import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { FileLayer } from './file-layer.ts';

export interface PrivateFile {
  file: string;
  size: number;
  digest: Digest;
}

export interface WriteRules {
  /** Asked after every chunk with the size so far: throws as soon as the body is too long. */
  checkSize?: (size: number) => void;
  /** Told of all bytes in their order, as they are hashed; they are good until it returns. */
  onBytes?: (bytes: Uint8Array) => void;
  /** Asked at the end: throws when these are not the bytes that were to come. */
  checkBytes?: (size: number, digest: Digest) => void;
}

/** A name that no other file has. */
export function privateName(dir: string): string {
  return join(dir, randomBytes(16).toString('hex'));
}

/**
 * Streams a body into a new file of its own, hashing on the way. When it returns, the file is durable and read-only;
 * when it throws, nothing is left. The name is not durable: link the file to where it shall last.
 */
export async function writePrivateFile(
  files: FileLayer,
  dir: string,
  body: AsyncIterable<Uint8Array>,
  rules: WriteRules = {},
): Promise<PrivateFile> {
  const file = privateName(dir);
  const hash = createHash('sha256');
  let size = 0;
  const handle = await files.create(file);
  try {
    try {
      for await (const bytes of gather(chunksOf(body), (length) => rules.checkSize?.(size + length))) {
        size += bytes.length;
        // The write goes on in another thread while this one hashes.
        const writing = handle.write(bytes);
        hash.update(bytes);
        rules.onBytes?.(bytes);
        await writing;
      }
      const digest = digestFromBytes(hash.digest());
      rules.checkBytes?.(size, digest);
      await handle.chmod(0o444);
      await handle.sync();
      return { file, size, digest };
    } finally {
      await handle.close();
    }
  } catch (error) {
    await discardFile(files, file);
    throw error;
  }
}

/** Never throws: what cannot be removed now goes at the next start. */
export async function discardFile(files: FileLayer, file: string): Promise<void> {
  await files.unlink(file).catch(() => {});
}

/** A system call for every packet would be most of the work. */
const BATCH = 512 * 1024;

/**
 * Puts small chunks together in one buffer that is used again and again: a new one for each batch would be garbage faster
 * than it is collected. What is yielded is good until the next one is asked for.
 * @param check is told of every chunk: how many bytes wait with it
 */
async function* gather(
  chunks: AsyncIterable<Uint8Array>,
  check: (waiting: number) => void,
): AsyncGenerator<Uint8Array> {
  // A body of one chunk, as most are, needs no buffer.
  let first: Uint8Array | null = null;
  let buffer: Buffer | null = null;
  let waiting = 0;
  for await (const chunk of chunks) {
    check(waiting + chunk.length);
    if (buffer === null) {
      if (first === null) {
        first = chunk;
        waiting = chunk.length;
        continue;
      }
      buffer = Buffer.allocUnsafe(Math.max(BATCH, first.length));
      buffer.set(first);
    }
    if (waiting > 0 && waiting + chunk.length > buffer.length) {
      yield buffer.subarray(0, waiting);
      waiting = 0;
    }
    if (chunk.length > buffer.length) {
      yield chunk;
    } else {
      buffer.set(chunk, waiting);
      waiting += chunk.length;
    }
  }
  if (waiting > 0) yield buffer === null ? (first as Uint8Array) : buffer.subarray(0, waiting);
}

/**
 * A request that is refused half way must not be destroyed, or its sender would see a broken connection instead of the
 * answer. A sender that goes away is told apart from a storage that fails.
 */
export async function* chunksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : body;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new StoreError('body_length_mismatch', `The body broke off (${why}).`, {}, { cause: error });
  }
}
