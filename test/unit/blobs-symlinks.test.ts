import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { FolderStore } from '../../src/blobs/fs-store.ts';
import { blobKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { digestHex, digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { openBareStore } from '../support/bare-store.ts';
import { tempFolder } from '../support/temp.ts';

const BYTES = Buffer.from('bytes that stay inside');

interface Planted {
  store: FolderStore;
  root: string;
  /** Where the symlinks lead; holds a copy of what was there. */
  outside: string;
}

async function open(t: ExecutionContext): Promise<Planted> {
  const dir = await tempFolder(t);
  const [root, outside] = [join(dir, 'blobs'), join(dir, 'outside')];
  await mkdir(outside);
  const store = await openBareStore(root);
  return { store, root, outside };
}

/** Moves what stands there out of the root, and puts a symlink to it in its place. */
async function plant({ root, outside }: Planted, name: string): Promise<string> {
  const path = join(root, name);
  const moved = join(outside, randomBytes(8).toString('hex'));
  await rename(path, moved);
  await symlink(moved, path);
  return path;
}

function planOf(bytes: Buffer): { id: UploadId; key: ObjectKey; part: PlannedPart } {
  const id = newId('upl', Date.now()) as UploadId;
  const digest = digestOf(bytes);
  return { id, key: blobKey(digest, id), part: { number: 1, digest, offset: 0, size: bytes.length } };
}

async function store(planted: Planted, bytes: Buffer): Promise<ObjectKey> {
  const { id, key, part } = planOf(bytes);
  await planted.store.uploads.create(key, id);
  await planted.store.receivePart(id, part, once(bytes));
  await planted.store.uploads.complete({ id, key, storageUploadId: id }, [part]);
  return key;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function refused(t: ExecutionContext, path: string, work: Promise<unknown>): Promise<void> {
  const error = await t.throwsAsync(work);
  t.true(isStoreError(error, 'unavailable'), error?.message);
  // Whoever asked is not told where the folder is; the log is.
  t.false(error?.message.includes(path), error?.message);
  const cause = String((error?.cause as Error | undefined)?.message);
  t.true(cause.includes(path), `${cause} should name ${path}`);
}

async function keysOf(planted: Planted, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of planted.store.objects.list(prefix)) keys.push(key);
  return keys;
}

for (const level of [1, 2, 3, 4]) {
  test(`a symlink in place of the directory at level ${level} of a key is refused by everything`, async (t) => {
    const planted = await open(t);
    const key = await store(planted, BYTES);
    const name = key.split('/').slice(0, level).join('/');
    const path = await plant(planted, name);
    const ref = { key, versionId: null };
    await refused(t, path, planted.store.objects.open(ref));
    await refused(t, path, planted.store.objects.stat(ref));
    await refused(t, path, planted.store.objects.remove(ref));
    await refused(t, path, planted.store.objects.write(`${dirname(key)}/new` as ObjectKey, once(BYTES)));
    await refused(t, path, keysOf(planted, 'objects/'));
    await refused(t, path, keysOf(planted, ''));
    const upload = planOf(randomBytes(10));
    const beside = `${dirname(key)}/${digestHex(upload.part.digest)}.${upload.id}` as ObjectKey;
    await planted.store.uploads.create(beside, upload.id);
    const handle = { id: upload.id, key: beside, storageUploadId: upload.id };
    await refused(t, path, planted.store.uploads.complete(handle, [upload.part]));
  });
}

test('a symlink in place of an object is refused, and its target stays', async (t) => {
  const planted = await open(t);
  const key = await store(planted, BYTES);
  const path = await plant(planted, key);
  const ref = { key, versionId: null };
  await refused(t, path, planted.store.objects.open(ref));
  await refused(t, path, planted.store.objects.stat(ref));
  await refused(t, path, planted.store.objects.remove(ref));
  await refused(t, path, planted.store.objects.write(key, once(BYTES)));
  await refused(t, path, keysOf(planted, ''));
  const [moved] = await readdir(planted.outside);
  t.deepEqual(await readFile(join(planted.outside, moved as string)), BYTES);
});

test('a dangling symlink is refused like any other, and nothing is made behind it', async (t) => {
  const planted = await open(t);
  const path = join(planted.root, 'objects');
  await symlink(join(planted.outside, 'nothing'), path);
  const { key } = planOf(BYTES);
  await refused(t, path, planted.store.objects.stat({ key, versionId: null }));
  await refused(t, path, planted.store.objects.write(key, once(BYTES)));
  t.deepEqual(await readdir(planted.outside), []);
});

test('symlinks among the uploads', async (t) => {
  const planted = await open(t);
  const { id, key, part } = planOf(BYTES);
  const handle = { id, key, storageUploadId: id };
  await planted.store.uploads.create(key, id);
  await planted.store.receivePart(id, part, once(BYTES));
  const name = `uploads/${id}/1.${digestHex(part.digest)}`;
  const partPath = await plant(planted, name);
  await refused(t, partPath, planted.store.uploads.listParts(handle));
  await refused(t, partPath, planted.store.uploads.complete(handle, [part]));
  const folderPath = await plant(planted, `uploads/${id}`);
  await refused(t, folderPath, planted.store.uploads.listParts(handle));
  await refused(t, folderPath, planted.store.receivePart(id, part, once(BYTES)));
  await refused(t, folderPath, planted.store.uploads.create(key, id));
  await refused(t, folderPath, planted.store.uploads.complete(handle, [part]));
  await planted.store.uploads.abort(handle);
  t.is((await readdir(planted.outside)).length, 2, 'aborting removes the symlink and not what it leads to');

  const other = planOf(randomBytes(20));
  await planted.store.uploads.create(other.key, other.id);
  const uploadsPath = await plant(planted, 'uploads');
  const theirs = { id: other.id, key: other.key, storageUploadId: other.id };
  await refused(t, uploadsPath, planted.store.uploads.create(key, id));
  await refused(t, uploadsPath, planted.store.uploads.listParts(theirs));
  await refused(t, uploadsPath, planted.store.uploads.abort(theirs));
});

test('a symlink in place of the spool', async (t) => {
  const planted = await open(t);
  const { id, key, part } = planOf(BYTES);
  await planted.store.uploads.create(key, id);
  await planted.store.spool.receive(once(BYTES));
  const path = await plant(planted, 'spool');
  await refused(t, path, planted.store.spool.receive(once(BYTES)));
  await refused(t, path, planted.store.receivePart(id, part, once(BYTES)));
  await refused(t, path, planted.store.objects.write(key, once(BYTES)));
  await refused(t, path, planted.store.cleanTemporaries());
  const health = await planted.store.health();
  t.false(health.ok);
  t.true(health.error?.includes(path));
});

test('a store does not open on a spool that is a symlink', async (t) => {
  const dir = await tempFolder(t);
  await mkdir(join(dir, 'blobs'));
  await symlink('/tmp', join(dir, 'blobs', 'spool'));
  const opening = openBareStore(join(dir, 'blobs'));
  await refused(t, join(dir, 'blobs', 'spool'), opening);
});

test('names that are not keys are skipped; the folder does not expose its own names', async (t) => {
  const planted = await open(t);
  const key = await store(planted, BYTES);
  await writeFile(join(planted.root, 'objects', 'Notes of somebody.txt'), 'x');
  await symlink('/tmp', join(planted.root, 'objects', 'Somewhere'));
  await planted.store.spool.receive(once(BYTES));
  const { id } = planOf(BYTES);
  await planted.store.uploads.create(key, id);
  t.deepEqual(await keysOf(planted, ''), [key]);
  for (const name of ['spool/x', 'uploads/x', 'uploads', 'spool']) {
    await t.throwsAsync(planted.store.objects.write(name as ObjectKey, once(BYTES)), { instanceOf: RangeError });
  }
  for (const bad of ['../../objects', 'upl_1', '']) {
    await t.throwsAsync(planted.store.uploads.create(key, bad as UploadId));
    await t.throwsAsync(planted.store.uploads.listParts({ id: bad as UploadId, key, storageUploadId: bad }));
    await t.throwsAsync(planted.store.uploads.abort({ id: bad as UploadId, key, storageUploadId: bad }));
  }
});

test('a directory or a FIFO in place of an object is refused, and blocks nobody', async (t) => {
  const planted = await open(t);
  const { key } = planOf(BYTES);
  await mkdir(join(planted.root, key), { recursive: true });
  const ref = { key, versionId: null };
  await refused(t, key, planted.store.objects.open(ref));
  await refused(t, key, planted.store.objects.stat(ref));
  await refused(t, key, planted.store.objects.remove(ref));
  const fifo = planOf(randomBytes(10)).key;
  await mkdir(dirname(join(planted.root, fifo)), { recursive: true });
  t.is(spawnSync('mkfifo', [join(planted.root, fifo)]).status, 0);
  await refused(t, fifo, planted.store.objects.open({ key: fifo, versionId: null }));
});

test('a file that lost bytes is an integrity failure, never a short answer', async (t) => {
  const planted = await open(t);
  const key = await store(planted, BYTES);
  const error = await t.throwsAsync(
    planted.store.objects.open({ key, versionId: null }, { offset: 0, size: BYTES.length + 1 }),
  );
  t.true(isStoreError(error, 'integrity_failure'));
});

test('a blob folder that is not the one of the start reports no object as gone', async (t) => {
  const planted = await open(t);
  const key = await store(planted, BYTES);
  await rename(planted.root, join(planted.outside, 'unmounted'));
  await mkdir(planted.root);
  const error = await t.throwsAsync(planted.store.objects.stat({ key, versionId: null }));
  t.true(isStoreError(error, 'unavailable'));
  t.regex(error?.message ?? '', /was a volume unmounted/);
  await rename(planted.root, join(planted.outside, 'empty'));
  await rename(join(planted.outside, 'unmounted'), planted.root);
  t.is((await planted.store.objects.stat({ key, versionId: null }))?.size, BYTES.length);
});
