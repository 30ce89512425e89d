import type { Stats } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { StoreError } from '../core/errors.ts';
import { parseUploadId, type UploadId } from '../core/ids.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';
import { type ObjectKey, parseKey } from './key-layout.ts';
import { sharedSync } from './shared-sync.ts';

/**
 * The folder backend's tree. Objects are stored under their keys (key-layout.ts); beside them, under names that no key
 * may begin with:
 *
 *     uploads/<upload id>/<number>.<64 hex>    a part that arrived whole: its digest is its name
 *     spool/<random>                           bytes on their way in, and what is about to be removed
 */
export interface FolderTree {
  readonly root: string;
  readonly uploads: string;
  readonly spool: string;
  /** @throws RangeError if it is not a key */
  objectPath(key: ObjectKey): string;
  /** @throws StoreError upload_not_found if it is not an upload id */
  uploadPath(id: UploadId): string;
  /**
   * Is there such a directory, reached from the root without a symlink? Asked before every access, because a symlink
   * inside the root would lead out of it. @throws StoreError unavailable, its cause naming the symlink
   */
  isDirectory(dir: string): Promise<boolean>;
  /** Makes a directory, and those above it, durably. @returns it @throws StoreError unavailable */
  ensureDirectory(dir: string): Promise<string>;
  /** Makes the names in a directory last. */
  syncDirectory(dir: string): Promise<void>;
  /**
   * Asked before anything is said to be gone: a volume that was unmounted leaves an empty folder in its place.
   * @throws StoreError unavailable when the root is not the folder that it was
   */
  assertRoot(): Promise<void>;
}

const RESERVED = ['uploads', 'spool'];

/** Directories known to be durable; all that objects can have (256 × 256) fit in. */
const REMEMBERED = 100_000;

/** May an object stand under this name, seen from the root? */
export function isObjectKey(text: string): text is ObjectKey {
  try {
    return !RESERVED.includes(parseKey(text).split('/')[0] as string);
  } catch {
    return false;
  }
}

/** @param root an existing directory, as realpath gives it @param opened what it is */
export function folderTree(files: FileLayer, root: string, opened: Pick<Stats, 'dev' | 'ino'>): FolderTree {
  const syncDirectory = sharedSync((dir) => files.syncDirectory(dir));
  // A directory that another call is still making exists before it is durable: only what was synced counts.
  const durable = new Set<string>();

  async function isDirectory(dir: string): Promise<boolean> {
    const real = await files.realpath(dir).catch((error) => {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null;
      throw error;
    });
    return real === dir || walk(dir);
  }

  async function walk(dir: string): Promise<boolean> {
    let path = root;
    for (const segment of relative(root, dir).split(sep)) {
      path = join(path, segment);
      const stat = await files.lstat(path).catch((error) => {
        if (hasErrno(error, 'ENOENT')) return null;
        throw error;
      });
      if (stat === null) return false;
      if (!stat.isDirectory()) throw misplaced(path, stat.isSymbolicLink() ? 'a symlink' : 'no directory');
    }
    return true;
  }

  async function ensureDirectory(dir: string): Promise<string> {
    if (dir === root || durable.has(dir)) {
      if (await isDirectory(dir)) return dir;
      if (dir === root)
        throw unlike('The blob folder is gone: the log of the service names it.', `there is no folder ${root}`);
    }
    await ensureDirectory(dirname(dir));
    if (!(await make(dir)) && !(await isDirectory(dir))) throw misplaced(dir, 'no directory');
    await syncDirectory(dirname(dir));
    if (durable.size >= REMEMBERED) durable.clear();
    durable.add(dir);
    return dir;
  }

  /** @returns false when something of that name stood there */
  async function make(dir: string): Promise<boolean> {
    try {
      await files.mkdir(dir);
      return true;
    } catch (error) {
      if (hasErrno(error, 'EEXIST')) return false;
      throw error;
    }
  }

  return {
    root,
    uploads: join(root, 'uploads'),
    spool: join(root, 'spool'),
    objectPath(key) {
      if (isObjectKey(key)) return join(root, ...key.split('/'));
      throw new RangeError(`${JSON.stringify(String(key).slice(0, 200))} is not a key that an object can have`);
    },
    uploadPath: (id) => join(root, 'uploads', parseUploadId(id)),
    isDirectory,
    ensureDirectory,
    syncDirectory,
    async assertRoot() {
      const { dev, ino } = await files.lstat(root);
      if (dev === opened.dev && ino === opened.ino) return;
      const detail =
        'The blob folder is not the one that was there at the start of the service: was a volume unmounted?';
      throw unlike(detail, `${root} was another folder: put it back, or restart the service`);
    },
  };
}

/** There is something in the blob folder that the service never put there. */
export function misplaced(path: string, what: string): StoreError {
  const detail =
    'There is something in the blob folder that the service never puts there: its log says what it is, and what to do.';
  return unlike(detail, `${path} is ${what}: it was put there by somebody else; remove it`);
}

/** The caller does not learn where the folder is; the log and the operator's doctor do. */
function unlike(detail: string, where: string): StoreError {
  return new StoreError('unavailable', detail, {}, { cause: new Error(where) });
}
