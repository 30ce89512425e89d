import type { PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

/** Those that were removed, or whose bytes the store does not have, or no more. */
export type WhichFiles = 'all' | 'deleted' | 'missing';

/** In the order of the paths' bytes; `more` says that there is a further page. */
export async function listFiles(
  services: Services,
  caller: Caller,
  id: PackageId,
  after: string | null,
  limit: number,
  which: WhichFiles = 'all',
): Promise<{ files: FileRecord[]; more: boolean }> {
  const tables = services.registry.read;
  const pkg = await readPackage(tables, caller, id);
  assertReadable(pkg);
  const { files: table } = tables;
  const pages = { all: table.page, deleted: table.deletedPage, missing: table.missingPage };
  const found = await pages[which](id, after, limit + 1);
  const files = found.slice(0, limit);
  return { files: pkg.status === 'failed' ? await asHeld(tables, id, files) : files, more: found.length > limit };
}

/** A package that failed needs nothing: what was proven in it may have been freed. */
export async function asHeld(tables: ReadTables, id: PackageId, files: readonly FileRecord[]): Promise<FileRecord[]> {
  const paths = files.map(({ path }) => path);
  const located = new Set((await tables.files.locate(id, paths)).map(({ path }) => path));
  return files.map((file) => ({ ...file, lost: file.lost || (file.size > 0 && !located.has(file.path)) }));
}
