import { StoreError } from '../core/errors.ts';
import type { Objects } from './blob-store.ts';
import type { FileLayer } from './file-layer.ts';
import { storageError, storing } from './fs-errors.ts';
import type { FolderTree } from './fs-paths.ts';
import { listObjects } from './list-objects.ts';
import type { ObjectFiles } from './object-files.ts';
import { discardFile, writePrivateFile } from './private-file.ts';
import { downloadRequest } from './signed-urls.ts';
import type { UrlSigner } from './url-signer.ts';

export interface FolderObjectsOptions {
  files: FileLayer;
  signer: UrlSigner;
  /** How clients reach the service, without a slash at its end; asked whenever a URL is signed. */
  publicUrl: () => string;
}

/** Objects as files. @param spoolFolder gives the folder to write in, checked */
export function folderObjects(
  { files, signer, publicUrl }: FolderObjectsOptions,
  tree: FolderTree,
  objects: ObjectFiles,
  spoolFolder: () => Promise<string>,
): Objects {
  const remove: Objects['remove'] = ({ key }) =>
    storing(`removing ${key}`, async () => {
      await objects.remove(key);
      return true;
    });
  return {
    open: ({ key }, range) => storing(`opening ${key}`, () => objects.open(key, range)),

    stat: ({ key }) =>
      storing(`looking at ${key}`, async () => {
        const stat = await objects.stat(key);
        if (stat === null) await tree.assertRoot();
        return stat;
      }),

    async *list(prefix) {
      try {
        yield* listObjects(files, tree, prefix, (key) => objects.stat(key));
      } catch (error) {
        throw storageError(error, `listing ${JSON.stringify(prefix.slice(0, 200))}`);
      }
    },

    async signDownload(_ref, options) {
      return downloadRequest(signer, publicUrl(), options);
    },

    write: (key, bytes) =>
      storing(`writing ${key}`, async () => {
        await objects.prepare(key);
        const { file, size, digest } = await writePrivateFile(files, await spoolFolder(), bytes);
        try {
          if (await objects.publish(key, file)) return { size, digest, versionId: null };
          const standing = await objects.digest(key);
          if (standing === digest) return { size, digest, versionId: null };
          throw new StoreError('integrity_failure', `${key} already exists with ${standing}, not ${digest}.`, {
            expected_digest: digest,
            actual_digest: standing,
          });
        } finally {
          await discardFile(files, file);
        }
      }),

    remove,

    async removeMany(refs) {
      for (const ref of refs) await remove(ref);
      return [];
    },
  };
}
