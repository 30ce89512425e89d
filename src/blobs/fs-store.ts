import { join } from 'node:path';
import type { UploadId } from '../core/ids.ts';
import { together } from '../core/together.ts';
import type { BlobStore } from './blob-store.ts';
import type { StreamChecker } from './check-thread.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';
import { storageError, storing } from './fs-errors.ts';
import { checkFolderHealth } from './fs-health.ts';
import { folderObjects } from './fs-objects.ts';
import { type FolderTree, folderTree } from './fs-paths.ts';
import { folderUploads } from './fs-uploads.ts';
import { objectFiles } from './object-files.ts';
import { type PartReceiver, partReceiver } from './part-receiver.ts';
import { openSpool, type Spool } from './spool.ts';
import { uploadFolders } from './upload-folders.ts';
import type { UrlSigner } from './url-signer.ts';

export interface FolderStoreOptions {
  /** Made when it does not exist; its parent must. */
  root: string;
  files: FileLayer;
  signer: UrlSigner;
  checker: StreamChecker;
  /** How clients reach the service, without a slash at its end; asked whenever a URL is signed. */
  publicUrl: () => string;
}

/** The local folder, locked by this process (data-folder.ts), and what the service needs of it beside the contract. */
export interface FolderStore extends BlobStore, PartReceiver {
  readonly spool: Spool;
  /** At start: removes what a process that died left half done. */
  cleanTemporaries(): Promise<{ removed: number }>;
  /** Every upload that has a folder: those that are not open can be aborted. */
  listUploads(): AsyncIterable<UploadId>;
}

/** @throws StoreError unavailable, no_space */
export function openFolderStore(options: FolderStoreOptions): Promise<FolderStore> {
  const { files, root } = options;
  return storing(`opening the blob folder ${root}`, async () => {
    await files.mkdir(root).catch((error) => {
      if (!hasErrno(error, 'EEXIST')) throw error;
    });
    const real = await files.realpath(root);
    const tree = folderTree(files, real, await files.lstat(real));
    await tree.ensureDirectory(tree.uploads);
    await tree.ensureDirectory(tree.spool);
    return lockedFolder(options, tree);
  });
}

function lockedFolder(options: FolderStoreOptions, tree: FolderTree): FolderStore {
  const { files } = options;
  /** Asked before every use: it must not have become a symlink. */
  const spoolFolder = (): Promise<string> => tree.ensureDirectory(tree.spool);
  const folders = uploadFolders(files, tree);
  const objectsAsFiles = objectFiles(files, tree);
  const receiver = partReceiver(options, folders, spoolFolder);
  const objects = folderObjects(options, tree, objectsAsFiles, spoolFolder);
  const rooms = { tree, folders, objects: objectsAsFiles, receiver, spoolFolder };
  return {
    kind: 'folder',
    objects,
    locks: null,
    uploads: folderUploads(options, rooms, objects.remove),
    spool: openSpool(files, spoolFolder),
    ...receiver,

    // Strangers may ask, and each time a file is written.
    health: together(() => checkFolderHealth(files, tree.root, spoolFolder)),

    cleanTemporaries: () =>
      storing('cleaning up', async () => {
        const spool = await spoolFolder();
        const entries = await files.readdir(spool);
        for (const { name } of entries) await files.removeTree(join(spool, name));
        return { removed: entries.length };
      }),

    async *listUploads() {
      try {
        yield* folders.ids();
      } catch (error) {
        throw storageError(error, 'listing uploads');
      }
    },

    async close() {},
  };
}
