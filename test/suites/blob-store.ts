import type { ExecutionContext, TestFn } from 'ava';
import type { ObjectKey } from '../../src/blobs/key-layout.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import { type BlobStoreHarness, type Check, GUARANTEES, type GuaranteeName } from '../support/blob-check.ts';
import { chunks } from '../support/planned-object.ts';
import { objectReaderSuite, objectsSuite } from './blob-objects.ts';
import { uploadsSuite } from './blob-uploads.ts';

export interface BlobStoreSuite {
  name: string;
  /** Known before: cases are chosen by it, and the backend's health must say the same. */
  guarantees: Record<GuaranteeName, boolean>;
  open(t: ExecutionContext): Promise<BlobStoreHarness>;
}

/**
 * The conformance suite of BlobStore, part by part: every backend passes it, through the contract and real HTTP alone. There is no case for
 * a guarantee that the backend is known to lack.
 */
export function blobStoreSuite(test: TestFn, { name, guarantees, open }: BlobStoreSuite): void {
  const check: Check = (title, body, { needs, alone = false } = {}) => {
    if (needs !== undefined && !guarantees[needs]) return;
    const declare = alone ? test.serial : test;
    declare(`${name}: ${title}`, async (t) => {
      const harness = await open(t);
      t.teardown(() => harness.close());
      t.true((await harness.store.health()).ok);
      await body(t, harness);
    });
  };

  check('its health tells the guarantees that it is known to keep, and no other', async (t, { store }) => {
    const health = await store.health();
    t.deepEqual(Object.fromEntries(GUARANTEES.map((name) => [name, health.guarantees[name]])), guarantees);
  });

  check('a text that is not a key leads nowhere', async (t, { store }) => {
    const hostile = [
      '',
      '/',
      '/etc/passwd',
      '..',
      '../outside',
      'objects/../../outside',
      'objects/./x',
      'objects//x',
      'objects/x/',
      'objects/.hidden',
      'OBJECTS/x',
      'objects/a\u0000b',
      'objects/a\\..\\b',
      'objects/ü',
      `objects/${'x'.repeat(300)}`,
      'x/'.repeat(300),
    ] as ObjectKey[];
    for (const key of hostile) {
      const ref = { key, versionId: null };
      await t.throwsAsync(async () => store.objects.write(key, chunks(Buffer.from('x'), 1)), undefined, key);
      await t.throwsAsync(async () => store.uploads.create(key, newId('upl', Date.now()) as UploadId), undefined, key);
      await t.throwsAsync(async () => store.objects.open(ref), undefined, key);
      await t.throwsAsync(async () => store.objects.stat(ref), undefined, key);
      await t.throwsAsync(async () => store.objects.remove(ref), undefined, key);
    }
    for (const prefix of ['../', '/', 'objects/../', '..', 'objects/\u0000']) {
      const found: string[] = [];
      try {
        for await (const { key } of store.objects.list(prefix)) found.push(key);
      } catch (error) {
        t.true(error instanceof Error);
      }
      t.deepEqual(found, [], prefix);
    }
  });

  check('health reports what it found, and never throws', async (t, { store }) => {
    const health = await store.health();
    t.is(health.kind, store.kind);
    t.true(health.ok);
    t.true(health.latency_ms >= 0);
    t.true(health.free_bytes === null || health.free_bytes > 0);
    t.true(health.guarantees.writable);
    t.is(health.error, undefined);
  });

  uploadsSuite(check);
  objectReaderSuite(check);
  objectsSuite(check);
}
