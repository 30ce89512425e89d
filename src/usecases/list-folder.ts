import { fitting } from '../core/fitting.ts';
import { formatCount } from '../core/format.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import { COUNTED_MAX } from '../registry/folder-contents.ts';
import { readPackage } from './access.ts';
import { asHeld } from './list-files.ts';
import type { Caller, Services } from './services.ts';

/** Bytes of the paths on one page: an address has up to three for each. */
const PATHS_MAX = 16 * 1024;

/** In the place of a number that is greater. */
export const COUNTED_TEXT = `over ${formatCount(COUNTED_MAX)}`;

/** A folder of a package, with what is below it. */
export interface Subfolder {
  /** With a slash at its end. */
  path: string;
  /** Null: more than are counted. */
  below: { files: number; bytes: number } | null;
}

export interface FolderPage {
  entries: Array<{ folder: Subfolder } | { file: FileRecord }>;
  /** Of the last entry, to go on after; null: there are no more. */
  next: string | null;
}

/**
 * What stands directly in a folder of a package, in the order of the paths' bytes; long paths make a page shorter than `limit`. A folder that does not exist is empty.
 * @param folder with a slash at its end; empty: the package itself @throws StoreError package_not_found, package_deleted
 */
export async function listFolder(
  services: Services,
  caller: Caller,
  id: PackageId,
  { folder, after, limit }: { folder: string; after: string | null; limit: number },
): Promise<FolderPage> {
  const { read } = services.registry;
  const pkg = await readPackage(read, caller, id);
  assertReadable(pkg);
  const found = await read.files.folder(id, folder, after, limit + 1);
  const entries = fitting(found.slice(0, limit), ({ path }) => Buffer.byteLength(path), PATHS_MAX);
  const paths = entries.filter((entry) => !entry.folder).map(({ path }) => path as LogicalPath);
  const known = [...(await read.files.atPaths(id, paths)).values()];
  const held = pkg.status === 'failed' ? await asHeld(read, id, known) : known;
  const files = new Map(held.map((file) => [file.path, file]));
  return {
    entries: entries.flatMap((entry): FolderPage['entries'] => {
      if (entry.folder) return [{ folder: { path: entry.path, below: entry.files > COUNTED_MAX ? null : entry } }];
      const file = files.get(entry.path as LogicalPath);
      // Removed since: packages that are being made change.
      return file === undefined ? [] : [{ file }];
    }),
    next: found.length > entries.length ? (entries.at(-1)?.path ?? null) : null,
  };
}
