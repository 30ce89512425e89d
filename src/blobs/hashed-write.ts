import { createHash } from 'node:crypto';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { FileLayer } from './file-layer.ts';

/** Small writes are gathered up to this many bytes: a system call for each packet would be most of the work. */
const BATCH_BYTES = 1024 ** 2;

/**
 * Writes a stream to a new private file, hashing on the way, and makes its bytes durable. When anything fails, the file
 * is gone. @param maxSize more bytes than this are refused as soon as they arrive (StoreError body_length_mismatch)
 */
export async function writeHashed(
  files: FileLayer,
  path: string,
  body: AsyncIterable<Uint8Array>,
  maxSize: number,
): Promise<{ digest: Digest; size: number }> {
  const file = await files.create(path);
  try {
    const hash = createHash('sha256');
    let size = 0;
    let batch: Uint8Array[] = [];
    let batched = 0;
    const flush = async (): Promise<void> => {
      if (batched === 0) return;
      const bytes = batch.length === 1 ? (batch[0] as Uint8Array) : Buffer.concat(batch, batched);
      batch = [];
      batched = 0;
      await file.write(bytes);
    };
    for await (const chunk of body) {
      size += chunk.length;
      if (size > maxSize) {
        throw new StoreError('body_length_mismatch', `The body has more than ${maxSize} bytes.`);
      }
      hash.update(chunk);
      batch.push(chunk);
      batched += chunk.length;
      if (batched >= BATCH_BYTES) await flush();
    }
    await flush();
    await file.sync();
    await file.close();
    return { digest: digestFromBytes(hash.digest()), size };
  } catch (error) {
    await file.close().catch(() => {});
    await files.unlink(path).catch(() => {});
    throw error;
  }
}
