import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { FileLayer } from './file-layer.ts';
import { type CheckBytes, checkStream } from './stream-check.ts';

export interface PrivateFile {
  file: string;
  size: number;
  digest: Digest;
}

export interface WriteRules {
  /** Asked of every chunk with the size so far: throws as soon as the body is too long. */
  checkSize?: (size: number) => void;
  /** Told of all bytes in their order, while they are written; they are good until it returns. */
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
 * @param hash how and where the body is hashed
 */
export async function writePrivateFile(
  files: FileLayer,
  dir: string,
  body: AsyncIterable<Uint8Array>,
  rules: WriteRules = {},
  hash: CheckBytes = checkStream,
): Promise<PrivateFile> {
  const file = privateName(dir);
  let size = 0;
  const handle = await files.create(file);
  const count = (bytes: number): void => {
    size += bytes;
    rules.checkSize?.(size);
  };
  const write = async (bytes: Uint8Array): Promise<void> => {
    const written = handle.write(bytes);
    try {
      rules.onBytes?.(bytes);
    } finally {
      await written;
    }
  };
  try {
    try {
      const digest = (await hash(counted(chunksOf(body), count), WHOLE, write)) as Digest;
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

const WHOLE = { members: null, whole: true, stored: null };

async function* counted(chunks: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
  }
}

/** Never throws: what cannot be removed now goes at the next start. */
export async function discardFile(files: FileLayer, file: string): Promise<void> {
  await files.unlink(file).catch(() => {});
}

/**
 * A request that is refused half way must not be destroyed, or its sender would see a broken connection instead of the
 * answer. A sender that goes away is distinguished from storage that fails.
 */
export async function* chunksOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : body;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new StoreError('body_length_mismatch', `The body was cut off (${why}).`, {}, { cause: error });
  }
}
