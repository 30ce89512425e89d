import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { BlobStore, ObjectRef, ObjectStat } from '../../../src/blobs/blob-store.ts';
import type { ObjectKey } from '../../../src/blobs/key-layout.ts';
import type { Spool } from '../../../src/blobs/spool.ts';
import { digestOf } from '../../../src/core/digest.ts';
import { StoreError } from '../../../src/core/errors.ts';
import type { UploadId } from '../../../src/core/ids.ts';

/** A blob store, and a spool, in memory: each call happens at once, as a whole. */
export interface MemoryStore {
  store: BlobStore;
  spool: Spool;
  objects: Map<ObjectKey, { bytes: Buffer; modifiedAt: number }>;
  /** Parts by upload, until it ends. */
  uploads: Map<UploadId, Map<number, Buffer>>;
}

/** @param now of the storage's clock, ms */
export function memoryStore(now: () => number): MemoryStore {
  const objects: MemoryStore['objects'] = new Map();
  const uploads: MemoryStore['uploads'] = new Map();
  const files = new Map<string, Buffer>();
  const request = { method: 'PUT' as const, url: 'memory:', headers: {}, expiresAt: 0 };

  const get = ({ key }: ObjectRef): Buffer => {
    const object = objects.get(key);
    if (object === undefined) throw new StoreError('object_not_found', `There is no ${key}.`);
    return object.bytes;
  };
  const put = (key: ObjectKey, bytes: Buffer): void => {
    if (objects.has(key)) throw new Error(`${key} is written twice`);
    objects.set(key, { bytes, modifiedAt: now() });
  };
  const remove = async ({ key }: ObjectRef): Promise<boolean> => {
    objects.delete(key);
    return true;
  };

  const store: BlobStore = {
    kind: 's3',
    locks: null,
    objects: {
      async open(ref, range) {
        const bytes = get(ref);
        return Readable.from([range ? bytes.subarray(range.offset, range.offset + range.size) : bytes]);
      },
      async stat({ key }): Promise<ObjectStat | null> {
        const object = objects.get(key);
        return object ? { versionId: null, size: object.bytes.length, modifiedAt: object.modifiedAt } : null;
      },
      async *list(prefix) {
        const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).toSorted();
        for (const key of keys) {
          const object = objects.get(key);
          if (object) yield { key, versionId: null, size: object.bytes.length, modifiedAt: object.modifiedAt };
        }
      },
      signDownload: async () => ({ ...request, method: 'GET' }),
      async write(key, chunks) {
        const bytes = await buffer(chunks);
        const standing = objects.get(key);
        if (standing && !standing.bytes.equals(bytes))
          throw new StoreError('integrity_failure', `${key} is another one.`);
        if (!standing) put(key, bytes);
        return { size: bytes.length, digest: digestOf(bytes), versionId: null };
      },
      remove,
      async removeMany(refs) {
        for (const ref of refs) await remove(ref);
        return [];
      },
    },
    uploads: {
      delivery: 'parts',
      async create(_key, id) {
        if (!uploads.has(id)) uploads.set(id, new Map());
        return `of ${id}`;
      },
      signPart: async () => request,
      async deliverPart({ id }, part, file) {
        uploads.get(id)?.set(part.number, files.get(file) as Buffer);
      },
      async streamPart() {
        throw new Error('nothing is streamed here');
      },
      async listParts({ id }) {
        return [...(uploads.get(id) ?? [])].map(([number, { length }]) => ({ number, size: length, etag: '' }));
      },
      async complete({ id, key }, parts) {
        const received = uploads.get(id);
        const pieces = parts.map(({ number }) => received?.get(number));
        if (pieces.some((piece) => piece === undefined))
          throw new StoreError('upload_incomplete', 'Parts are missing.');
        uploads.delete(id);
        const bytes = Buffer.concat(pieces as Buffer[]);
        put(key, bytes);
        return { size: bytes.length, versionId: null, digest: digestOf(bytes), partsBound: true };
      },
      settle: async () => 'unknown',
      async abort({ id }) {
        uploads.delete(id);
      },
      async *listBegun() {},
      async drop({ id, key }, completion) {
        if (completion === 'not_sent') uploads.delete(id);
        if (completion === 'clean') objects.delete(key);
        return completion === 'unclean' ? 'later' : 'dropped';
      },
    },
    health: async () => {
      throw new Error('not asked for');
    },
    close: async () => {},
  };
  let spooled = 0;
  const spool: Spool = {
    async receive(body) {
      const bytes = await buffer(body);
      const file = `spooled ${spooled++}`;
      files.set(file, bytes);
      return { file, digest: digestOf(bytes), size: bytes.length, discard: async () => void files.delete(file) };
    },
    listLeft: async () => [],
    remove: async () => {},
  };
  return { store, spool, objects, uploads };
}
