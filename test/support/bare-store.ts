import { randomBytes } from 'node:crypto';
import { openCheckThread } from '../../src/blobs/check-thread.ts';
import { type FileLayer, realFileLayer } from '../../src/blobs/file-layer.ts';
import { type FolderStore, openFolderStore } from '../../src/blobs/fs-store.ts';
import { urlSigner } from '../../src/blobs/url-signer.ts';

/** A folder store by itself: its signed URLs lead nowhere. */
export function openBareStore(root: string, files: FileLayer = realFileLayer): Promise<FolderStore> {
  return openFolderStore({
    root,
    files,
    signer: urlSigner(randomBytes(32)),
    checker: openCheckThread(),
    publicUrl: () => 'http://localhost',
  });
}
