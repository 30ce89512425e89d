import { join } from 'node:path';
import type { BlobStore, ObjectReader } from './blobs/blob-store.ts';
import type { StreamChecker } from './blobs/check-thread.ts';
import type { DataFolder } from './blobs/data-folder.ts';
import { realFileLayer } from './blobs/file-layer.ts';
import { openFolderStore } from './blobs/fs-store.ts';
import { openSpool } from './blobs/spool.ts';
import { urlSigner } from './blobs/url-signer.ts';
import type { S3Config } from './config.ts';
import { placeOfBucket, placeOfFolder } from './configured-blobs.ts';

/** The blob store that the configuration names, for those who only read: it is neither probed nor cleaned up. */
export interface ConfiguredReader {
  objects: ObjectReader;
  /** Where it is, in words for operators. */
  place: string;
  close(): Promise<void>;
}

export async function openConfiguredReader(
  s3: S3Config | null,
  folder: DataFolder,
  checker: StreamChecker,
): Promise<ConfiguredReader> {
  const store = await (s3 === null ? openFolder(folder, checker) : openBucket(s3, folder));
  const place = s3 === null ? placeOfFolder(folder) : placeOfBucket(s3);
  return { objects: store.objects, place, close: () => store.close() };
}

function openFolder(folder: DataFolder, checker: StreamChecker): Promise<BlobStore> {
  const signer = urlSigner(folder.signingKey);
  return openFolderStore({ root: folder.blobsDir, files: realFileLayer, signer, checker, publicUrl: nowhere });
}

async function openBucket(s3: S3Config, folder: DataFolder): Promise<BlobStore> {
  const { openS3Store } = await import('./blobs/s3/s3-store.ts');
  return openS3Store({
    ...s3,
    clock: Date.now,
    verify: 'read',
    report: () => null,
    probeAgain: async () => {},
    spool: openSpool(realFileLayer, async () => join(folder.dir, 'spool')),
    selfServed: nowhere,
  });
}

/** Nobody is given a URL of what is only read. */
function nowhere(): never {
  throw new Error('this store signs no URLs');
}
