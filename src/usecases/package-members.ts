import type { ArchiveMember, MemberPages } from '../core/archive.ts';
import type { Glob } from '../core/glob.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import type { FileRecord } from '../registry/files.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { fileDeleted } from './file-deleted.ts';

/** As many as stand in one page of the registry. */
const PAGE = 1_000;

/** The files of a finalized package that go into an archive. */
export interface ChosenFiles {
  tables: ReadTables;
  pkg: PackageRecord;
  /** Null: all. */
  glob: Glob | null;
  /** Those that had been removed when the archive was begun: it is the archive of the others. */
  removed: ReadonlySet<LogicalPath>;
}

/** Chosen files that were removed since the package was finalized, in the order of their paths. */
export async function removedFiles({ tables, pkg, glob }: Omit<ChosenFiles, 'removed'>): Promise<Set<LogicalPath>> {
  const removed = new Set<LogicalPath>();
  if (pkg.deleted_file_count === 0) return removed;
  for (let after: string | null = null; ; ) {
    const page: FileRecord[] = await tables.files.deletedPage(pkg.id, after, PAGE);
    for (const { path } of page) if (glob === null || glob(path)) removed.add(path);
    if (page.length < PAGE) return removed;
    after = page.at(-1)?.path ?? null;
  }
}

/**
 * The chosen files as members of an archive, in the order of their paths' bytes: it depends on nothing but the manifest.
 * @throws StoreError file_deleted of one that was removed meanwhile: the bytes before would be those of another archive
 */
export function packageMembers({ tables, pkg, glob, removed }: ChosenFiles): MemberPages {
  const finalizedAt = secondsOf(pkg.finalized_at ?? pkg.created_at);
  return async function* pages() {
    for (let after: string | null = null; ; ) {
      const page: FileRecord[] = await tables.files.page(pkg.id, after, PAGE);
      const chosen = page.filter(({ path }) => (glob === null || glob(path)) && !removed.has(path));
      const gone = chosen.find(({ deleted_at }) => deleted_at !== null);
      if (gone) throw await fileDeleted(tables, pkg.id, gone.path);
      if (chosen.length > 0) yield chosen.map((file) => memberOf(file, finalizedAt));
      if (page.length < PAGE) return;
      after = page.at(-1)?.path ?? null;
    }
  };
}

function memberOf({ path, size, executable, mtime, digest }: FileRecord, finalizedAt: number): ArchiveMember {
  const modifiedAt = mtime === null ? finalizedAt : secondsOf(Date.parse(mtime));
  return { path, size, executable, modifiedAt, digest, source: { file: path } };
}

export function secondsOf(ms: number): number {
  return Math.floor(ms / 1_000);
}
