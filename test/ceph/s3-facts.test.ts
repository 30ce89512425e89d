import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import test, { type ExecutionContext } from 'ava';
import type { BlobStore, SignedRequest } from '../../src/blobs/blob-store.ts';
import { blobKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { bucketAddress } from '../../src/blobs/s3/bucket-address.ts';
import { probeBackend } from '../../src/blobs/s3/probe.ts';
import type { ProbeReport } from '../../src/blobs/s3/probe-report.ts';
import { urlSigning } from '../../src/blobs/s3/url-signing.ts';
import { type Digest, digestHex, digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import { apiOf } from '../support/api.ts';
import { CEPH, type Ceph, startCeph } from '../support/ceph.ts';
import { plannedFile } from '../support/planned-file.ts';
import { type PlannedObject, plan } from '../support/planned-object.ts';
import { answerOf, completeRaw, getRaw, headRaw, openRaw, type RawUpload } from '../support/raw-multipart.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket, freshBucketName, openS3Harness, s3Options } from '../support/s3-harness.ts';
import { s3Client } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';
import { type SendOptions, sendSigned } from '../support/signed-request.ts';
import { tempFolder } from '../support/temp.ts';

/**
 * What Ceph RGW 16.2.15 does with bare S3 requests that the store never sends and URLs that it never hands out, and beside
 * each fact, that the store is not touched by it. The facts are why the protocol is as it is: where one of these fails, storage
 * behaves otherwise than the design was made for. (Part URLs row by row: s3-store.test.ts.)
 */
const HOUR = 3_600_000;
/** How long Ceph keeps others away from an upload whose Complete was killed. Its default is 600 s. */
const LOCK_SECONDS = 10;

const started = await required('What Ceph does with bare S3 requests', {
  ...CEPH,
  start: () => startCeph({ 'rgw mp lock max time': String(LOCK_SECONDS) }),
});
const ceph = started as Ceph;
/** Sends everything once. */
const client = (started && s3Client(ceph, { maxAttempts: 1 })) as S3Client;
let bucket = '';
let report: ProbeReport;

function onCeph(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (started !== null) test.serial(title, body);
}

if (started !== null) {
  test.before('a bucket', async () => {
    bucket = await createBucket(ceph);
    report = await probeBackend(s3Options(ceph, bucket));
  });
  test.after.always('Ceph ends', async () => {
    client.destroy();
    await ceph.stop();
  });
}

/** What is done with a URL, by the name of the row. */
type Spoils = ReturnType<typeof spoilsOf>;

function spoilsOf(bytes: Buffer, other: Buffer, source: { Bucket: string; Key: string }) {
  const copy = { 'x-amz-copy-source': `/${source.Bucket}/${source.Key}` };
  const none = { 'content-length': '0' };
  return {
    'other bytes': { body: other },
    'an empty body': { body: Buffer.alloc(0), headers: none },
    'an empty body and a copy source': { body: Buffer.alloc(0), headers: { ...none, ...copy } },
    'the right body and a copy source': { body: bytes, headers: copy },
    'the right body and a public ACL': { body: bytes, headers: { 'x-amz-acl': 'public-read' } },
    'the right body, late': { body: bytes },
  } satisfies Record<string, SendOptions>;
}

interface Direct {
  sign(at: { Bucket: string; Key: string }, bytes: Buffer): Promise<SignedRequest>;
  /** Of each row: the answer, and what stands then under a key that was completed and verified before. */
  rows: Record<keyof Spoils, [answer: string, stands: 'verified' | 'other' | 'empty' | 'source']>;
}

function signHeaders(more: Record<string, string>): Direct['sign'] {
  const signing = urlSigning(ceph.region, async () => ceph.credentials, Date.now);
  return ({ Bucket, Key }, bytes) =>
    signing({
      method: 'PUT',
      address: bucketAddress(ceph.endpoint, { region: ceph.region, bucket: Bucket, forcePathStyle: true }),
      name: Key,
      headers: { 'x-amz-content-sha256': digestHex(digestOf(bytes)), ...more },
      expiresAt: Date.now() + HOUR,
    });
}

const DIRECT: Record<string, Direct> = {
  'as the SDK signs it': {
    async sign(at) {
      const url = await getSignedUrl(client, new PutObjectCommand(at), { expiresIn: 3_600 });
      return { method: 'PUT', url, headers: {}, expiresAt: Date.now() + HOUR };
    },
    rows: {
      'other bytes': ['200', 'other'],
      'an empty body': ['200', 'empty'],
      'an empty body and a copy source': ['200', 'source'],
      'the right body and a copy source': ['200', 'source'],
      'the right body and a public ACL': ['200', 'verified'],
      'the right body, late': ['200', 'verified'],
    },
  },
  'with the hash as a signed header': {
    sign: signHeaders({}),
    rows: {
      'other bytes': ['400 XAmzContentSHA256Mismatch', 'verified'],
      'an empty body': ['200', 'empty'],
      'an empty body and a copy source': ['200', 'source'],
      'the right body and a copy source': ['501 NotImplemented', 'verified'],
      'the right body and a public ACL': ['200', 'verified'],
      'the right body, late': ['200', 'verified'],
    },
  },
  'with the hash and If-None-Match as signed headers': {
    sign: signHeaders({ 'if-none-match': '*' }),
    rows: {
      'other bytes': ['400 XAmzContentSHA256Mismatch', 'verified'],
      'an empty body': ['412 PreconditionFailed', 'verified'],
      'an empty body and a copy source': ['200', 'source'],
      'the right body and a copy source': ['501 NotImplemented', 'verified'],
      'the right body and a public ACL': ['412 PreconditionFailed', 'verified'],
      'the right body, late': ['412 PreconditionFailed', 'verified'],
    },
  },
};

for (const [name, { sign, rows }] of Object.entries(DIRECT)) {
  onCeph(`a direct PUT URL, ${name}, changes an object that was completed and verified`, async (t) => {
    const store = await openStore(t);
    const source = await committed(store);
    const from = { Bucket: bucket, Key: source.handle.key };
    for (const [row, [expected, stands]] of Object.entries(rows) as Array<[keyof Spoils, [string, string]]>) {
      const upload = await openRaw(client, { Bucket: bucket, Key: `direct/${newId('upl', Date.now())}` });
      const other = randomBytes(upload.bytes.length);
      const request = await sign(upload.named, upload.bytes);
      await completeRaw(client, upload);
      const spoilt = spoilsOf(upload.bytes, other, from)[row];
      t.is(said(await sendSigned(request, spoilt)), expected, row);
      const expects = { verified: upload.bytes, other, empty: Buffer.alloc(0), source: source.bytes };
      t.is(await digestAt(at(upload)), digestOf(expects[stands as keyof typeof expects]), row);
      if (row === 'the right body and a public ACL') {
        const { status } = await fetch(`${ceph.endpoint}/${bucket}/${upload.named.Key}`);
        t.is(status, expected === '200' ? 200 : 403, 'an unsigned ACL makes it public');
      }
    }
    await untouched(t, store, from);
  });
}

onCeph('a signed hash that is left out or changed is refused, in a direct PUT URL too', async (t) => {
  const bytes = randomBytes(1_000);
  const other = randomBytes(1_000);
  const request = await signHeaders({})({ Bucket: bucket, Key: 'direct/hash' }, bytes);
  t.is(said(await sendSigned({ ...request, headers: {} }, { body: bytes })), '403 SignatureDoesNotMatch');
  const headers = { 'x-amz-content-sha256': digestHex(digestOf(other)) };
  t.is(said(await sendSigned(request, { body: other, headers })), '403 SignatureDoesNotMatch');
  t.is(await getRaw(client, { Bucket: bucket, Key: 'direct/hash' }), null);
});

/** The URLs that the store hands out are of parts, die at commit, and change nothing whatever is done with them. */
async function untouched(t: ExecutionContext, store: BlobStore, source: { Bucket: string; Key: string }) {
  const upload = await plan(store, randomBytes(1_000));
  const request = await upload.sign(1);
  const query = new URL(request.url).searchParams;
  t.truthy(query.get('uploadId'));
  t.is(query.get('X-Amz-SignedHeaders'), 'content-length;host;x-amz-content-sha256');
  const spoils = Object.entries(spoilsOf(upload.bytes, randomBytes(1_000), source));
  for (const [, options] of spoils) await sendSigned(request, options);
  await upload.send(1);
  await store.uploads.complete(upload.handle, upload.parts);
  for (const [row, options] of spoils) {
    t.true((await sendSigned(request, options)).status >= 400, row);
    t.is(await digestAt({ Bucket: bucket, Key: upload.handle.key }), digestOf(upload.bytes), row);
  }
  t.is((await fetch(`${ceph.endpoint}/${bucket}/${upload.handle.key}`)).status, 403, 'not public');
}

onCeph(
  'Abort racing Complete: what garbage collection takes away shows in no answer, and HEAD finds it still',
  async (t) => {
    const uploads = await rawUploads(30, 'racing');
    const ends: Array<{ upload: RawUpload; completed: string; aborted: string }> = [];
    for (const upload of uploads) {
      const [completed, aborted] = await Promise.all([answerOf(completeRaw(client, upload)), abortRaw(upload)]);
      if (completed === '200') t.is(await digestAt(at(upload)), digestOf(upload.bytes), 'read back at once');
      ends.push({ upload, completed, aborted });
    }
    await ceph.collectGarbage();
    const seen: Record<string, number> = {};
    for (const { upload, completed, aborted } of ends) {
      const bytes = await getRaw(client, at(upload));
      const found = (await headRaw(client, at(upload))) === '200';
      // How many are lost is a matter of chance, as is who comes first: every Abort may. What is lost never shows: not in an
      // answer, not in a HEAD.
      t.true(bytes === null || digestOf(bytes) === digestOf(upload.bytes), 'whole, or nothing');
      t.true(found || completed !== '200', 'what was answered is found');
      const end = bytes !== null ? 'kept' : found ? 'lost' : 'never there';
      const what = `Complete ${completed}, Abort ${aborted}: ${end}`;
      seen[what] = (seen[what] ?? 0) + 1;
    }
    t.log(JSON.stringify(seen));
  },
);

onCeph('Abort of another upload of the same key, racing Complete: nothing is lost', async (t) => {
  const uploads = await rawUploads(30, 'surplus');
  // As of two plans that raced: nobody was given the second one, so no part ever arrives.
  const seen: Record<string, number> = {};
  for (const upload of uploads) {
    const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand(at(upload)));
    const surplus = { named: { ...at(upload), UploadId } };
    const answers = await Promise.all([answerOf(completeRaw(client, upload)), abortRaw(surplus)]);
    const what = `Complete ${answers[0]}, Abort ${answers[1]}`;
    seen[what] = (seen[what] ?? 0) + 1;
  }
  await ceph.collectGarbage();
  for (const upload of uploads) t.is(await digestAt(at(upload)), digestOf(upload.bytes));
  t.deepEqual(seen, { 'Complete 200, Abort 204': 30 });
});

const AFTERWARDS: Record<string, (upload: RawUpload) => Promise<string>> = {
  nothing: async () => '–',
  'an Abort': abortRaw,
  'a second Complete': (upload) => answerOf(completeRaw(client, upload)),
};

onCeph('Complete, then nothing, an Abort or a second Complete after its answer: nothing is lost', async (t) => {
  const ends: Array<[what: string, upload: RawUpload]> = [];
  const answers: Record<string, number> = {};
  for (const [what, after] of Object.entries(AFTERWARDS)) {
    for (const upload of await rawUploads(10, 'one-by-one')) {
      t.is(await answerOf(completeRaw(client, upload)), '200');
      const answer = `${what}: ${await after(upload)}`;
      answers[answer] = (answers[answer] ?? 0) + 1;
      ends.push([what, upload]);
    }
  }
  await ceph.collectGarbage();
  for (const [what, upload] of ends) t.is(await digestAt(at(upload)), digestOf(upload.bytes), what);
  t.deepEqual(answers, {
    'nothing: –': 10,
    'an Abort: 404 NoSuchUpload': 10,
    // No evidence of anything: it is the answer to a half completed one, too, which is lost.
    'a second Complete: 200': 10,
  });
});

onCeph(
  'the gateway killed during Complete: an Abort or another Complete loses the object, leaving it alone does not',
  async (t) => {
    const store = await openStore(t);
    const half = await killedDuringComplete(t, store, 3);
    const [aborted, repeated, left] = [0, 1, 2].map((end) => half.filter((_, n) => n % 3 === end)) as [
      PlannedObject[],
      PlannedObject[],
      PlannedObject[],
    ];
    const answers: string[] = [];
    for (const upload of half) t.is(await digestAt(place(upload)), digestOf(upload.bytes), 'visible and whole');
    for (const upload of aborted) t.is(await abortRaw({ named: namedOf(upload) }), '204');
    for (const upload of repeated) {
      const Parts = ((await store.uploads.listParts(upload.handle)) ?? []).map(({ number, etag }) => ({
        PartNumber: number,
        ETag: etag,
      }));
      const completion = { ...namedOf(upload), MultipartUpload: { Parts } };
      let answer = '';
      for (; answer !== '200'; await sleep(answer === '200' ? 0 : 500)) {
        answer = await answerOf(completeRaw(client, { completion }));
        answers.push(answer);
        t.true(answer === '200' || answer.startsWith('500'), answer);
      }
      t.is(await digestAt(place(upload)), digestOf(upload.bytes), 'intact at once');
    }
    // What the service does: nothing.
    for (const upload of left) await store.uploads.drop(upload.handle, 'unclean', null);
    await ceph.collectGarbage();
    for (const upload of [...aborted, ...repeated]) {
      t.is(await getRaw(client, place(upload)), null, 'lost');
      t.is(await headRaw(client, place(upload)), '200', 'and HEAD finds it');
    }
    for (const upload of left) t.is(await digestAt(place(upload)), digestOf(upload.bytes));
    t.log(
      `${aborted.length} aborted and ${repeated.length} completed again (${answers.join(', ')}): lost; ${left.length} left alone: whole`,
    );
  },
);

/**
 * Uploads whose object is there, though they are open: the gateway died in between. Which of those under way are so far is
 * chance, hence as many rounds as it takes. @returns so many at least
 */
async function killedDuringComplete(t: ExecutionContext, store: BlobStore, enough: number): Promise<PlannedObject[]> {
  const found: PlannedObject[] = [];
  for (let round = 1; found.length < enough; round += 1) {
    if (round > 40) throw new Error(`${round} kills left ${found.length} uploads half completed`);
    const uploads = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const upload = await plan(store, randomBytes(100_000));
        await upload.send(1);
        return { ...upload, listed: (await store.uploads.listParts(upload.handle)) ?? [] };
      }),
    );
    let killed: Promise<void> | undefined;
    const kill = (): void => {
      killed ??= ceph.killGateway();
    };
    // A busy process hears of the first that ended when all have: in every other round the kill waits for none.
    const timer = round % 2 === 0 ? setTimeout(kill, 2 * round) : null;
    const ends = await Promise.allSettled(
      uploads.map(async ({ handle, parts, listed }) => {
        await store.uploads.complete(handle, parts, listed);
        if (timer === null) kill();
      }),
    );
    if (timer !== null) clearTimeout(timer);
    kill();
    await killed;
    await ceph.startGateway();
    for (const [n, upload] of uploads.entries()) {
      if ((await headRaw(client, place(upload))) !== '200') continue;
      if ((await store.uploads.listParts(upload.handle)) === null) continue;
      t.is(ends[n]?.status, 'rejected', 'nobody was told that it is there');
      found.push(upload);
    }
    t.log(`kill ${round}: ${found.length} half completed`);
  }
  return found;
}

onCeph('Complete of an upload that ended or never was: 200 onto a key with the same ETag, else 500', async (t) => {
  const store = await openStore(t);
  const first = await openRaw(client, { Bucket: bucket, Key: 'etag/key' });
  await completeRaw(client, first);
  const again = await openRaw(client, { Bucket: bucket, Key: 'etag/key' }, first.bytes);
  await abortRaw(again);
  const other = await openRaw(client, { Bucket: bucket, Key: 'etag/key' });
  await abortRaw(other);
  const invented = '2~inventedinventedinventedinvented';
  const complete = (completion: RawUpload['completion'], UploadId = completion.UploadId) =>
    answerOf(completeRaw(client, { completion: { ...completion, UploadId } }));
  t.is(await complete(again.completion), '200', 'aborted, the same ETag');
  t.is(await complete(first.completion, invented), '200', 'invented, the same ETag');
  t.regex(await complete(other.completion), /^500/, 'aborted, another ETag');
  t.regex(await complete(other.completion, invented), /^500/, 'invented, another ETag');
  t.regex(await complete({ ...first.completion, Key: 'etag/empty' }, invented), /^500/, 'invented, nothing there');
  t.is(await digestAt(at(first)), digestOf(first.bytes));

  // The store asks for the parts first, and its keys have one upload each.
  const { handle, parts } = await committed(store);
  for (const storageUploadId of [handle.storageUploadId, invented]) {
    const error = await t.throwsAsync(store.uploads.complete({ ...handle, storageUploadId }, parts));
    t.true(isStoreError(error, 'upload_incomplete'), error?.message);
  }
});

onCeph(
  'a second upload completed onto a key overwrites, also past If-None-Match; keys of the service are used once',
  async (t) => {
    for (const IfNoneMatch of [undefined, '*']) {
      const [first, second] = await Promise.all([0, 1].map(() => openRaw(client, { Bucket: bucket, Key: 'one/key' })));
      if (!first || !second) return t.fail();
      await completeRaw(client, first);
      t.is(await answerOf(completeRaw(client, { completion: { ...second.completion, IfNoneMatch } })), '200');
      t.is(await digestAt(at(first)), digestOf(second.bytes));
    }

    const service = await startTestService({ env: s3Env(ceph, await createBucket(ceph)) });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const urls = await Promise.all(
      Array.from({ length: 10 }, async () => (await plannedFile(api, 'the same bytes')).upload.parts[0].url),
    );
    t.is(new Set(urls.map((url) => new URL(url).pathname)).size, 10, 'one digest, ten uploads, ten keys');
  },
);

onCeph(
  'Complete and DELETE under a COMPLIANCE lock give readers something else; the store reads its version',
  async (t) => {
    const Bucket = freshBucketName();
    await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
    const Key = 'locked/key';
    const first = await openRaw(client, { Bucket, Key });
    const { VersionId } = await completeRaw(client, first);
    if (VersionId === undefined) return t.fail('a bucket with locks is versioned');
    const Retention = { Mode: 'COMPLIANCE' as const, RetainUntilDate: new Date(Date.now() + HOUR) };
    await client.send(new PutObjectRetentionCommand({ Bucket, Key, VersionId, Retention }));
    const removed = await answerOf(client.send(new DeleteObjectCommand({ Bucket, Key, VersionId })));
    t.is(removed, '403 AccessDenied', 'the lock holds');
    const second = await openRaw(client, { Bucket, Key });
    t.is(await answerOf(completeRaw(client, second)), '200');
    t.is(await digestAt({ Bucket, Key }), digestOf(second.bytes));
    t.is(await digestAt({ Bucket, Key, VersionId }), digestOf(first.bytes));
    t.is(await answerOf(client.send(new DeleteObjectCommand({ Bucket, Key }))), '204');
    t.is(await getRaw(client, { Bucket, Key }), null, 'hidden');
    t.is(await digestAt({ Bucket, Key, VersionId }), digestOf(first.bytes), 'nothing is freed');

    const store = await openStore(t, Bucket);
    const { handle, parts, bytes, send } = await plan(store, randomBytes(1_000));
    await send(1);
    const { versionId } = await store.uploads.complete(handle, parts);
    await completeRaw(client, await openRaw(client, { Bucket, Key: handle.key }));
    await client.send(new DeleteObjectCommand({ Bucket, Key: handle.key }));
    const ref = { key: handle.key, versionId };
    t.deepEqual(Buffer.concat(await (await store.objects.open(ref)).toArray()), bytes);
    await store.objects.remove(ref);
    t.is(await store.objects.stat(ref), null, 'a delete that names the version frees it');
  },
);

onCeph('If-None-Match: of twelve different PUTs at once one is stored; on a versioned bucket all are', async (t) => {
  const versioned = await createBucket(ceph);
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await client.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }));
  for (const [Bucket, stored] of [
    [bucket, 1],
    [versioned, 12],
  ] as const) {
    const Key = 'if-none-match';
    const bodies = Array.from({ length: 12 }, () => randomBytes(10_000));
    const answers = await Promise.all(
      bodies.map((Body) => answerOf(client.send(new PutObjectCommand({ Bucket, Key, Body, IfNoneMatch: '*' })))),
    );
    t.is(answers.filter((answer) => answer === '200').length, stored, JSON.stringify(answers));
    t.is(answers.filter((answer) => answer === '412 PreconditionFailed').length, 12 - stored);
    const standing = await getRaw(client, { Bucket, Key });
    const winners = bodies.filter((_, n) => answers[n] === '200');
    t.true(winners.some((body) => body.equals(standing as Buffer)));
  }
  // What the store writes itself it looks for first, wherever it is, and reads back what stands.
  for (const name of [bucket, versioned]) {
    const store = await openStore(t, name);
    const key = `packages/${newId('pkg', Date.now())}/manifest.json` as ObjectKey;
    await store.objects.write(key, once(Buffer.from('first')));
    const error = await t.throwsAsync(store.objects.write(key, once(Buffer.from('second'))));
    t.true(isStoreError(error, 'integrity_failure'));
    t.is((await getRaw(client, { Bucket: name, Key: key }))?.toString(), 'first');
  }
});

/** Of what a GET gives; null: 404. */
async function digestAt(at: Parameters<typeof getRaw>[1]): Promise<Digest | null> {
  const bytes = await getRaw(client, at);
  return bytes === null ? null : digestOf(bytes);
}

async function openStore(t: ExecutionContext, name = bucket): Promise<BlobStore> {
  const { store, close } = await openS3Harness(s3Options(ceph, name), await tempFolder(t), {}, report);
  t.teardown(close);
  return store;
}

async function committed(store: BlobStore): Promise<PlannedObject> {
  const upload = await plan(store, randomBytes(1_000), undefined, keyOf());
  await upload.send(1);
  await store.uploads.complete(upload.handle, upload.parts);
  return upload;
}

function keyOf(): ObjectKey {
  return blobKey(digestOf(randomBytes(8)), newId('upl', Date.now()) as UploadId);
}

function rawUploads(count: number, prefix: string): Promise<RawUpload[]> {
  const keys = Array.from({ length: count }, () => `${prefix}/${newId('upl', Date.now())}`);
  return Promise.all(keys.map((Key) => openRaw(client, { Bucket: bucket, Key })));
}

function abortRaw({ named }: Pick<RawUpload, 'named'>): Promise<string> {
  return answerOf(client.send(new AbortMultipartUploadCommand(named)));
}

function at({ named: { Bucket, Key } }: RawUpload): { Bucket: string; Key: string } {
  return { Bucket, Key };
}

function place({ handle }: PlannedObject): { Bucket: string; Key: string } {
  return { Bucket: bucket, Key: handle.key };
}

function namedOf({ handle }: PlannedObject): RawUpload['named'] {
  return { Bucket: bucket, Key: handle.key, UploadId: handle.storageUploadId };
}

function said({ status, body }: { status: number; body: Buffer }): string {
  const code = /<Code>([^<]+)<\/Code>/.exec(body.toString())?.[1];
  return code === undefined ? String(status) : `${status} ${code}`;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
