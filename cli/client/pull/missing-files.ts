import { hash } from 'node:crypto';
import { type BigIntStats, closeSync, fstatSync, readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { digestFromHex } from '../../../src/core/digest.ts';
import { findConflict, type LogicalPath } from '../../../src/core/logical-path.ts';
import { forEachLimit } from '../concurrency.ts';
import type { PackageFile } from '../package-file.ts';
import { withFile } from '../target/folder-failure.ts';
import type { FollowHash } from '../target/follow-hash.ts';
import { differs } from '../target/refusals.ts';
import type { TargetFolder } from '../target/target-folder.ts';
import { integrityFailure } from './failures.ts';

/** Up to here a file is read and hashed in one go, on this thread. */
const WHOLE_MAX = 1024 ** 2;
const LARGE_AT_ONCE = 4;
const FILES_A_TURN = 100;

export interface FindOptions {
  hashes: FollowHash;
  signal: AbortSignal;
  /** In a list. */
  most: number;
  /** Told of each file that is there, with the package's bytes. */
  found: (file: PackageFile, stats: BigIntStats) => void;
}

/**
 * The files that are not there yet, in lists. Those that are there have been hashed, and are the package's.
 * @throws CliError for the first file that must not be written: until the end none may be
 */
export async function* findMissing(
  folder: TargetFolder,
  files: readonly PackageFile[],
  options: FindOptions,
): AsyncGenerator<PackageFile[]> {
  const { hashes, signal, most, found } = options;
  const conflict = findConflict(files.map(({ path }) => path as LogicalPath));
  if (conflict !== null) throw integrityFailure(conflict.path, `conflicts with ${JSON.stringify(conflict.other)}.`);
  const missing: PackageFile[] = [];
  const large: Array<{ file: PackageFile; stats: BigIntStats }> = [];
  for (const [index, file] of files.entries()) {
    if (index % FILES_A_TURN === 0) await turn();
    signal.throwIfAborted();
    const stats = withFile(file.path, () => folder.look(file.path, file.size), 'read');
    if (stats === null) missing.push(file);
    else if (Number(stats.size) !== file.size) throw differs(file.path, Number(stats.size), folder.continued);
    else if (file.size > WHOLE_MAX) large.push({ file, stats });
    else {
      withOpen(folder, file, (fd) => assertSame(folder, file, hashWhole(fd, file.size)));
      found(file, stats);
    }
    if (missing.length === most) yield missing.splice(0);
  }
  await forEachLimit(large, LARGE_AT_ONCE, async ({ file, stats }) => {
    signal.throwIfAborted();
    await withOpen(folder, file, async (fd) => assertSame(folder, file, await hashes.follow(fd).finish(file.size)));
    found(file, stats);
  });
  if (missing.length > 0) yield missing;
}

/** Null when it has grown, or shrunk, since it was looked at. */
function hashWhole(fd: number, size: number): string | null {
  return fstatSync(fd).size === size ? hash('sha256', readFileSync(fd), 'hex') : null;
}

function assertSame({ continued }: TargetFolder, file: PackageFile, hex: string | null): void {
  if (hex === null || digestFromHex(hex) !== file.digest) throw differs(file.path, file.size, continued);
}

function withOpen<T>(folder: TargetFolder, { path }: PackageFile, work: (fd: number) => T): T {
  const fd = withFile(path, () => folder.openThere(path), 'read');
  let result: T | undefined;
  try {
    result = work(fd);
    return result;
  } finally {
    if (result instanceof Promise) result.finally(() => closeSync(fd)).catch(() => {});
    else closeSync(fd);
  }
}
