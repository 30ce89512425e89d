import { join } from 'node:path';
import { type Digest, digestFromHex, digestHex } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { isId, type UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { ReceivedPart } from './blob-store.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';
import { type FolderTree, misplaced } from './fs-paths.ts';
import { privateName } from './private-file.ts';

const PART_NAME = /^([1-9]\d{0,4})\.([0-9a-f]{64})$/;

/**
 * One folder per open upload, holding the parts that arrived whole. An upload is over the moment its folder is taken
 * away, by one rename: no part can be added afterwards, and only one caller can take it.
 */
export interface UploadFolders {
  /** Idempotent. */
  create(id: UploadId): Promise<void>;
  /** @throws StoreError upload_closed when the upload is over or unknown */
  assertOpen(id: UploadId): Promise<void>;
  /**
   * Makes a private file a part, durably. The part that stands there already has the same bytes: its digest is its name.
   * @throws StoreError upload_closed
   */
  add(id: UploadId, part: PlannedPart, file: string): Promise<ReceivedPart>;
  /** @returns null when the upload is over or unknown @throws StoreError unavailable: the folder is not the one that it was */
  list(id: UploadId): Promise<ReceivedPart[] | null>;
  /** @throws StoreError upload_incomplete, naming the parts that are not there whole */
  assertComplete(id: UploadId, parts: readonly PlannedPart[]): Promise<void>;
  /** Ends the upload. @returns where its folder is now, for the caller to remove; null when there was none */
  take(id: UploadId): Promise<string | null>;
  /** Removes what `take` gave. @param parts what it most likely holds */
  discard(taken: string, parts?: readonly PlannedPart[]): Promise<void>;
  ids(): AsyncIterable<UploadId>;
}

export function partName(part: { number: number; digest: Digest }): string {
  return `${part.number}.${digestHex(part.digest)}`;
}

export function uploadFolders(files: FileLayer, tree: FolderTree): UploadFolders {
  async function sizeOf(path: string): Promise<number | null> {
    const stat = await files.lstat(path).catch(absent);
    if (stat && !stat.isFile()) throw misplaced(path, stat.isSymbolicLink() ? 'a symlink' : 'no file');
    return stat === null ? null : stat.size;
  }

  async function assertOpen(id: UploadId): Promise<void> {
    if (!(await tree.isDirectory(tree.uploadPath(id)))) throw closed(id);
  }

  return {
    async create(id) {
      const folder = tree.uploadPath(id);
      await tree.ensureDirectory(tree.uploads);
      try {
        await files.mkdir(folder);
      } catch (error) {
        if (!hasErrno(error, 'EEXIST')) throw error;
        if (!(await tree.isDirectory(folder))) throw misplaced(folder, 'no directory');
      }
      await tree.syncDirectory(tree.uploads);
    },

    assertOpen,

    async add(id, part, file) {
      const folder = tree.uploadPath(id);
      await assertOpen(id);
      try {
        await files.link(file, join(folder, partName(part))).catch((error) => {
          if (!hasErrno(error, 'EEXIST')) throw error;
        });
        await tree.syncDirectory(folder);
      } catch (error) {
        throw hasErrno(error, 'ENOENT') ? closed(id) : error;
      }
      return receivedPart(part);
    },

    async list(id) {
      const folder = tree.uploadPath(id);
      const entries = (await tree.isDirectory(folder)) ? await files.readdir(folder).catch(absent) : null;
      if (entries === null) {
        await tree.assertRoot();
        return null;
      }
      const parts = entries.map(async ({ name }) => {
        const match = PART_NAME.exec(name);
        const size = match && (await sizeOf(join(folder, name)));
        if (!match || size === null) return [];
        return [receivedPart({ number: Number(match[1]), size, digest: digestFromHex(match[2] as string) })];
      });
      return (await Promise.all(parts)).flat();
    },

    async assertComplete(id, parts) {
      const folder = tree.uploadPath(id);
      const open = await tree.isDirectory(folder);
      const sizes = await Promise.all(parts.map((part) => (open ? sizeOf(join(folder, partName(part))) : null)));
      const missing = parts.filter((part, index) => sizes[index] !== part.size).map((part) => part.number);
      if (parts.length > 0 && missing.length === 0) return;
      throw new StoreError('upload_incomplete', `Upload ${id} has not received ${list(missing)}.`, {
        missing_parts: missing.slice(0, 100),
      });
    },

    async take(id) {
      const folder = tree.uploadPath(id);
      if (!(await tree.isDirectory(tree.uploads))) return null;
      const taken = privateName(await tree.ensureDirectory(tree.spool));
      return files.rename(folder, taken).then(() => taken, absent);
    },

    async discard(taken, parts = []) {
      // Two calls for the common case, where a walk through the folder would take five.
      for (const part of parts) await files.unlink(join(taken, partName(part))).catch(absent);
      await files.rmdir(taken).catch(() => files.removeTree(taken));
    },

    async *ids() {
      if (!(await tree.isDirectory(tree.uploads))) return;
      for (const { name } of await files.readdir(tree.uploads)) {
        if (isId('upl', name)) yield name as UploadId;
      }
    },
  };
}

function receivedPart(part: { number: number; size: number; digest: Digest }): ReceivedPart {
  return { number: part.number, size: part.size, etag: `"${part.digest}"` };
}

function closed(id: UploadId): StoreError {
  return new StoreError('upload_closed', `Upload ${id} accepts no more parts: plan the object again.`);
}

function list(numbers: readonly number[]): string {
  return numbers.length === 0 ? 'any part' : `the parts ${numbers.slice(0, 100).join(', ')}`;
}

function absent(error: unknown): null {
  if (hasErrno(error, 'ENOENT')) return null;
  throw error;
}
