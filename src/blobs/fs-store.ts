import { createHash, randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Digest, digestFromBytes } from '../core/digest.ts';
import { StoreError } from '../core/errors.ts';
import { isId, type UploadId } from '../core/ids.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { BlobHealth, BlobStore, ByteRange, ObjectRef, ObjectStat, ReceivedPart } from './blob-store.ts';
import { type FileLayer, hasErrno, storageError } from './file-layer.ts';
import { writeHashed } from './hashed-write.ts';
import { type ObjectKey, parseKey } from './key-layout.ts';
import type { PartReceiver } from './part-receiver.ts';
import { safeFolder } from './safe-folder.ts';
import { folderSpool, type Spool } from './spool.ts';
import type { UrlSigner } from './url-signer.ts';

/**
 * Blobs in a local folder. Below the root:
 *
 *     objects/…, packages/…     as key-layout.ts says; files of mode 0444, linked into place, never written to
 *     uploads/<upload id>/<n>   parts that have arrived whole
 *     spool/<random>            bytes on their way in: a private file for every attempt
 *
 * A file gets its name by `link`, which fails when the name is taken, after its bytes are durable; the directory is
 * made durable before anything is called stored.
 */
export interface FolderStore extends BlobStore, PartReceiver {
  readonly spool: Spool;
  /** Removes what attempts of a process that died have left. Only before the store is used. */
  cleanTemporaries(): Promise<{ removed: number }>;
  /** Uploads that have a folder here. */
  listUploads(): AsyncIterable<UploadId>;
}

export interface FolderStoreOptions {
  root: string;
  files: FileLayer;
  signer: UrlSigner;
  publicUrl: () => string;
}

const READ_CHUNK = 256 * 1024;
const COPY_CHUNK = 4 * 1024 ** 2;

export async function openFolderStore({ root, files, signer, publicUrl }: FolderStoreOptions): Promise<FolderStore> {
  const folder = safeFolder(files, root);
  const spoolDir = join(root, 'spool');
  for (const name of ['objects', 'packages', 'uploads', 'spool']) await folder.make(`${name}/_`);

  const partName = (uploadId: UploadId, number: number): string => `uploads/${checkedId(uploadId)}/${number}`;
  const temporary = (): string => join(spoolDir, randomUUID());

  /** Gives a durable file its name, durably. @returns false when the name is taken */
  async function linkInto(from: string, name: string): Promise<boolean> {
    const path = await folder.make(name);
    try {
      await files.link(from, path);
    } catch (error) {
      if (hasErrno(error, 'EEXIST')) return false;
      throw error;
    }
    await files.syncDirectory(join(path, '..'));
    return true;
  }

  async function removeUploadFolder(uploadId: UploadId): Promise<void> {
    const path = await folder.find(`uploads/${checkedId(uploadId)}/_`);
    if (path === null) return;
    const dir = join(path, '..');
    for (const entry of await files.list(dir)) await files.unlink(join(dir, entry.name)).catch(ignoreAbsence);
    await files.rmdir(dir).catch(ignoreAbsence);
  }

  async function statName(name: string): Promise<ObjectStat | null> {
    const path = await folder.find(name);
    if (path === null) return null;
    try {
      const stat = await files.lstat(path);
      if (stat.isFile()) return { size: stat.size, modifiedAt: Math.round(stat.mtimeMs) };
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return null;
      throw error;
    }
    throw new StoreError('unavailable', `${path} must be a file: somebody changed the data folder.`);
  }

  async function openName(name: string): Promise<FileHandle | null> {
    const path = await folder.find(name);
    if (path === null) return null;
    try {
      return await files.open(path);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return null;
      if (hasErrno(error, 'ELOOP')) {
        throw new StoreError('unavailable', `${path} must be a file, not a link: somebody changed the data folder.`);
      }
      throw error;
    }
  }

  /** Writes the parts one after the other into a new private file. */
  async function assemble(
    uploadId: UploadId,
    parts: readonly PlannedPart[],
  ): Promise<{ file: string; digest: Digest }> {
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for (const part of parts) {
        const handle = await openName(partName(uploadId, part.number));
        if (!handle) throw new StoreError('upload_incomplete', `Part ${part.number} of ${uploadId} is not there.`);
        yield* readFrom(handle, { offset: 0, size: part.size }, COPY_CHUNK);
      }
    }
    const file = temporary();
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const { digest } = await writeHashed(files, file, bytes(), size);
    return { file, digest };
  }

  const store: FolderStore = {
    kind: 'folder',
    spool: folderSpool(files, spoolDir),

    createUpload: guarded(async (_key, uploadId) => {
      await folder.make(`uploads/${checkedId(uploadId)}/_`);
      return uploadId;
    }),

    async signPart({ id }, { number, digest, size }, expiresAt) {
      const signature = signer.signPart({ uploadId: id, number, digest, size, expires: expiresAt });
      return {
        method: 'PUT',
        url: `${publicUrl()}/v1/uploads/${id}/parts/${number}?expires=${expiresAt}&signature=${signature}`,
        headers: { 'content-length': String(size), 'content-type': 'application/octet-stream' },
        expiresAt,
      };
    },

    receivePart: guarded(async (uploadId, part, body) => {
      const file = temporary();
      const { digest, size } = await writeHashed(files, file, body, part.size);
      try {
        if (size !== part.size) {
          throw new StoreError('body_length_mismatch', `Part ${part.number} has ${part.size} bytes, not ${size}.`, {
            digest: part.digest,
          });
        }
        if (digest !== part.digest) {
          throw new StoreError(
            'part_digest_mismatch',
            `Part ${part.number} has the digest ${digest}, not ${part.digest}.`,
            {
              digest: part.digest,
              expected_digest: part.digest,
              actual_digest: digest,
            },
          );
        }
        await placePart(uploadId, part, file);
      } finally {
        await files.unlink(file).catch(ignoreAbsence);
      }
      return { number: part.number, size, etag: `"${part.digest}"` };
    }),

    deliverPart: guarded(async ({ id }, part, file) => placePart(id, part, file)),

    listParts: guarded(async ({ id }) => {
      const path = await folder.find(`uploads/${checkedId(id)}/_`);
      if (path === null) return [];
      const parts: ReceivedPart[] = [];
      for (const entry of await files.list(join(path, '..'))) {
        if (!/^[1-9]\d*$/.test(entry.name)) continue;
        const stat = await statName(`uploads/${id}/${entry.name}`);
        if (stat) parts.push({ number: Number(entry.name), size: stat.size, etag: `"${entry.name}"` });
      }
      return parts;
    }),

    completeUpload: guarded(async ({ id, key }, parts) => {
      for (const part of parts) {
        const stat = await statName(partName(id, part.number));
        if (stat?.size !== part.size) {
          throw new StoreError('upload_incomplete', `Part ${part.number} of ${id} has not arrived.`);
        }
      }
      const [only] = parts;
      // A part is a file that nobody writes to and whose digest was enforced when it came: it can become the object.
      const whole =
        parts.length === 1 && only
          ? { file: (await folder.find(partName(id, only.number))) as string, digest: only.digest }
          : await assemble(id, parts);
      try {
        await files.chmod(whole.file, 0o444);
        if (!(await linkInto(whole.file, parseKey(key)))) {
          throw new StoreError('upload_abandoned', `${key} is taken: a key is never used twice.`);
        }
      } finally {
        if (parts.length !== 1) await files.unlink(whole.file).catch(ignoreAbsence);
      }
      await removeUploadFolder(id);
      const size = parts.reduce((sum, part) => sum + part.size, 0);
      return { size, versionId: null, digest: whole.digest };
    }),

    abortUpload: guarded(async ({ id }) => removeUploadFolder(id)),

    writeObject: guarded(async (key, bytes) => {
      const file = temporary();
      const written = await writeHashed(files, file, bytes, Number.MAX_SAFE_INTEGER);
      try {
        await files.chmod(file, 0o444);
        if (await linkInto(file, parseKey(key))) return written;
        const standing = await openName(parseKey(key));
        const digest = standing && (await digestOfFile(standing));
        if (digest === written.digest) return written;
        throw new StoreError('integrity_failure', `${key} stands with the digest ${digest}, not ${written.digest}.`);
      } finally {
        await files.unlink(file).catch(ignoreAbsence);
      }
    }),

    openObject: guarded(async ({ key }: ObjectRef, range?: ByteRange) => {
      const handle = await openName(parseKey(key));
      if (!handle) throw new StoreError('object_not_found', `There is no object ${key}.`);
      try {
        const { size } = await handle.stat();
        const wanted = range ?? { offset: 0, size };
        if (wanted.offset + wanted.size > size) {
          throw new StoreError('integrity_failure', `${key} has ${size} bytes, fewer than it had when it was stored.`);
        }
        if (wanted.size === 0) {
          await handle.close();
          return Readable.from([]);
        }
        const end = wanted.offset + wanted.size - 1;
        return handle.createReadStream({ start: wanted.offset, end, highWaterMark: READ_CHUNK });
      } catch (error) {
        await handle.close();
        throw error;
      }
    }),

    statObject: guarded(async ({ key }) => statName(parseKey(key))),

    removeObject: guarded(async ({ key }) => {
      const path = await folder.find(parseKey(key));
      if (path === null) return;
      await files.unlink(path).catch(ignoreAbsence);
      await files.syncDirectory(join(path, '..'));
    }),

    listObjects: (prefix) => listKeys(prefix),

    async signDownload(_ref, { objectId, expiresAt, range }) {
      const signature = signer.signDownload({ objectId, range, expires: expiresAt });
      const bounds = range ? `&range=${range.offset}-${range.size}` : '';
      return {
        method: 'GET',
        url: `${publicUrl()}/v1/objects/${objectId}?expires=${expiresAt}&signature=${signature}${bounds}`,
        headers: rangeHeader(range),
        expiresAt,
      };
    },

    async health() {
      const started = performance.now();
      const health: BlobHealth = {
        kind: 'folder',
        ok: false,
        latency_ms: 0,
        free_bytes: null,
        capabilities: { writable: false, part_digest_enforced: true, overwrite_refused: true },
      };
      try {
        health.free_bytes = await files.freeBytes(root);
        const file = temporary();
        await writeHashed(files, file, Readable.from([Buffer.from('health')]), 100);
        await files.unlink(file);
        health.ok = true;
        health.capabilities.writable = true;
      } catch (error) {
        health.error = storageError(error).message;
      }
      health.latency_ms = Math.round((performance.now() - started) * 100) / 100;
      return health;
    },

    async close() {},

    async cleanTemporaries() {
      let removed = 0;
      for (const entry of await files.list(spoolDir)) {
        await files.unlink(join(spoolDir, entry.name));
        removed++;
      }
      return { removed };
    },

    async *listUploads() {
      for (const entry of await files.list(join(root, 'uploads'))) {
        if (entry.isDirectory() && isId('upl', entry.name)) yield entry.name as UploadId;
      }
    },
  };
  return store;

  async function placePart(uploadId: UploadId, part: PlannedPart, file: string): Promise<void> {
    const path = await folder.find(partName(uploadId, part.number));
    if (path === null) throw new StoreError('upload_closed', `Upload ${uploadId} takes no more parts: plan it again.`);
    try {
      await files.link(file, path);
    } catch (error) {
      // The same bytes, since every attempt is held against the planned digest.
      if (hasErrno(error, 'EEXIST')) return;
      if (hasErrno(error, 'ENOENT')) {
        throw new StoreError('upload_closed', `Upload ${uploadId} takes no more parts: plan it again.`);
      }
      throw error;
    }
    await files.syncDirectory(join(path, '..'));
  }

  async function* listKeys(prefix: string): AsyncGenerator<ObjectStat & { key: ObjectKey }> {
    const parent = prefix.split('/').slice(0, -1).join('/');
    // A prefix that is no key prefix matches nothing, and must not lead anywhere.
    if (parent !== '') parseKey(parent);
    yield* walk(parent);

    async function* walk(name: string): AsyncGenerator<ObjectStat & { key: ObjectKey }> {
      const path = await folder.find(name === '' ? '_' : `${name}/_`);
      if (path === null) return;
      const entries = await files.list(join(path, '..'));
      // Ordered as keys are: a directory sorts with its slash.
      const names = entries.map((entry) => ({ entry, sort: entry.isDirectory() ? `${entry.name}/` : entry.name }));
      names.sort((a, b) => (a.sort < b.sort ? -1 : 1));
      for (const { entry } of names) {
        const key = name === '' ? entry.name : `${name}/${entry.name}`;
        if (name === '' && !OBJECT_ROOTS.has(entry.name)) continue;
        if (entry.isDirectory()) {
          if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) yield* walk(key);
        } else if (entry.isFile() && key.startsWith(prefix)) {
          const stat = await statName(key);
          if (stat) yield { key: parseKey(key), ...stat };
        }
      }
    }
  }
}

/** The top-level names that hold objects; the others are the store's own. */
const OBJECT_ROOTS = new Set(['objects', 'packages']);

function checkedId(uploadId: UploadId): UploadId {
  if (isId('upl', uploadId)) return uploadId;
  throw new RangeError(`${JSON.stringify(String(uploadId).slice(0, 100))} is no upload id`);
}

/** Every failure of the file system leaves the store as an error of ours. */
function guarded<Args extends unknown[], Result>(
  work: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    try {
      return await work(...args);
    } catch (error) {
      throw storageError(error);
    }
  };
}

function rangeHeader(range: ByteRange | undefined): Record<string, string> {
  return range ? { range: `bytes=${range.offset}-${range.offset + range.size - 1}` } : {};
}

function ignoreAbsence(error: unknown): void {
  if (!hasErrno(error, 'ENOENT')) throw error;
}

/** Reads a range and closes the file, whatever happens. A file that ends early is an error, never a short answer. */
async function* readFrom(handle: FileHandle, { offset, size }: ByteRange, chunkSize: number): AsyncGenerator<Buffer> {
  try {
    for (let done = 0; done < size; ) {
      const length = Math.min(chunkSize, size - done);
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset + done);
      if (bytesRead === 0) throw new StoreError('integrity_failure', 'A stored file ended early.');
      done += bytesRead;
      yield bytesRead === length ? buffer : buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

async function digestOfFile(handle: FileHandle): Promise<Digest> {
  const hash = createHash('sha256');
  const { size } = await handle.stat();
  for await (const chunk of readFrom(handle, { offset: 0, size }, READ_CHUNK)) hash.update(chunk);
  return digestFromBytes(hash.digest());
}
