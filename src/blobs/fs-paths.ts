import { dirname, join, relative, sep } from 'node:path';
import { StoreError } from '../core/errors.ts';
import { parseUploadId, type UploadId } from '../core/ids.ts';
import type { FileLayer } from './file-layer.ts';
import { isErrno } from './fs-errors.ts';
import { type ObjectKey, parseKey } from './key-layout.ts';

/**
 * The folder backend's tree. Objects stand under their keys (key-layout.ts); beside them, under names that no key may
 * begin with:
 *
 *     uploads/<upload id>/<number>.<64 hex>    a part that arrived whole: its digest is its name
 *     spool/<random>                           bytes on their way in, and what is about to be removed
 */
export interface FolderTree {
  readonly root: string;
  readonly uploads: string;
  readonly spool: string;
  /** @throws RangeError for what is no key */
  objectPath(key: ObjectKey): string;
  /** @throws StoreError upload_not_found for what is no upload id */
  uploadPath(id: UploadId): string;
  /**
   * Is there such a directory, reached from the root without a symlink? Asked before every access, because a symlink
   * inside the root would lead out of it. @throws StoreError unavailable, naming the symlink
   */
  isDirectory(dir: string): Promise<boolean>;
  /** Makes a directory, and those above it, durably. @throws StoreError unavailable */
  ensureDirectory(dir: string): Promise<void>;
}

export const RESERVED = ['uploads', 'spool'] as const;

/** @param root an existing directory, as realpath gives it */
export function folderTree(files: FileLayer, root: string): FolderTree {
  // A directory that another call is still making exists before it is durable: only what was synced counts.
  const durable = new Set<string>([root]);

  async function isDirectory(dir: string): Promise<boolean> {
    const real = await files.realpath(dir).catch((error) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null;
      throw error;
    });
    return real === dir || walk(dir);
  }

  async function walk(dir: string): Promise<boolean> {
    let path = root;
    for (const segment of relative(root, dir).split(sep)) {
      path = join(path, segment);
      const stat = await files.lstat(path).catch((error) => {
        if (isErrno(error, 'ENOENT')) return null;
        throw error;
      });
      if (stat === null) return false;
      if (!stat.isDirectory()) throw misplaced(path, stat.isSymbolicLink() ? 'a symlink' : 'no directory');
    }
    return true;
  }

  async function ensureDirectory(dir: string): Promise<void> {
    if (durable.has(dir) && (await isDirectory(dir))) return;
    await ensureDirectory(dirname(dir));
    await files.mkdir(dir).catch((error) => {
      if (!isErrno(error, 'EEXIST')) throw error;
    });
    if (!(await isDirectory(dir))) throw misplaced(dir, 'no directory');
    await files.syncDirectory(dirname(dir));
    durable.add(dir);
  }

  return {
    root,
    uploads: join(root, 'uploads'),
    spool: join(root, 'spool'),
    objectPath(key) {
      const segments = parseKey(key).split('/');
      if ((RESERVED as readonly string[]).includes(segments[0] as string)) {
        throw new RangeError(`${JSON.stringify(key)} is no object key: the folder keeps its own files there`);
      }
      return join(root, ...segments);
    },
    uploadPath: (id) => join(root, 'uploads', parseUploadId(id)),
    isDirectory,
    ensureDirectory,
  };
}

/** Something stands in the blob folder where the service never put it. */
export function misplaced(path: string, what: string): StoreError {
  return new StoreError(
    'unavailable',
    `${path} is ${what}, which the blob folder never holds there: it was put there by somebody else; remove it.`,
  );
}
