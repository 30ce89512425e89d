import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { FileLayer } from './file-layer.ts';
import { storing } from './fs-errors.ts';
import { discardFile, writePrivateFile } from './private-file.ts';

/** Where the service puts bytes that it takes in itself, until it knows their digest and hands them to a BlobStore. */
export interface Spool {
  /**
   * Streams a body to a local file while hashing it. Nothing is left when it throws.
   * @throws StoreError body_too_large, body_length_mismatch (it broke off), no_space, unavailable
   */
  receive(body: AsyncIterable<Uint8Array>, options?: SpoolOptions): Promise<Spooled>;

  /** Files that nobody has written to since `before`, ms. */
  listLeft(before: number): Promise<Array<{ file: string; size: number }>>;

  remove(file: string): Promise<void>;
}

export interface SpoolOptions {
  maxSize?: number;
  /** Told of all bytes in their order; they are good until it returns. */
  onBytes?: (bytes: Uint8Array) => void;
}

/** Read-only and durable; the caller discards it. */
export interface Spooled {
  file: string;
  digest: Digest;
  size: number;
  /** Idempotent; never throws. What was linked elsewhere stays there. */
  discard(): Promise<void>;
}

/** @param directory gives the folder to write in, checked; asked for every body */
export function openSpool(files: FileLayer, directory: () => Promise<string>): Spool {
  return {
    listLeft: (before) =>
      storing('looking at the spool', async () => {
        const folder = await directory();
        const left: Array<{ file: string; size: number }> = [];
        for (const entry of await files.readdir(folder)) {
          const file = join(folder, entry.name);
          const stat = await files.lstat(file).catch(() => null);
          if (stat?.isFile() && stat.mtimeMs < before) left.push({ file, size: stat.size });
        }
        return left;
      }),

    remove: (file) => discardFile(files, file),

    receive: (body, { maxSize = Number.POSITIVE_INFINITY, onBytes } = {}) =>
      storing('receiving a body', async () => {
        const checkSize = (size: number): void => {
          if (size > maxSize) throw new StoreError('body_too_large', `The body is longer than ${maxSize} bytes.`);
        };
        const written = await writePrivateFile(files, await directory(), body, {
          checkSize,
          ...(onBytes && { onBytes }),
        });
        return { ...written, discard: () => discardFile(files, written.file) };
      }),
  };
}
