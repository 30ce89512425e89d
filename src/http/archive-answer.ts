import { once } from 'node:events';
import { pipeline, Readable } from 'node:stream';
import { constants, createZstdCompress } from 'node:zlib';
import type { Context } from 'koa';
import type { ByteRange } from '../blobs/blob-store.ts';
import type { ArchiveKind } from '../core/archive-formats.ts';
import type { PreparedArchive, ReadableArchive } from '../usecases/read-archive.ts';
import { inertHeaders, isAnswered, serveRanged } from './bytes.ts';

/** Headers and small files are put together: a packet for each would be most of the work. */
const PIECE = 128 * 1024;
const LEVEL = 3;

interface ArchiveAnswer extends Pick<ArchiveKind, 'compressed' | 'mediaType'> {
  /** Offered as the name to save under. */
  filename: string;
  /** Aborted when the answer has ended, however it did. */
  signal: AbortSignal;
}

/** Serves an archive: of one that is not compressed with its length, conditional requests and one range (RFC 9110). */
export async function serveArchive(
  ctx: Context,
  archive: ReadableArchive,
  { compressed, mediaType, filename, signal }: ArchiveAnswer,
): Promise<void> {
  ctx.set(inertHeaders(filename));
  // Compressed bytes differ between zstd's versions.
  const etag = `${compressed ? 'W/' : ''}"archive-${archive.tag}"`;
  if (isAnswered(ctx, etag)) return;
  const prepared = await archive.prepare();
  const { size } = prepared;
  const openRange = (range: ByteRange) => opened(prepared, range, signal);
  const openWhole = () => openRange({ offset: 0, size });
  if (!compressed) return serveRanged(ctx, etag, { size, mediaType, openWhole, openRange });
  ctx.set('Accept-Ranges', 'none');
  ctx.status = 200;
  // One frame, whose end comes after the last file has been checked: what breaks off is never whole.
  if (ctx.method !== 'HEAD') ctx.body = pipeline(await openWhole(), zstd(), () => {});
  ctx.set('Content-Type', mediaType);
}

/** Of a damaged first file the answer is an error, instead of a connection that is cut without one. */
async function opened(archive: PreparedArchive, range: ByteRange, signal: AbortSignal): Promise<Readable> {
  const stream = Readable.from(pieces(archive.bytes(range, signal)), { objectMode: false, highWaterMark: PIECE });
  await once(stream, 'readable');
  return stream;
}

function zstd() {
  return createZstdCompress({
    chunkSize: PIECE,
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}

async function* pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    waiting.push(chunk);
    size += chunk.length;
    if (size < PIECE) continue;
    yield waiting.length === 1 ? chunk : Buffer.concat(waiting, size);
    waiting = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(waiting, size);
}
