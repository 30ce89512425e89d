import { createHash } from 'node:crypto';
import type { Package } from '../../../src/api/types.ts';
import { ARCHIVE_KINDS, type ArchiveKindName } from '../../../src/core/archive-formats.ts';
import { type Digest, digestFromBytes } from '../../../src/core/digest.ts';
import { ApiError, CliError, EXIT } from '../../errors.ts';
import { formatBytes } from '../../format.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import { type Answering, NotAStore } from '../api/json-calls.ts';
import { GrowingFile } from '../target/growing-file.ts';

export interface ArchiveChoice {
  format: ArchiveKindName;
  glob: string | undefined;
  portable: boolean;
}

export interface ArchiveResult {
  /** Bytes. */
  size: number;
  digest: Digest;
  /** Bytes that an earlier run had left. */
  resumed_bytes: number;
}

/** Where the bytes go, from the first to the last. */
interface Sink {
  readonly size: number;
  write(bytes: Uint8Array): Promise<void>;
}

interface Head {
  etag: string;
  /** Null: the archive is compressed on its way, and nobody knows. */
  total: number | null;
}

/**
 * An archive of a package into a new file, which gets its name when it is whole. What an earlier run left is continued, if it is of the
 * same archive. The service checks every file on the way.
 * @throws CliError integrity_failure, file_refused, wrong_usage, no_space, unreachable; file_changed
 */
export async function exportArchive(
  client: ApiClient,
  pkg: Package,
  file: string,
  choice: ArchiveChoice,
  watch: (report: () => ProgressReport) => void,
): Promise<ArchiveResult> {
  const head = await archiveHead(client, pkg, choice);
  const growing = await GrowingFile.open(file, head.total === null ? null : head.etag, head.total);
  try {
    await fetchInto(client, pkg, choice, { head, sink: growing, watch });
    const digest = await growing.place();
    return { size: growing.size, digest, resumed_bytes: growing.resumedBytes };
  } catch (error) {
    if (head.total === null) await growing.remove();
    throw error;
  } finally {
    await growing.close();
  }
}

/** The same, to whoever takes it. */
export async function streamArchive(
  client: ApiClient,
  pkg: Package,
  choice: ArchiveChoice,
  write: (bytes: Uint8Array) => Promise<void>,
  watch: (report: () => ProgressReport) => void,
): Promise<ArchiveResult> {
  const head = await archiveHead(client, pkg, choice);
  const hash = createHash('sha256');
  const sink = {
    size: 0,
    async write(bytes: Uint8Array) {
      await write(bytes);
      hash.update(bytes);
      sink.size += bytes.length;
    },
  };
  await fetchInto(client, pkg, choice, { head, sink, watch });
  return { size: sink.size, digest: digestFromBytes(hash.digest()), resumed_bytes: 0 };
}

async function archiveHead(client: ApiClient, pkg: Package, choice: ArchiveChoice): Promise<Head> {
  const query = queryOf(choice);
  try {
    return await client.archive(pkg.id, { method: 'HEAD', query }, async ({ headers }) => headOf(choice, headers));
  } catch (error) {
    // An answer to HEAD has no body that says why.
    if (error instanceof ApiError)
      await client.archive(pkg.id, { method: 'GET', query, headers: () => ANY }, async () => {});
    throw error;
  }
}

function headOf({ format }: ArchiveChoice, headers: Answering['headers']): Head {
  const { etag } = headers;
  const length = headers['content-length'] ?? '';
  if (etag === undefined) throw new NotAStore('an archive came without an ETag');
  if (ARCHIVE_KINDS[format].compressed) return { etag, total: null };
  if (!/^\d{1,16}$/.test(length)) throw new NotAStore('an archive came without its length');
  return { etag, total: Number(length) };
}

function queryOf({ format, glob, portable }: ArchiveChoice) {
  return { format, path: glob, names: portable ? 'portable' : 'exact' };
}

interface Fetching {
  head: Head;
  sink: Sink;
  watch: (report: () => ProgressReport) => void;
}

/** Takes up a lost connection where it broke, as often as that brings more bytes. */
async function fetchInto(client: ApiClient, pkg: Package, choice: ArchiveChoice, fetching: Fetching): Promise<void> {
  const { head, sink, watch } = fetching;
  const there = sink.size;
  watch(() => ({
    phase: 'downloading',
    files: sink.size === head.total ? 1 : 0,
    totalFiles: 1,
    bytes: sink.size,
    there,
    totalBytes: head.total ?? Math.max(pkg.total_size, sink.size + 1),
  }));
  const headers = () => (sink.size === 0 ? ANY : { ...ANY, range: `bytes=${sink.size}-`, 'if-range': head.etag });
  const call = { method: 'GET', query: queryOf(choice), headers, once: head.total === null } as const;
  while (sink.size !== head.total) {
    const before = sink.size;
    try {
      await client.archive(pkg.id, call, (answering) => take(answering, fetching));
      return;
    } catch (error) {
      client.signal.throwIfAborted();
      if (!isLost(error)) throw error;
      if (head.total === null && sink.size > 0) throw brokeOff(pkg, sink.size, error);
      if (sink.size === before) throw error;
    }
  }
}

const ANY = { accept: '*/*' };

async function take({ status, headers, body }: Answering, { head, sink }: Fetching): Promise<void> {
  if (headers.etag !== head.etag) throw changed();
  const from = sink.size;
  if (status === 206 && !headers['content-range']?.startsWith(`bytes ${from}-`))
    throw new NotAStore('it answered with another range');
  // Nothing else tells the end of an answer without a length from a connection that was lost.
  if (head.total === null && headers['transfer-encoding'] !== 'chunked')
    throw new NotAStore('the end of its answer cannot be told from a lost connection');
  let skip = status === 206 ? 0 : from;
  for await (const piece of body) {
    const bytes = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - bytes.length;
    if (head.total !== null && sink.size + bytes.length > head.total) throw new NotAStore('the archive is too long');
    if (bytes.length > 0) await sink.write(bytes);
  }
  if (head.total !== null && sink.size < head.total)
    throw Object.assign(new Error('the answer ended early'), { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH' });
}

function isLost(error: unknown): boolean {
  return error instanceof CliError && error.code === 'unreachable';
}

function changed(): CliError {
  return new CliError('The archive changed while it was downloaded: files were removed from the package.', {
    exit: EXIT.failed,
    code: 'file_changed',
    next: 'Run the same command again.',
  });
}

function brokeOff({ id }: Package, size: number, cause: unknown): CliError {
  return new CliError(
    `The archive broke off after ${formatBytes(size)}: the service found a damaged file, or the connection was lost.`,
    {
      exit: EXIT.unreachable,
      code: 'unreachable',
      next: `\`artifact-store verify ${id}\` says whether a file is damaged. An archive as tar or zip goes on where it broke off.`,
      cause,
    },
  );
}
