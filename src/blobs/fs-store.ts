import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Digest } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import type { UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type {
  BlobHealth,
  BlobStore,
  ByteRange,
  CompletedObject,
  DownloadOptions,
  MaybeNamedUpload,
  ObjectRef,
  ObjectStat,
  ReceivedPart,
  SignedRequest,
  UploadHandle,
} from './blob-store.ts';
import type { StreamChecker } from './check-thread.ts';
import { type FileLayer, hasErrno } from './file-layer.ts';
import { storageError, storing } from './fs-errors.ts';
import { checkFolderHealth } from './fs-health.ts';
import { type FolderTree, folderTree } from './fs-paths.ts';
import type { ObjectKey } from './key-layout.ts';
import { listObjects } from './list-objects.ts';
import { type ObjectFiles, objectFiles } from './object-files.ts';
import { type PartReceiver, partReceiver } from './part-receiver.ts';
import { discardFile, writePrivateFile } from './private-file.ts';
import { downloadRequest, partRequest } from './signed-urls.ts';
import { openSpool, type Spool } from './spool.ts';
import { partName, type UploadFolders, uploadFolders } from './upload-folders.ts';
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
    return new LockedFolder(options, tree);
  });
}

class LockedFolder implements FolderStore {
  readonly kind = 'folder';
  readonly delivery = 'whole';
  readonly spool: Spool;
  readonly #options: FolderStoreOptions;
  readonly #tree: FolderTree;
  readonly #uploads: UploadFolders;
  readonly #objects: ObjectFiles;
  readonly #receiver: PartReceiver;

  constructor(options: FolderStoreOptions, tree: FolderTree) {
    this.#options = options;
    this.#tree = tree;
    this.#uploads = uploadFolders(options.files, tree);
    this.#objects = objectFiles(options.files, tree);
    this.#receiver = partReceiver(options, this.#uploads, this.#spoolFolder);
    this.spool = openSpool(options.files, this.#spoolFolder);
  }

  async createUpload(key: ObjectKey, uploadId: UploadId): Promise<string> {
    this.#tree.objectPath(key);
    await storing(`opening upload ${uploadId}`, () => this.#uploads.create(uploadId));
    return uploadId;
  }

  async signPart(upload: UploadHandle, part: PlannedPart, expiresAt: number): Promise<SignedRequest> {
    return partRequest(this.#options.signer, this.#options.publicUrl(), upload, part, expiresAt);
  }

  receivePart(uploadId: UploadId, part: PlannedPart, body: AsyncIterable<Uint8Array>): Promise<ReceivedPart> {
    return this.#receiver.receivePart(uploadId, part, body);
  }

  async deliverPart({ id }: UploadHandle, part: PlannedPart, file: string): Promise<void> {
    await storing(`delivering part ${part.number} of upload ${id}`, async () => {
      const stat = await this.#options.files.lstat(file);
      if (!stat.isFile() || part.offset !== 0 || stat.size !== part.size) {
        throw new StoreError('body_length_mismatch', `Part ${part.number} has ${part.size} bytes, not ${stat.size}.`);
      }
      await this.#uploads.add(id, part, file);
    });
  }

  async streamPart({ id }: UploadHandle, part: PlannedPart, body: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#receiver.receivePart(id, part, body);
  }

  listParts({ id }: UploadHandle): Promise<ReceivedPart[]> {
    return storing(`listing the parts of upload ${id}`, () => this.#uploads.list(id));
  }

  completeUpload({ id, key }: UploadHandle, parts: readonly PlannedPart[]): Promise<CompletedObject> {
    return storing(`completing upload ${id}`, async () => {
      const ordered = parts.toSorted((a, b) => a.number - b.number);
      await this.#objects.prepare(key);
      await this.#uploads.assertComplete(id, ordered);
      const folder = await this.#uploads.take(id);
      if (folder === null) throw new StoreError('upload_abandoned', `Upload ${id} has been ended by somebody else.`);
      try {
        const { size, digest } = await this.#putTogether(folder, key, ordered);
        return { size, digest, versionId: null, partsBound: true };
      } finally {
        // What cannot be removed now goes at the next start; what the completion came to is decided already.
        await this.#uploads.discard(folder, ordered).catch(() => {});
      }
    });
  }

  async abortUpload({ id }: MaybeNamedUpload): Promise<void> {
    await storing(`aborting upload ${id}`, async () => {
      const folder = await this.#uploads.take(id);
      if (folder !== null) await this.#uploads.discard(folder);
    });
  }

  /** Here an end is an end: whatever the completion came to, what is left can go. */
  async dropUpload(upload: UploadHandle): Promise<'dropped'> {
    await this.abortUpload(upload);
    await this.removeObject({ key: upload.key, versionId: null });
    return 'dropped';
  }

  writeObject(key: ObjectKey, bytes: AsyncIterable<Uint8Array>): Promise<{ size: number; digest: Digest }> {
    return storing(`writing ${key}`, async () => {
      await this.#objects.prepare(key);
      const { file, size, digest } = await writePrivateFile(this.#options.files, await this.#spoolFolder(), bytes);
      try {
        if (await this.#objects.publish(key, file)) return { size, digest };
        const standing = await this.#objects.digest(key);
        if (standing === digest) return { size, digest };
        throw new StoreError('integrity_failure', `${key} stands already with ${standing}; it was to be ${digest}.`, {
          expected_digest: digest,
          actual_digest: standing,
        });
      } finally {
        await discardFile(this.#options.files, file);
      }
    });
  }

  openObject({ key }: ObjectRef, range?: ByteRange): Promise<Readable> {
    return storing(`opening ${key}`, () => this.#objects.open(key, range));
  }

  statObject({ key }: ObjectRef): Promise<ObjectStat | null> {
    return storing(`looking at ${key}`, async () => {
      const stat = await this.#objects.stat(key);
      if (stat === null) await this.#tree.assertRoot();
      return stat;
    });
  }

  async removeObject({ key }: ObjectRef): Promise<void> {
    await storing(`removing ${key}`, () => this.#objects.remove(key));
  }

  async *listObjects(prefix: string): AsyncGenerator<ObjectStat & { key: ObjectKey }> {
    try {
      yield* listObjects(this.#options.files, this.#tree, prefix, (key) => this.#objects.stat(key));
    } catch (error) {
      throw storageError(error, `listing ${JSON.stringify(prefix.slice(0, 200))}`);
    }
  }

  async signDownload(_ref: ObjectRef, options: DownloadOptions): Promise<SignedRequest> {
    return downloadRequest(this.#options.signer, this.#options.publicUrl(), options);
  }

  health(): Promise<BlobHealth> {
    return checkFolderHealth(this.#options.files, this.#tree.root, this.#spoolFolder);
  }

  cleanTemporaries(): Promise<{ removed: number }> {
    return storing('cleaning up', async () => {
      const spool = await this.#spoolFolder();
      const entries = await this.#options.files.readdir(spool);
      for (const { name } of entries) await this.#options.files.removeTree(join(spool, name));
      return { removed: entries.length };
    });
  }

  async *listUploads(): AsyncGenerator<UploadId> {
    try {
      yield* this.#uploads.ids();
    } catch (error) {
      throw storageError(error, 'listing uploads');
    }
  }

  async close(): Promise<void> {}

  /** One part is the object already: its file gets the object's name, and no byte is copied. */
  async #putTogether(
    folder: string,
    key: ObjectKey,
    parts: readonly PlannedPart[],
  ): Promise<{ size: number; digest: Digest }> {
    const [first] = parts;
    if (first && parts.length === 1) {
      await this.#publish(key, join(folder, partName(first)));
      return { size: first.size, digest: first.digest };
    }
    const { files, checker } = this.#options;
    const bytes = this.#read(parts.map((part) => join(folder, partName(part))));
    const hash = checker.forSize(parts.reduce((sum, { size }) => sum + size, 0));
    const { file, size, digest } = await writePrivateFile(files, await this.#spoolFolder(), bytes, {}, hash);
    try {
      await this.#publish(key, file);
      return { size, digest };
    } finally {
      await discardFile(this.#options.files, file);
    }
  }

  async #publish(key: ObjectKey, file: string): Promise<void> {
    if (await this.#objects.publish(key, file)) return;
    throw new StoreError(
      'upload_abandoned',
      `An object stands already under ${key}, which is no reason to replace it.`,
    );
  }

  /** The bytes of several files, one after the other. */
  async *#read(paths: readonly string[]): AsyncGenerator<Uint8Array> {
    for (const path of paths) {
      const file = await this.#options.files.open(path);
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

  /** Asked before every use: it must not have become a symlink. */
  readonly #spoolFolder = (): Promise<string> => this.#tree.ensureDirectory(this.#tree.spool);
}

const COPY_BUFFER = 1024 ** 2;
