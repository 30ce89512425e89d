import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { digestFromHex } from '../../src/core/digest.ts';
import { findConflict, type LogicalPath } from '../../src/core/logical-path.ts';
import { forEachLimit } from './concurrency.ts';
import { integrityFailure } from './failures.ts';
import type { FollowHash } from './follow-hash.ts';
import type { PackageFile } from './package-files.ts';
import { differs } from './placement.ts';
import type { TargetFolder } from './target-folder.ts';

/** Up to here a file is read and hashed in one go, on this thread. */
const WHOLE_MAX = 1024 ** 2;
const LARGE_AT_ONCE = 4;
const FILES_A_TURN = 100;

/**
 * The files that are not there yet, in lists. Those that are there have been hashed, and are the package's.
 * @param most in a list
 * @throws CliError for the first file that must not be written: until the end none may be
 */
export async function* findMissing(
  folder: TargetFolder,
  files: readonly PackageFile[],
  { hashes, signal, most }: { hashes: FollowHash; signal: AbortSignal; most: number },
): AsyncGenerator<PackageFile[]> {
  const conflict = findConflict(files.map(({ path }) => path as LogicalPath));
  if (conflict !== null)
    throw integrityFailure(conflict.path, `cannot stand beside ${JSON.stringify(conflict.other)}.`);
  const missing: PackageFile[] = [];
  const large: Array<{ file: PackageFile; absolute: string }> = [];
  for (const [index, file] of files.entries()) {
    if (index % FILES_A_TURN === 0) await turn();
    signal.throwIfAborted();
    const there = folder.look(file.path, file.size);
    if (there === null) missing.push(file);
    else if (there.size !== file.size) throw differs(file.path, there.size);
    else if (file.size > WHOLE_MAX) large.push({ file, absolute: there.absolute });
    else
      assertSame(
        file,
        withOpen(there.absolute, (fd) => hash('sha256', readFileSync(fd), 'hex')),
      );
    if (missing.length === most) yield missing.splice(0);
  }
  await forEachLimit(large, LARGE_AT_ONCE, async ({ file, absolute }) => {
    signal.throwIfAborted();
    await withOpen(absolute, async (fd) => assertSame(file, await hashes.follow(fd).finish(fstatSync(fd).size)));
  });
  if (missing.length > 0) yield missing;
}

function assertSame(file: PackageFile, hex: string): void {
  if (digestFromHex(hex) !== file.digest) throw differs(file.path, file.size);
}

/** A symlink that took the file's place, or a fifo that would block for ever, is not opened. */
function withOpen<T>(absolute: string, work: (fd: number) => T): T {
  const fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  let result: T | undefined;
  try {
    result = work(fd);
    return result;
  } finally {
    if (result instanceof Promise) result.finally(() => closeSync(fd)).catch(() => {});
    else closeSync(fd);
  }
}
