import type { PackageId } from '../core/ids.ts';
import { comparePaths } from '../core/logical-path.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { readPackage } from './access.ts';
import { filePages } from './look-over-files.ts';
import type { Caller, Services } from './services.ts';

export interface Change {
  kind: 'added' | 'removed' | 'changed';
  path: string;
  /** Bytes; null: it is not there. */
  before: number | null;
  after: number | null;
}

export interface Comparison {
  from: PackageRecord;
  to: PackageRecord;
  counts: Record<Change['kind'] | 'same', number>;
  /** The first of them, in the order of the paths' bytes. */
  changes: Change[];
}

/** Files of both together that are compared while somebody waits. */
export const COMPARED_MAX = 200_000;
/** Changes that are named. */
const NAMED = 1_000;

/**
 * What changed from one package to another, by path and bytes. Reads both lists side by side, a page of each at a time.
 * @returns null: they have too many files
 */
export async function comparePackages(
  { registry }: Services,
  caller: Caller,
  from: PackageId,
  to: PackageId,
): Promise<Comparison | null> {
  const { read } = registry;
  const [before, after] = [await readPackage(read, caller, from), await readPackage(read, caller, to)];
  assertReadable(before);
  assertReadable(after);
  if (before.file_count + after.file_count > COMPARED_MAX) return null;
  const counts: Comparison['counts'] = { added: 0, removed: 0, changed: 0, same: 0 };
  const changes: Change[] = [];
  for await (const [old, now] of sideBySide(filesOf(read, from), filesOf(read, to))) {
    const kind = old === null ? 'added' : now === null ? 'removed' : old.digest === now.digest ? 'same' : 'changed';
    counts[kind] += 1;
    if (kind === 'same' || changes.length === NAMED) continue;
    const path = (now ?? old)?.path ?? '';
    changes.push({ kind, path, before: old?.size ?? null, after: now?.size ?? null });
  }
  return { from: before, to: after, counts, changes };
}

async function* filesOf(tables: ReadTables, id: PackageId): AsyncGenerator<FileRecord> {
  for await (const page of filePages(tables, id)) yield* page;
}

type Pair = [old: FileRecord | null, now: FileRecord | null];

async function* sideBySide(olds: AsyncGenerator<FileRecord>, news: AsyncGenerator<FileRecord>): AsyncGenerator<Pair> {
  let [old, now] = [await olds.next(), await news.next()];
  while (!old.done || !now.done) {
    const order = old.done ? 1 : now.done ? -1 : comparePaths(old.value.path, now.value.path);
    yield [order <= 0 ? (old.value as FileRecord) : null, order >= 0 ? (now.value as FileRecord) : null];
    if (order <= 0) old = await olds.next();
    if (order >= 0) now = await news.next();
  }
}
