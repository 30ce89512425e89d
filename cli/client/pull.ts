import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { matchesGlob } from 'node:path';
import type { Package } from '../../src/api/types.ts';
import { findConflict, type LogicalPath } from '../../src/core/logical-path.ts';
import type { ProgressReport } from '../progress.ts';
import type { ApiClient } from './api-client.ts';
import { chunks, forEachLimit } from './concurrency.ts';
import { type Entry, type EntryReader, entriesOf, entryReader, integrityFailure } from './entry-reader.ts';
import { closeAgents, newAgents } from './http.ts';
import { type PackageFile, packageFiles } from './package-files.ts';
import { differs, TargetFolder } from './target-folder.ts';

export interface PullOptions {
  directory: string;
  /** Only paths that match; `**` crosses folders. */
  glob?: string | undefined;
  /** Restore modification times and the executable bit. */
  preserve?: boolean | undefined;
  parallel?: number | undefined;
}

export interface PullResult {
  files: number;
  bytes: number;
  /** Files that were there already, with the same bytes. */
  skipped: number;
}

const PARALLEL = 8;
const PATHS_PER_CALL = 500;

/**
 * Writes a package's files below the directory: every byte hashed, nothing replaced. All that can be refused is refused
 * before the first file is written. @throws CliError integrity_failure, file_differs, file_refused, invalid_path
 */
export async function pullPackage(
  client: ApiClient,
  pkg: Package,
  options: PullOptions,
  watch?: (report: () => ProgressReport) => void,
): Promise<PullResult> {
  const all = await packageFiles(client, pkg);
  const wanted = options.glob === undefined ? all : all.filter(({ path }) => matchesGlob(path, options.glob as string));
  const folder = await TargetFolder.open(options.directory);
  try {
    const missing = await findMissing(folder, wanted, client.signal);
    const total = { totalFiles: missing.length, totalBytes: sum(missing) };
    const done = { files: 0, bytes: 0 };
    watch?.(() => ({ phase: 'pulling', ...done, ...total }));
    await readFiles(client, pkg.id, missing, options.parallel ?? PARALLEL, async (reader, entry, file) => {
      const bytes = count(reader.read(entry), done);
      const mtime = options.preserve && file.mtime !== null ? new Date(file.mtime) : null;
      await folder.write(file.path, bytes, { executable: (options.preserve && file.executable) || false, mtime });
      done.files += 1;
    });
    return { files: missing.length, bytes: total.totalBytes, skipped: wanted.length - missing.length };
  } finally {
    await folder.close();
  }
}

/** Asks for signed URLs as they are needed, so that none expires in a queue, and hands over every file once. */
export async function readFiles(
  client: ApiClient,
  packageId: string,
  files: readonly PackageFile[],
  parallel: number,
  work: (reader: EntryReader, entry: Entry, file: PackageFile) => Promise<void>,
): Promise<void> {
  const agents = newAgents(parallel);
  const reader = entryReader(client, packageId, agents);
  try {
    await forEachLimit(planned(client, packageId, files), parallel, async ({ entry, file }) => {
      client.signal.throwIfAborted();
      await work(reader, entry, file);
    });
  } finally {
    closeAgents(agents);
  }
}

async function* planned(
  client: ApiClient,
  packageId: string,
  files: readonly PackageFile[],
): AsyncGenerator<{ entry: Entry; file: PackageFile }> {
  for (const batch of chunks(files, PATHS_PER_CALL)) {
    const page = await client.planDownloads(packageId, { paths: batch.map(({ path }) => path) });
    const entries = new Map(entriesOf(page).map((entry) => [entry.path, entry]));
    for (const file of batch) {
      const entry = entries.get(file.path);
      if (!entry || entry.digest !== file.digest || entry.size !== file.size) {
        throw integrityFailure(file.path, 'is offered with another digest or size than the package lists.');
      }
      yield { entry, file };
    }
  }
}

async function findMissing(
  folder: TargetFolder,
  files: readonly PackageFile[],
  signal: AbortSignal,
): Promise<PackageFile[]> {
  const conflict = findConflict(files.map(({ path }) => path as LogicalPath));
  if (conflict !== null)
    throw integrityFailure(conflict.path, `cannot stand beside ${JSON.stringify(conflict.other)}.`);
  const missing: PackageFile[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    const there = await folder.look(file.path);
    if (there === null) missing.push(file);
    else if (there.size !== file.size || (await digestOfFile(there.absolute)) !== file.digest) throw differs(file.path);
  }
  return missing;
}

async function digestOfFile(absolute: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(absolute, { highWaterMark: 1024 ** 2 })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

async function* count(bytes: AsyncIterable<Buffer>, done: { bytes: number }): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    done.bytes += chunk.length;
    yield chunk;
  }
}

function sum(files: readonly PackageFile[]): number {
  return files.reduce((total, { size }) => total + size, 0);
}
