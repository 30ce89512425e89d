import type { Readable } from 'node:stream';
import type { Context } from 'koa';
import type { ByteRange } from '../blobs/blob-store.ts';
import { type Digest, formatReprDigest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';

export interface ServedBytes {
  digest: Digest;
  size: number;
  mediaType: string;
  /** Offered as the name to save under. */
  filename: string;
  openWhole(): Promise<Buffer | Readable>;
  openRange(range: ByteRange): Promise<Readable>;
}

/** Evidence may be hostile HTML: it is sent as an attachment, its type is never guessed, and a browser that shows it sandboxes it. */
export function inertHeaders(filename: string): Record<string, string> {
  return {
    'Content-Disposition': attachment(filename),
    'Content-Security-Policy': "sandbox; default-src 'none'",
    'X-Content-Type-Options': 'nosniff',
  };
}

/** Serves bytes with conditional requests and one range (RFC 9110). */
export async function serveBytes(ctx: Context, bytes: ServedBytes): Promise<void> {
  const etag = `"${bytes.digest}"`;
  ctx.set({ 'Repr-Digest': formatReprDigest(bytes.digest), ...inertHeaders(bytes.filename) });
  if (isAnswered(ctx, etag)) return;
  await serveRanged(ctx, etag, bytes);
}

/**
 * Sets the ETag, and answers a request that is over with it. @param etag weak for what has no ranges
 * @throws StoreError precondition_failed
 */
export function isAnswered(ctx: Context, etag: string): boolean {
  ctx.set({ ETag: etag, 'Cache-Control': 'private, no-cache' });
  const ifMatch = ctx.get('if-match');
  if (ifMatch !== '' && !matches(ifMatch, etag)) {
    throw new StoreError('precondition_failed', `The file's ETag is ${etag}.`);
  }
  const ifNoneMatch = ctx.get('if-none-match');
  if (ifNoneMatch === '' || !matches(ifNoneMatch, etag.replace(WEAK, ''))) return false;
  ctx.status = 304;
  return true;
}

/** All of the bytes, or one range. @param etag a strong one */
export async function serveRanged(
  ctx: Context,
  etag: string,
  bytes: Pick<ServedBytes, 'size' | 'mediaType' | 'openWhole' | 'openRange'>,
): Promise<void> {
  ctx.set('Accept-Ranges', 'bytes');
  const ifRange = ctx.get('if-range');
  // Range is defined for GET only, and If-Range may take it away.
  const ranged = ctx.method === 'GET' && (ifRange === '' || ifRange === etag);
  const range = ranged ? parseRange(ctx.get('range'), bytes.size) : null;
  if (range) ctx.set('Content-Range', `bytes ${range.offset}-${range.offset + range.size - 1}/${bytes.size}`);
  await send(ctx, {
    status: range ? 206 : 200,
    mediaType: bytes.mediaType,
    size: range ? range.size : bytes.size,
    open: () => (range === null || range.size === bytes.size ? bytes.openWhole() : bytes.openRange(range)),
  });
}

/**
 * Serves exactly this range to a client that may see nothing else: no header can change it, and the ETag, digest and size of the
 * whole are not told. Since there is no ETag, only `*` satisfies If-Match, and only `*` fails If-None-Match.
 */
export async function serveStretch(
  ctx: Context,
  { range, filename, open }: { range: ByteRange; filename: string; open: () => Promise<Readable> },
): Promise<void> {
  ctx.set({ 'Cache-Control': 'private, no-store', ...inertHeaders(filename) });
  const ifMatch = ctx.get('if-match').trim();
  if (ifMatch !== '' && ifMatch !== '*') {
    throw new StoreError('precondition_failed', 'A signed range has no ETag: omit If-Match.');
  }
  if (ctx.get('if-none-match').trim() === '*') {
    ctx.status = 304;
    return;
  }
  ctx.set('Content-Range', `bytes ${range.offset}-${range.offset + range.size - 1}/*`);
  await send(ctx, {
    status: 206,
    mediaType: 'application/octet-stream',
    size: range.size,
    open,
  });
}

interface Sent {
  status: number;
  mediaType: string;
  size: number;
  open(): Promise<Buffer | Readable>;
}

async function send(ctx: Context, { status, mediaType, size, open }: Sent): Promise<void> {
  ctx.status = status;
  if (ctx.method !== 'HEAD') ctx.body = await open();
  // After the body, which sets a type and a length of its own.
  ctx.set('Content-Type', mediaType);
  ctx.length = size;
}

function matches(header: string, etag: string): boolean {
  return header.split(',').some((candidate) => {
    const tag = candidate.trim();
    return tag === '*' || tag.replace(WEAK, '') === etag;
  });
}

const WEAK = /^W\//;

/** Null: the whole. @throws StoreError bad_range, range_not_satisfiable */
export function parseRange(header: string, size: number): ByteRange | null {
  // A unit that the server does not know is ignored (RFC 9110, 14.2).
  if (!/^bytes=/i.test(header)) return null;
  const match = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i.exec(header);
  if (!match) throw new StoreError('bad_range', `${JSON.stringify(header.slice(0, 100))} is not one byte range.`);
  const [, first, last, suffix] = match;
  const offset = first === undefined ? Math.max(0, size - Number(suffix)) : Number(first);
  const end = last ? Math.min(Number(last), size - 1) : size - 1;
  if (last && Number(last) < Number(first)) {
    throw new StoreError('bad_range', `${JSON.stringify(header.slice(0, 100))} ends before it begins.`);
  }
  if (offset > end || offset >= size) {
    throw new StoreError('range_not_satisfiable', `The file has ${size} bytes.`, {
      headers: { 'Content-Range': `bytes */${size}` },
    });
  }
  return { offset, size: end - offset + 1 };
}

/** Content-Disposition (RFC 6266) with the name in ASCII and, exactly, in UTF-8 (RFC 8187). */
function attachment(filename: string): string {
  const ascii = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const exact = encodeURIComponent(filename).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${exact}`;
}
