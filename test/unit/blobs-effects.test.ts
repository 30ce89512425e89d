import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { UploadHandle } from '../../src/blobs/blob-store.ts';
import type { FolderStore } from '../../src/blobs/fs-store.ts';
import { blobKey, manifestKey } from '../../src/blobs/key-layout.ts';
import { digestHex, digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { openBareStore } from '../support/bare-store.ts';
import { type Effect, type EffectName, errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { tempFolder } from '../support/temp.ts';

/** kill -9 loses nothing that was written, synced or not: only the order of effects shows what a power failure leaves. */
interface Recorded {
  root: string;
  store: FolderStore;
  /** What happened since the last call: names as seen from the root, random ones as <random>. */
  taken(): string[];
  /** The next effects of this name (on a path that holds `part`) fail; null: none does. */
  fail(fault: { name: EffectName; code: string; part?: string } | null): void;
}

async function open(t: ExecutionContext): Promise<Recorded> {
  const root = join(await tempFolder(t), 'blobs');
  let fault: { name: EffectName; code: string; part?: string } | null = null;
  const { files, effects } = recordingFileLayer((effect) => {
    if (fault?.name === effect.name && effect.path.includes(fault.part ?? '')) throw errno(fault.code);
  });
  const store = await openBareStore(root, files);
  t.teardown(() => store.close());
  const shown = (path: string): string =>
    relative(root, path).replace(/^spool\/[0-9a-f]{32}(\/.*)?$/, (_, part) => `spool/<random>${part ? '/<part>' : ''}`);
  const describe = ({ name, path, to }: Effect): string =>
    [name, shown(path), ...(to === undefined ? [] : ['→', shown(to)])].join(' ');
  effects.length = 0;
  return {
    root,
    store,
    taken: () => effects.splice(0).map(describe),
    fail: (next) => {
      fault = next;
    },
  };
}

function planned(
  bytes: Buffer,
  sizes: readonly number[] = [bytes.length],
): { handle: UploadHandle; parts: PlannedPart[] } {
  let offset = 0;
  const parts = sizes.map((size, index) => {
    const part = { number: index + 1, digest: digestOf(bytes.subarray(offset, offset + size)), offset, size };
    offset += size;
    return part;
  });
  const id = newId('upl', Date.now()) as UploadId;
  return { handle: { id, key: blobKey(digestOf(bytes), id), storageUploadId: id }, parts };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

test('a part is durable, bytes and name, before it counts as received', async (t) => {
  const { store, taken } = await open(t);
  const bytes = randomBytes(1_000);
  const { handle, parts } = planned(bytes);
  const folder = `uploads/${handle.id}`;
  await store.uploads.create(handle.key, handle.id);
  t.deepEqual(taken(), [`mkdir ${folder}`, 'syncDirectory uploads']);
  await store.receivePart(handle.id, parts[0] as PlannedPart, once(bytes));
  t.deepEqual(taken(), [
    'create spool/<random>',
    'write spool/<random>',
    'chmod spool/<random>',
    'sync spool/<random>',
    'close spool/<random>',
    `link spool/<random> → ${folder}/1.${digestHex(parts[0]?.digest as never)}`,
    `syncDirectory ${folder}`,
    'unlink spool/<random>',
  ]);
});

test('an object of one part: its upload ends, then link, then its directory and those that are new', async (t) => {
  const { store, taken } = await open(t);
  const bytes = randomBytes(1_000);
  const { handle, parts } = planned(bytes);
  await store.uploads.create(handle.key, handle.id);
  await store.receivePart(handle.id, parts[0] as PlannedPart, once(bytes));
  taken();
  await store.uploads.complete(handle, parts);
  const [, , ab, cd] = handle.key.split('/');
  t.deepEqual(taken(), [
    'mkdir objects',
    'syncDirectory ',
    'mkdir objects/sha256',
    'syncDirectory objects',
    `mkdir objects/sha256/${ab}`,
    'syncDirectory objects/sha256',
    `mkdir objects/sha256/${ab}/${cd}`,
    `syncDirectory objects/sha256/${ab}`,
    `rename uploads/${handle.id} → spool/<random>`,
    `link spool/<random>/<part> → ${handle.key}`,
    `syncDirectory objects/sha256/${ab}/${cd}`,
    'unlink spool/<random>/<part>',
    'rmdir spool/<random>',
  ]);
});

test('an object of several parts is written anew, synced, linked, and its directory synced', async (t) => {
  const { store, taken } = await open(t);
  const bytes = randomBytes(1_000);
  const { handle, parts } = planned(bytes, [600, 400]);
  await store.uploads.create(handle.key, handle.id);
  for (const part of parts) {
    await store.receivePart(handle.id, part, once(bytes.subarray(part.offset, part.offset + part.size)));
  }
  taken();
  await store.uploads.complete(handle, parts);
  const effects = taken();
  t.deepEqual(effects.slice(effects.findIndex((effect) => effect.startsWith('rename'))), [
    `rename uploads/${handle.id} → spool/<random>`,
    'create spool/<random>',
    'open spool/<random>/<part>',
    'open spool/<random>/<part>',
    'write spool/<random>',
    'chmod spool/<random>',
    'sync spool/<random>',
    'close spool/<random>',
    `link spool/<random> → ${handle.key}`,
    `syncDirectory ${handle.key.slice(0, handle.key.lastIndexOf('/'))}`,
    'unlink spool/<random>',
    'unlink spool/<random>/<part>',
    'unlink spool/<random>/<part>',
    'rmdir spool/<random>',
  ]);
});

test('an object of the service is written, synced, linked, and its directory synced; a removal too', async (t) => {
  const { store, taken } = await open(t);
  const key = manifestKey(newId('pkg', Date.now()) as PackageId);
  const dir = key.slice(0, key.lastIndexOf('/'));
  await store.objects.write(key, once(Buffer.from('{}')));
  const effects = taken();
  t.deepEqual(effects.slice(effects.findIndex((effect) => effect.startsWith('create'))), [
    'create spool/<random>',
    'write spool/<random>',
    'chmod spool/<random>',
    'sync spool/<random>',
    'close spool/<random>',
    `link spool/<random> → ${key}`,
    `syncDirectory ${dir}`,
    'unlink spool/<random>',
  ]);
  await store.objects.remove({ key, versionId: null });
  t.deepEqual(taken(), [`unlink ${key}`, `syncDirectory ${dir}`]);
});

test('a full disk is no_space wherever it shows, leaves no file, and the store continues', async (t) => {
  const { store, fail, root } = await open(t);
  const bytes = randomBytes(1_000);
  const faults: Array<[EffectName, string]> = [
    ['create', 'ENOSPC'],
    ['write', 'ENOSPC'],
    ['write', 'EDQUOT'],
    ['sync', 'ENOSPC'],
    ['close', 'ENOSPC'],
    ['link', 'ENOSPC'],
    ['syncDirectory', 'ENOSPC'],
  ];
  for (const [name, code] of faults) {
    const { handle, parts } = planned(bytes);
    const part = parts[0] as PlannedPart;
    await store.uploads.create(handle.key, handle.id);
    fail({ name, code });
    const error = await t.throwsAsync(store.receivePart(handle.id, part, once(bytes)));
    t.true(isStoreError(error, 'no_space'), `${name} ${code}: ${error?.message}`);
    const written = await t.throwsAsync(store.objects.write(freshManifest(), once(bytes)));
    t.true(isStoreError(written, 'no_space'), `${name} ${code}: ${written?.message}`);
    if (name !== 'link' && name !== 'syncDirectory') {
      t.true(isStoreError(await t.throwsAsync(store.spool.receive(once(bytes))), 'no_space'));
    }
    t.deepEqual(await readdir(join(root, 'spool')), [], `${name} ${code}`);
    fail(null);
    await store.receivePart(handle.id, part, once(bytes));
    t.is((await store.uploads.complete(handle, parts)).size, 1_000);
  }
});

test('a full disk while an object is put together: no object, no temporary file', async (t) => {
  const { store, fail, root } = await open(t);
  const faults: EffectName[] = ['create', 'write', 'sync', 'link'];
  for (const name of faults) {
    const bytes = randomBytes(1_000);
    const { handle, parts } = planned(bytes, [600, 400]);
    await store.uploads.create(handle.key, handle.id);
    for (const part of parts) {
      await store.receivePart(handle.id, part, once(bytes.subarray(part.offset, part.offset + part.size)));
    }
    fail({ name, code: 'ENOSPC' });
    const error = await t.throwsAsync(store.uploads.complete(handle, parts));
    t.true(isStoreError(error, 'no_space'), error?.message);
    fail(null);
    t.is(await store.objects.stat({ key: handle.key, versionId: null }), null);
    t.deepEqual(await readdir(join(root, 'spool')), []);
  }
});

test('another failure is unavailable, and tells its path only as the cause', async (t) => {
  const { store, fail, root } = await open(t);
  const bytes = randomBytes(10);
  for (const name of ['create', 'write', 'sync', 'link', 'syncDirectory'] as const) {
    const { handle, parts } = planned(bytes);
    await store.uploads.create(handle.key, handle.id);
    fail({ name, code: 'EIO' });
    const error = await t.throwsAsync(store.receivePart(handle.id, parts[0] as PlannedPart, once(bytes)));
    fail(null);
    t.true(isStoreError(error, 'unavailable'), `${name}: ${error?.message}`);
    t.false(error?.message.includes(root));
    t.is((error?.cause as NodeJS.ErrnoException | undefined)?.code, 'EIO');
    t.deepEqual(await readdir(join(root, 'spool')), []);
  }
  fail({ name: 'write', code: 'EIO' });
  const health = await store.health();
  t.false(health.ok);
  t.false(health.guarantees.writable);
  t.regex(health.error ?? '', /EIO/);
});

test('a directory that was made but not synced is synced by the next that needs it', async (t) => {
  const { store, fail, taken } = await open(t);
  const key = freshManifest();
  fail({ name: 'syncDirectory', code: 'EIO', part: 'packages' });
  await t.throwsAsync(store.objects.write(key, once(Buffer.from('{}'))));
  fail(null);
  taken();
  await store.objects.write(key, once(Buffer.from('{}')));
  t.true(taken().includes('syncDirectory packages'));
});

test('at start everything that was on its way is removed, and uploads are named', async (t) => {
  const { store, root, fail } = await open(t);
  const { handle, parts } = planned(randomBytes(10));
  await store.uploads.create(handle.key, handle.id);
  await store.spool.receive(once(randomBytes(10)));
  fail({ name: 'unlink', code: 'EIO' });
  await t.throwsAsync(store.receivePart(handle.id, parts[0] as PlannedPart, once(randomBytes(10))));
  t.is((await readdir(join(root, 'spool'))).length, 2, 'what cannot be removed now');
  fail(null);
  t.deepEqual(await store.cleanTemporaries(), { removed: 2 });
  t.deepEqual(await readdir(join(root, 'spool')), []);
  const ids: string[] = [];
  for await (const id of store.listUploads()) ids.push(id);
  t.deepEqual(ids, [handle.id]);
});

function freshManifest(): ReturnType<typeof manifestKey> {
  return manifestKey(newId('pkg', Date.now()) as PackageId);
}
