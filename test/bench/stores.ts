import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ceph } from '../support/ceph.ts';
import { createBucket } from '../support/s3-harness.ts';

/** A place in a store that one tool has for itself. */
export interface Area {
  kind: 'ceph' | 'folder';
  /** A folder for what the tool keeps on this machine; in a folder store, the store too. */
  dir: string;
  /** '' where there is none. */
  endpoint: string;
  bucket: string;
  keys: { accessKeyId: string; secretAccessKey: string };
  uploadKeys: { accessKeyId: string; secretAccessKey: string };
  /** Removes what was sent to another machine. The folder stays: see compare.ts. */
  drop(): Promise<void>;
}

/** Requests that storage answered, and bytes that were sent to it, since it started. */
export interface Traffic {
  requests: number;
  bytes: number;
}

export interface Store {
  kind: Area['kind'];
  title: string;
  open(): Promise<Area>;
  /** Null where nobody counts. */
  traffic(): Promise<Traffic | null>;
}

export function cephStore(ceph: Ceph, dir: string): Store {
  let areas = 0;
  return {
    kind: 'ceph',
    title: 'Ceph RGW',
    async open() {
      areas += 1;
      const bucket = await createBucket(ceph);
      const own = join(dir, `ceph-${areas}`);
      await mkdir(own, { recursive: true });
      return {
        kind: 'ceph',
        dir: own,
        endpoint: ceph.endpoint,
        bucket,
        keys: ceph.credentials,
        uploadKeys: ceph.uploadCredentials,
        async drop() {
          await ceph.admin('bucket', 'rm', `--bucket=${bucket}`, '--purge-objects', '--bypass-gc');
          await ceph.collectGarbage();
        },
      };
    },
    async traffic() {
      const { req: requests, put_b: bytes } = await ceph.counters();
      return { requests: requests ?? 0, bytes: bytes ?? 0 };
    },
  };
}

export function folderStore(dir: string): Store {
  let areas = 0;
  const none = { accessKeyId: '', secretAccessKey: '' };
  return {
    kind: 'folder',
    title: 'local folder',
    async open() {
      areas += 1;
      const own = join(dir, `folder-${areas}`);
      await mkdir(own, { recursive: true });
      return {
        kind: 'folder',
        dir: own,
        endpoint: '',
        bucket: '',
        keys: none,
        uploadKeys: none,
        drop: async () => {},
      };
    },
    traffic: async () => null,
  };
}
