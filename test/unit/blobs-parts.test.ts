import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { FolderStore } from '../../src/blobs/fs-store.ts';
import { blobKey } from '../../src/blobs/key-layout.ts';
import { digestOf } from '../../src/core/digest.ts';
import { type ErrorCode, isStoreError, StoreError } from '../../src/core/errors.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { openBareStore } from '../support/bare-store.ts';
import { tempFolder } from '../support/temp.ts';

const BYTES = randomBytes(100_000);
const PART: PlannedPart = { number: 1, digest: digestOf(BYTES), offset: 0, size: BYTES.length };

interface Receiving {
  store: FolderStore;
  id: UploadId;
  /** Sends the part, expecting this code, and that nothing remains of the attempt. */
  refuse(code: ErrorCode, body: AsyncIterable<Uint8Array>): Promise<StoreError>;
}

async function open(t: ExecutionContext): Promise<Receiving> {
  const root = join(await tempFolder(t), 'blobs');
  const store = await openBareStore(root);
  const id = newId('upl', Date.now()) as UploadId;
  const handle = { id, key: blobKey(PART.digest, id), storageUploadId: id };
  await store.uploads.create(handle.key, id);
  return {
    store,
    id,
    async refuse(code, body) {
      const error = await t.throwsAsync(store.receivePart(id, PART, body), { instanceOf: StoreError });
      t.true(isStoreError(error, code), error?.message);
      t.deepEqual(await readdir(join(root, 'spool')), []);
      t.deepEqual(await store.uploads.listParts(handle), code === 'upload_closed' ? null : []);
      t.deepEqual(await openFilesIn(root), []);
      return error as StoreError;
    },
  };
}

/** Descriptors of this process that point into the folder, where the system tells. */
async function openFilesIn(root: string): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd').catch(() => []);
  const targets = descriptors.map((descriptor) => readlink(`/proc/self/fd/${descriptor}`).catch(() => ''));
  return (await Promise.all(targets)).filter((target) => target.startsWith(root));
}

async function* chunks(bytes: Uint8Array, then?: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 30_000) yield bytes.subarray(offset, offset + 30_000);
  await then?.();
}

test('a body that never ends is refused as soon as it is too long', async (t) => {
  const { refuse } = await open(t);
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      sent += 10_000;
      yield Buffer.alloc(10_000);
    }
  }
  await refuse('body_length_mismatch', endless());
  t.is(sent, PART.size + 10_000);
});

test('a body that is too short, or breaks off, leaves nothing', async (t) => {
  const { refuse } = await open(t);
  const short = await refuse('body_length_mismatch', chunks(BYTES.subarray(1)));
  t.regex(short.message, /ended after 99999/);
  const goneAway = async (): Promise<void> => {
    throw new Error('aborted');
  };
  await refuse('body_length_mismatch', chunks(BYTES.subarray(0, 50_000), goneAway));
  await refuse('body_length_mismatch', chunks(BYTES, goneAway));
});

test('other bytes are refused with both digests', async (t) => {
  const { refuse } = await open(t);
  const others = randomBytes(PART.size);
  const error = await refuse('part_digest_mismatch', chunks(others));
  t.is(error.extras.expected_digest, PART.digest);
  t.is(error.extras.actual_digest, digestOf(others));
});

test('an upload that ends while a part of it arrives is closed to that part', async (t) => {
  const { store, id, refuse } = await open(t);
  const end = (): Promise<void> => store.uploads.abort({ id, key: blobKey(PART.digest, id), storageUploadId: id });
  await refuse('upload_closed', chunks(BYTES, end));
  let asked = false;
  async function* unread(): AsyncGenerator<Uint8Array> {
    asked = true;
    yield BYTES;
  }
  await refuse('upload_closed', unread());
  t.false(asked, 'a closed upload does not read the body');
});

test('many parts at once, of several attempts each, leave no file open and no attempt behind', async (t) => {
  const { store, id } = await open(t);
  const attempts = Array.from({ length: 20 }, (_, index) =>
    store.receivePart(id, PART, chunks(index % 2 === 0 ? BYTES : randomBytes(PART.size))),
  );
  const ends = await Promise.allSettled(attempts);
  t.is(ends.filter(({ status }) => status === 'fulfilled').length, 10);
  t.is((await store.uploads.listParts({ id, key: blobKey(PART.digest, id), storageUploadId: id }))?.length, 1);
});

test('a folder that has become read-only: unavailable, said by health, and whole again afterwards', async (t) => {
  const parent = await tempFolder(t);
  const root = join(parent, 'blobs');
  await mkdir(root);
  // Root may write everywhere, so an unprivileged user has to try.
  const asNobody = process.getuid?.() === 0;
  if (asNobody) for (const path of [parent, root]) await chown(path, 65_534, 65_534);
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('../support/read-only-store-process.ts', import.meta.url)),
      root,
      ...(asNobody ? ['nobody'] : []),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  await chmod(root, 0o700);
  t.is(code, 0);
  t.deepEqual(JSON.parse(said), {
    before: true,
    write: 'unavailable',
    spool: 'unavailable',
    health: false,
    after: true,
  });
});
