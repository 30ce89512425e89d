import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { ByteRange, ObjectStat } from './blob-store.ts';
import { type FileLayer, hasErrno, type OpenFile } from './file-layer.ts';
import { type FolderTree, misplaced } from './fs-paths.ts';
import type { ObjectKey } from './key-layout.ts';

/** The objects' files: put in place by `link`, which never replaces, and never touched again until removed. */
export interface ObjectFiles {
  /** Makes the directory that the object will stand in, before anything irrevocable happens. */
  prepare(key: ObjectKey): Promise<void>;
  /** Durable when it returns. @returns false if an object already exists there; it stays as it is */
  publish(key: ObjectKey, file: string): Promise<boolean>;
  /** Makes what was published last: whoever published it may have died before it did. */
  settle(key: ObjectKey): Promise<void>;
  /** @throws StoreError object_not_found, integrity_failure (the range lies outside the file) */
  open(key: ObjectKey, range?: ByteRange): Promise<Readable>;
  digest(key: ObjectKey): Promise<Digest>;
  stat(key: ObjectKey): Promise<ObjectStat | null>;
  /** Durable when it returns. */
  remove(key: ObjectKey): Promise<void>;
}

export function objectFiles(files: FileLayer, tree: FolderTree): ObjectFiles {
  async function openFile(key: ObjectKey): Promise<{ file: OpenFile; size: number }> {
    const path = tree.objectPath(key);
    const file = (await tree.isDirectory(dirname(path))) ? await files.open(path).catch(absent(path)) : null;
    if (file === null) throw new StoreError('object_not_found', `There is no object ${key}.`);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw misplaced(path, 'no file');
      return { file, size: stat.size };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async function open(key: ObjectKey, range?: ByteRange): Promise<Readable> {
    const { file, size } = await openFile(key);
    const wanted = range ?? { offset: 0, size };
    if (wanted.size > 0 && wanted.offset + wanted.size <= size) return file.stream(wanted);
    await file.close();
    if (wanted.offset + wanted.size <= size) return Readable.from([]);
    throw new StoreError(
      'integrity_failure',
      `The object ${key} has ${size} bytes; ${wanted.size} from ${wanted.offset} on were requested.`,
    );
  }

  return {
    open,

    async prepare(key) {
      await tree.ensureDirectory(dirname(tree.objectPath(key)));
    },

    async publish(key, file) {
      const path = tree.objectPath(key);
      await tree.ensureDirectory(dirname(path));
      const published = await files.link(file, path).then(
        () => true,
        (error) => {
          if (hasErrno(error, 'EEXIST')) return false;
          throw error;
        },
      );
      // Also for the one that came second: what it now counts on must last.
      await tree.syncDirectory(dirname(path));
      return published;
    },

    async settle(key) {
      await tree.syncDirectory(dirname(tree.objectPath(key)));
    },

    async digest(key) {
      const hash = createHash('sha256');
      for await (const chunk of await open(key)) hash.update(chunk as Uint8Array);
      return digestFromBytes(hash.digest());
    },

    async stat(key) {
      const path = tree.objectPath(key);
      if (!(await tree.isDirectory(dirname(path)))) return null;
      const stat = await files.lstat(path).catch(absent(path));
      if (stat && !stat.isFile()) throw misplaced(path, stat.isSymbolicLink() ? 'a symlink' : 'no file');
      // mtime is when the bytes arrived; ctime is not before the link that made them an object.
      return stat && { versionId: null, size: stat.size, modifiedAt: Math.trunc(stat.ctimeMs) };
    },

    async remove(key) {
      const path = tree.objectPath(key);
      if (!(await tree.isDirectory(dirname(path)))) return;
      const stat = await files.lstat(path).catch(absent(path));
      if (stat && !stat.isFile()) throw misplaced(path, stat.isSymbolicLink() ? 'a symlink' : 'no file');
      if (stat) await files.unlink(path).catch(absent(path));
      await tree.syncDirectory(dirname(path));
    },
  };
}

function absent(path: string): (error: unknown) => null {
  return (error) => {
    if (hasErrno(error, 'ENOENT')) return null;
    if (hasErrno(error, 'ELOOP')) throw misplaced(path, 'a symlink');
    throw error;
  };
}
