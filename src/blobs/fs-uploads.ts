import { join } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { MaybeNamedUpload, Objects, Uploads } from './blob-store.ts';
import type { StreamChecker } from './check-thread.ts';
import type { FileLayer } from './file-layer.ts';
import { storing } from './fs-errors.ts';
import type { FolderTree } from './fs-paths.ts';
import type { ObjectKey } from './key-layout.ts';
import type { ObjectFiles } from './object-files.ts';
import type { PartReceiver } from './part-receiver.ts';
import { discardFile, writePrivateFile } from './private-file.ts';
import { partRequest } from './signed-urls.ts';
import { partName, type UploadFolders } from './upload-folders.ts';
import type { UrlSigner } from './url-signer.ts';

export interface FolderUploadsOptions {
  files: FileLayer;
  signer: UrlSigner;
  checker: StreamChecker;
  /** How clients reach the service, without a slash at its end; asked whenever a URL is signed. */
  publicUrl: () => string;
}

/** What uploads are made of, and become. */
export interface FolderInside {
  tree: FolderTree;
  folders: UploadFolders;
  objects: ObjectFiles;
  receiver: PartReceiver;
  /** Gives the folder to write in, checked. */
  spoolFolder: () => Promise<string>;
}

/** Uploads as folders of parts. @param removeObject of what a completed one has made */
export function folderUploads(
  { files, signer, checker, publicUrl }: FolderUploadsOptions,
  { tree, folders, objects, receiver, spoolFolder }: FolderInside,
  removeObject: Objects['remove'],
): Uploads {
  async function abort({ id }: MaybeNamedUpload): Promise<void> {
    await storing(`aborting upload ${id}`, async () => {
      const folder = await folders.take(id);
      if (folder !== null) await folders.discard(folder);
    });
  }

  /** One part is the object already: its file gets the object's name, and no byte is copied. */
  async function putTogether(
    folder: string,
    key: ObjectKey,
    parts: readonly PlannedPart[],
  ): Promise<{ size: number; digest: Digest }> {
    const [first] = parts;
    if (first && parts.length === 1) {
      await publish(key, join(folder, partName(first)));
      return { size: first.size, digest: first.digest };
    }
    const bytes = readAll(parts.map((part) => join(folder, partName(part))));
    const hash = checker.forSize(parts.reduce((sum, { size }) => sum + size, 0));
    const { file, size, digest } = await writePrivateFile(files, await spoolFolder(), bytes, {}, hash);
    try {
      await publish(key, file);
      return { size, digest };
    } finally {
      await discardFile(files, file);
    }
  }

  async function publish(key: ObjectKey, file: string): Promise<void> {
    if (await objects.publish(key, file)) return;
    throw new StoreError('upload_abandoned', `An object already exists under ${key}; it is not replaced.`);
  }

  /** The bytes of several files, one after the other. */
  async function* readAll(paths: readonly string[]): AsyncGenerator<Uint8Array> {
    for (const path of paths) {
      const file = await files.open(path);
      try {
        for (let position = 0, count = COPY_BUFFER; count === COPY_BUFFER; position += count) {
          const buffer = Buffer.allocUnsafe(COPY_BUFFER);
          count = await file.read(buffer, position);
          if (count > 0) yield buffer.subarray(0, count);
        }
      } finally {
        await file.close();
      }
    }
  }

  return {
    async *listBegun() {},

    delivery: 'whole',
    abort,

    async create(key, uploadId) {
      tree.objectPath(key);
      await storing(`opening upload ${uploadId}`, () => folders.create(uploadId));
      return uploadId;
    },

    async signPart(upload, part, expiresAt) {
      return partRequest(signer, publicUrl(), upload, part, expiresAt);
    },

    async deliverPart({ id }, part, file) {
      await storing(`delivering part ${part.number} of upload ${id}`, async () => {
        const stat = await files.lstat(file);
        if (!stat.isFile() || part.offset !== 0 || stat.size !== part.size) {
          throw new StoreError('body_length_mismatch', `Part ${part.number} has ${part.size} bytes, not ${stat.size}.`);
        }
        await folders.add(id, part, file);
      });
    },

    async streamPart({ id }, part, body) {
      await receiver.receivePart(id, part, body);
    },

    listParts: ({ id }) => storing(`listing the parts of upload ${id}`, () => folders.list(id)),

    complete: ({ id, key }, parts) =>
      storing(`completing upload ${id}`, async () => {
        const ordered = parts.toSorted((a, b) => a.number - b.number);
        await objects.prepare(key);
        await folders.assertComplete(id, ordered);
        const folder = await folders.take(id);
        if (folder === null) throw new StoreError('upload_abandoned', `Upload ${id} has been ended by somebody else.`);
        try {
          const { size, digest } = await putTogether(folder, key, ordered);
          return { size, digest, versionId: null, partsBound: true };
        } finally {
          // What cannot be removed now goes at the next start; what the completion came to is decided already.
          await folders.discard(folder, ordered).catch(() => {});
        }
      }),

    /** Here an end is an end: once its folder is taken no object can come of it, and what stands came by one link, whole. */
    async settle(upload) {
      await abort(upload);
      return storing(`looking what became of upload ${upload.id}`, async () => {
        const stands = await objects.stat(upload.key);
        if (stands === null) {
          await tree.assertRoot();
          return 'nothing';
        }
        await objects.settle(upload.key);
        return { size: stands.size, digest: null, versionId: null, partsBound: false };
      });
    },

    async drop(upload, completion) {
      await abort(upload);
      if (completion === 'clean') await removeObject({ key: upload.key, versionId: null });
      if (completion !== 'unclean') return 'dropped';
      if ((await objects.stat(upload.key)) !== null) return 'later';
      await tree.assertRoot();
      return 'dropped';
    },
  };
}

const COPY_BUFFER = 1024 ** 2;
