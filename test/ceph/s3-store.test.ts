import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import { Client as Witness } from 'minio';
import type { BlobStore, CompletedObject, UploadHandle } from '../../src/blobs/blob-store.ts';
import { blobKey, manifestKey } from '../../src/blobs/key-layout.ts';
import type { S3Options, S3StoreOptions } from '../../src/blobs/s3/options.ts';
import { probeBackend } from '../../src/blobs/s3/probe.ts';
import type { ProbeReport } from '../../src/blobs/s3/probe-report.ts';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { mapLimit } from '../../src/usecases/map-limit.ts';
import { blobStoreSuite } from '../suites/blob-store.ts';
import type { Ceph } from '../support/ceph.ts';
import { usualOrLong } from '../support/long.ts';
import { type PlannedObject, plan } from '../support/planned-object.ts';
import { required } from '../support/required.ts';
import { createBucket, openS3Harness, s3Options } from '../support/s3-harness.ts';
import { OWN_S3, s3Client } from '../support/s3-server.ts';
import { openSigned, type SendOptions, type SignedAnswer, sendSigned } from '../support/signed-request.ts';
import { tempFolder } from '../support/temp.ts';

const MIB = 1024 ** 2;
const PART = 5 * MIB;
const HOUR = 3_600_000;
const X: PlannedPart = { number: 1, digest: digestOf('x'), offset: 0, size: 1 };

const started = await required('the S3 store', OWN_S3);
const ceph = started as Ceph;
/** With and without an upload-only key, each with a bucket and a prefix of its own. */
const variants = { 'the control plane’s key': '', 'an upload-only key': '' };
type Variant = keyof typeof variants;

/** One after the other: some look at the whole bucket, some kill the gateway. Only where the Ceph is our own. */
function onCeph(title: string, body: (t: ExecutionContext) => Promise<void>): void {
  if (started !== null && 'killGateway' in started) test.serial(title, body);
}

if (started !== null) {
  const probed: Array<[Variant, ProbeReport]> = [];
  for (const variant of Object.keys(variants) as Variant[]) {
    variants[variant] = await createBucket(ceph);
    probed.push([variant, await probeBackend(optionsOf(variant))]);
  }
  // Tests of the service on Ceph sign part URLs with an upload-only key.
  const suites = usualOrLong<readonly Variant[]>(['the control plane’s key'], Object.keys(variants) as Variant[]);
  for (const [variant, report] of probed) if (suites.includes(variant)) runSuite(variant, report);
  test.after('everything that the suites left in the buckets is intact after garbage collection', allIntact);
  test.after.always('Ceph ends', () => ceph.stop());
}

/** Probed once for all its cases. Of our own Ceph it is known what is found; another server may enforce less. */
function runSuite(variant: Variant, report: ProbeReport): void {
  const isOurs = 'killGateway' in ceph;
  blobStoreSuite(test, {
    name: `S3, ${variant}`,
    guarantees: {
      part_digest_enforced: isOurs || report.enforcing,
      download_range_enforced: isOurs || report.held.download_range_enforced,
      // No S3 has these: s3-facts.test.ts shows it, and that the store does without.
      completion_exclusive: false,
      object_overwrite_refused: false,
    },
    async open(t) {
      return openS3Harness(optionsOf(variant), await tempFolder(t), {}, report);
    },
  });
}

function optionsOf(variant: Variant): S3Options {
  const only = variant === 'an upload-only key';
  return s3Options(ceph, variants[variant], {
    prefix: only ? 'team/store' : null,
    uploadCredentials: only ? ceph.uploadCredentials : null,
  });
}

for (const variant of Object.keys(variants) as Variant[]) {
  onCeph(`${variant}: what an attacker can do with a part URL (first table of s3-facts)`, async (t) => {
    const { store } = await open(t, optionsOf(variant));
    const source = await commit(store, randomBytes(1_000));
    const copy = { 'x-amz-copy-source': `/${variants[variant]}/${nameOf(variant, source.handle.key)}` };
    const { bytes, handle, parts, send, sign } = await plan(store, randomBytes(1_000));
    const other = randomBytes(1_000);
    const empty = { body: Buffer.alloc(0), headers: { 'content-length': '0' } };
    const otherHash = { 'x-amz-content-sha256': digestOf(other).slice('sha256:'.length) };
    const [unsigned, gone] = ['403 SignatureDoesNotMatch', '404 NoSuchUpload'];
    const [copied, copiedLate] =
      variant === 'an upload-only key' ? ['403 AccessDenied', '403 AccessDenied'] : ['400', gone];
    /** The answers before and after completion: what is not as it was signed is refused before storage looks at the upload. */
    const rows: Array<[row: string, options: SendOptions, before: string, after: string]> = [
      ['other bytes', { body: other }, '400 XAmzContentSHA256Mismatch', gone],
      ['an empty body', empty, unsigned, unsigned],
      ['an empty body and a copy source', { ...empty, headers: { ...empty.headers, ...copy } }, unsigned, unsigned],
      ['the right body and a copy source', { headers: copy }, copied, copiedLate],
      ['another hash', { body: other, headers: otherHash }, unsigned, unsigned],
      [
        'unsigned payload',
        { body: other, headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
        unsigned,
        unsigned,
      ],
      ['a shorter body', { body: bytes.subarray(1), headers: { 'content-length': '999' } }, unsigned, unsigned],
    ];
    for (const [row, options, expected] of rows) {
      const answer = await send(1, options);
      t.true(said(answer).startsWith(expected), `${row}: ${said(answer)}`);
      t.deepEqual(await store.uploads.listParts(handle), [], row);
    }
    const chunked = await send(1, { headers: { 'content-length': '', 'transfer-encoding': 'chunked' } });
    t.true(chunked.status >= 400, 'a chunked body');
    const request = await sign(1);
    const { 'x-amz-content-sha256': _, ...withoutHash } = request.headers;
    const leftOut = await sendSigned({ ...request, headers: withoutHash }, { body: bytes });
    t.is(said(leftOut), '403 SignatureDoesNotMatch', 'the hash left out');
    for (const more of ['&x-amz-acl=public-read', '&versionId=null', '&response-content-type=text/html']) {
      const answer = await sendSigned({ ...request, url: request.url + more }, { body: bytes });
      t.is(said(answer), '403 SignatureDoesNotMatch', more);
    }
    const host = await sendSigned(request, { body: bytes, headers: { host: 'elsewhere' } });
    t.true(host.status >= 400, 'another host');
    t.deepEqual(await store.uploads.listParts(handle), []);

    const madePublic = { headers: { 'x-amz-acl': 'public-read' } };
    t.is((await send(1)).status, 200, 'as it was given it works');
    t.is((await send(1, madePublic)).status, 200, 'an unsigned ACL is not looked at');
    await store.uploads.complete(handle, parts);
    const right: typeof rows = [
      ['the right bytes', {}, '200', gone],
      ['the right bytes and a public ACL', madePublic, '200', gone],
    ];
    for (const [row, options, , expected] of [...right, ...rows]) {
      t.is(said(await send(1, options)), expected, `after completion, ${row}`);
      t.deepEqual(await read(store, handle), bytes, row);
    }
    const name = nameOf(variant, handle.key);
    t.is(
      (await fetch(`${ceph.endpoint}/${variants[variant]}/${name}`)).status,
      403,
      'nobody reads it without a signature',
    );
    await intactAfterGarbage(t, store, [
      [handle, bytes],
      [source.handle, source.bytes],
    ]);
  });

  onCeph(`${variant}: what the probe finds on Ceph 16.2, and that it leaves nothing`, async (t) => {
    const bucket = await createBucket(ceph);
    const report = await probeBackend({ ...optionsOf(variant), bucket });
    t.is(report.problem, null);
    t.true(report.enforcing);
    const lost = report.findings.filter(({ held }) => !held).map(({ guarantee }) => guarantee);
    const expected = ['checksum_header_honoured'];
    if (variant !== 'an upload-only key') expected.push('upload_key_write_only');
    t.deepEqual(lost, expected as typeof lost);
    t.deepEqual(await witnessed(bucket), []);
    t.deepEqual(await incomplete(bucket), []);
  });
}

onCeph('a part that is under way when the upload is completed changes nothing, and nothing is lost', async (t) => {
  const { store } = await open(t, optionsOf('an upload-only key'));
  const kept: Array<[UploadHandle, Buffer]> = [];
  for (let round = 0; round < 10; round += 1) {
    const { bytes, handle, parts, send, sign } = await plan(store, randomBytes(300_000));
    await send(1);
    await Promise.all([send(1), send(1), send(1)]);
    const late = openSigned(await sign(1));
    await new Promise((resolve) => late.outgoing.write(bytes.subarray(0, 150_000), resolve));
    const racing = round % 2 === 0 ? Promise.all([send(1), send(1)]) : Promise.resolve();
    await store.uploads.complete(handle, parts);
    await racing;
    late.outgoing.end(bytes.subarray(150_000));
    t.true((await late.answer).status >= 400);
    kept.push([handle, bytes]);
  }
  await intactAfterGarbage(t, store, kept);
});

onCeph('uploads of several parts, some sent twice and in disorder, survive the garbage collection', async (t) => {
  const { store, spool } = await open(t, optionsOf('an upload-only key'));
  const kept: Array<[UploadHandle, Buffer]> = [];
  for (let round = 0; round < 4; round += 1) {
    const { bytes, handle, send, parts } = await plan(store, randomBytes(2 * PART + 7), [PART, PART, 7]);
    for (const number of [3, 1, 2, 1]) t.is((await send(number)).status, 200);
    const spooled = await spool.receive(once(bytes));
    await store.uploads.deliverPart(handle, parts[1] as PlannedPart, spooled.file);
    await spooled.discard();
    const completed = await store.uploads.complete(handle, parts);
    t.deepEqual(
      completed,
      { size: bytes.length, versionId: null, digest: null, partsBound: true },
      'many parts are read back',
    );
    kept.push([handle, bytes]);
  }
  await intactAfterGarbage(t, store, kept);
});

onCeph('a digest is trusted only for one part, on a backend that was seen to enforce it', async (t) => {
  const options = optionsOf('an upload-only key');
  const believed = async (change: Partial<S3StoreOptions>): Promise<boolean> => {
    const { store } = await open(t, options, change);
    const { completed, bytes } = await commit(store, randomBytes(1_000));
    if (completed.digest !== null) t.is(completed.digest, digestOf(bytes));
    return completed.digest !== null;
  };
  t.true(await believed({}));
  t.false(await believed({ verify: 'read' }));
  t.false(await believed({ report: () => null }));
  const unreachable = await probeBackend({ ...options, publicEndpoint: await closedPort() });
  t.false(await believed({ report: () => unreachable }));
});

onCeph('a dropped upload: aborted when it was never completed, removed when it was', async (t) => {
  const { store } = await open(t, optionsOf('an upload-only key'));
  const never = await plan(store, randomBytes(1_000));
  await never.send(1);
  await store.uploads.drop(never.handle, 'not_sent', null);
  t.is(said(await never.send(1)), '404 NoSuchUpload');
  const wrong = await commit(store, randomBytes(1_000));
  await store.uploads.drop(wrong.handle, 'unclean', null);
  t.deepEqual(await read(store, wrong.handle), wrong.bytes, 'nobody knows: left alone');
  await store.uploads.drop(wrong.handle, 'clean', null);
  await store.uploads.drop(wrong.handle, 'clean', null);
  t.is(await store.objects.stat({ key: wrong.handle.key, versionId: null }), null);
});

onCeph('on a versioned bucket reads and deletes name the version', async (t) => {
  const bucket = await createBucket(ceph);
  const client = s3Client(ceph);
  t.teardown(() => client.destroy());
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
  const { store } = await open(t, s3Options(ceph, bucket));
  const { completed, handle, bytes } = await commit(store, randomBytes(1_000));
  t.truthy(completed.versionId);
  await witness().putObject(bucket, handle.key, Buffer.from('tampered with'));
  const ref = { key: handle.key, versionId: completed.versionId };
  t.deepEqual(await buffer(await store.objects.open(ref)), bytes);
  t.is((await store.objects.stat(ref))?.size, bytes.length);
  const download = await store.objects.signDownload(ref, { objectId: 'obj', expiresAt: Date.now() + HOUR });
  t.deepEqual((await sendSigned(download)).body, bytes);
  await store.objects.remove(ref);
  t.is(await store.objects.stat(ref), null);
  t.is((await read(store, handle)).toString(), 'tampered with', 'the other version stands');
  const manifest = manifestKey(newId('pkg', Date.now()) as PackageId);
  await store.objects.write(manifest, once(Buffer.from('{}')));
  await t.throwsAsync(store.objects.write(manifest, once(Buffer.from('{"other":1}'))));
  t.is((await buffer(await store.objects.open({ key: manifest, versionId: null }))).toString(), '{}');
});

onCeph('downloads come as attachments, whatever was stored; for seven days at most', async (t) => {
  const { store } = await open(t, optionsOf('an upload-only key'));
  const { handle, bytes } = await commit(store, Buffer.from('<script>alert(1)</script>'));
  const ref = { key: handle.key, versionId: null };
  const request = await store.objects.signDownload(ref, { objectId: 'obj', expiresAt: Date.now() + 30 * 24 * HOUR });
  t.true(request.expiresAt <= Date.now() + 7 * 24 * HOUR);
  const answer = await fetch(request.url);
  t.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);
  t.is(answer.headers.get('content-disposition'), 'attachment');
  t.is(answer.headers.get('content-type'), 'application/octet-stream');
  t.is((await fetch(request.url.split('?')[0] as string)).status, 403, 'nothing without a signature');
});

onCeph('an independent client sees the same objects', async (t) => {
  const bucket = await createBucket(ceph);
  const { store } = await open(t, s3Options(ceph, bucket, { prefix: 'mine' }));
  await witness().putObject(bucket, 'theirs.txt', 'not of the store');
  await witness().putObject(bucket, 'mine/Not A Key', 'not of the store either');
  const objects = await Promise.all(Array.from({ length: 5 }, () => commit(store, randomBytes(1_000))));
  const keys = objects.map(({ handle }) => handle.key).sort();
  const listed: string[] = [];
  for await (const { key } of store.objects.list('')) listed.push(key);
  t.deepEqual(listed as typeof keys, keys);
  const seen = (await witnessed(bucket)).filter((name) => name.startsWith('mine/objects/'));
  t.deepEqual(
    seen,
    keys.map((key) => `mine/${key}`),
  );
  const [victim] = objects;
  if (!victim) return t.fail();
  const name = `mine/${victim.handle.key}`;
  t.deepEqual(await buffer(await witness().getObject(bucket, name)), victim.bytes);
});

onCeph('more than a page of parts and of objects', async (t) => {
  const bucket = await createBucket(ceph);
  const { store } = await open(t, s3Options(ceph, bucket));
  const { handle, parts, send } = await plan(store, randomBytes(1_010), Array(1_010).fill(1));
  await mapLimit(parts, 16, async ({ number }) => t.is((await send(number)).status, 200));
  const listed = await store.uploads.listParts(handle);
  t.deepEqual(
    listed?.map(({ number }) => number),
    parts.map(({ number }) => number),
  );
  await store.uploads.abort(handle);

  const names = parts.map(({ number }) => `packages/page/${String(number).padStart(5, '0')}`);
  await mapLimit(names, 16, (name) => witness().putObject(bucket, name, 'x'));
  const keys: string[] = [];
  for await (const { key } of store.objects.list('packages/page/')) keys.push(key);
  t.deepEqual(keys, names);
});

onCeph('a full bucket is told as no space', async (t) => {
  const bucket = await createBucket(ceph);
  await ceph.admin('quota', 'set', `--bucket=${bucket}`, '--quota-scope=bucket', '--max-size=4096');
  await ceph.admin('quota', 'enable', `--bucket=${bucket}`, '--quota-scope=bucket');
  const { store, spool } = await open(t, s3Options(ceph, bucket), { report: () => null });
  const { handle, parts, bytes } = await plan(store, randomBytes(100_000));
  const spooled = await spool.receive(once(bytes));
  t.true(
    isStoreError(
      await t.throwsAsync(store.uploads.deliverPart(handle, parts[0] as PlannedPart, spooled.file)),
      'no_space',
    ),
  );
  const key = manifestKey(newId('pkg', Date.now()) as PackageId);
  t.true(isStoreError(await t.throwsAsync(store.objects.write(key, once(bytes))), 'no_space'));
  await spooled.discard();
});

const wrong = { accessKeyId: 'testkey', secretAccessKey: 'not the secret' };
const unknown = { accessKeyId: 'nobody', secretAccessKey: 'nothing' };
const TROUBLES: Record<string, { change(): Promise<Partial<S3Options>>; says: RegExp }> = {
  'a missing bucket': { change: async () => ({ bucket: 'not-there' }), says: /bucket "not-there" does not exist/ },
  'a wrong secret': { change: async () => ({ credentials: wrong }), says: /S3_SECRET_ACCESS_KEY|S3_ACCESS_KEY_ID/ },
  'an unknown key': { change: async () => ({ credentials: unknown }), says: /S3_ACCESS_KEY_ID/ },
  'an unreachable endpoint': { change: async () => ({ endpoint: await closedPort() }), says: /could not be reached/ },
};

for (const [name, { change, says }] of Object.entries(TROUBLES)) {
  onCeph(`${name} is told by every method, by health and by the probe`, async (t) => {
    const options = { ...optionsOf('the control plane’s key'), ...(await change()) };
    const { store, spool, report } = await open(t, options);
    const id = newId('upl', Date.now()) as UploadId;
    const handle = { id, key: blobKey(digestOf('x'), id), storageUploadId: 'x' };
    const ref = { key: handle.key, versionId: null };
    const spooled = await spool.receive(once(Buffer.from('x')));
    const calls: Record<string, () => Promise<unknown>> = {
      createUpload: () => store.uploads.create(handle.key, id),
      deliverPart: () => store.uploads.deliverPart(handle, X, spooled.file),
      writeObject: () => store.objects.write(handle.key, once(Buffer.from('x'))),
      openObject: () => store.objects.open(ref),
      statObject: () => store.objects.stat(ref),
      listObjects: () => store.objects.list('')[Symbol.asyncIterator]().next(),
      listParts: () => store.uploads.listParts(handle),
      completeUpload: () => store.uploads.complete(handle, [X]),
      abortUpload: () => store.uploads.abort(handle),
      removeObject: () => store.objects.remove(ref),
    };
    for (const [method, call] of Object.entries(calls)) {
      const error = await t.throwsAsync(call(), undefined, method);
      t.true(isStoreError(error, 'unavailable'), `${method}: ${error?.message}`);
      t.regex(error?.message ?? '', says, method);
    }
    await spooled.discard();
    const health = await store.health();
    t.false(health.ok);
    t.regex(health.error ?? '', says);
    t.false(health.guarantees.writable);
    t.false(health.guarantees.part_digest_enforced);
    t.false(report.enforcing);
    t.regex(report.problem ?? '', says);
  });
}

onCeph('a public endpoint that the service cannot reach proves nothing, and says so', async (t) => {
  const publicEndpoint = await closedPort();
  const report = await probeBackend({ ...optionsOf('an upload-only key'), publicEndpoint });
  t.false(report.enforcing);
  t.true(Object.values(report.held).every((held) => !held));
  t.regex(report.problem ?? '', /public endpoint .* cannot be reached from the service: .*ECONNREFUSED/);
  t.is(report.endpoint, publicEndpoint);
});

onCeph('an upload key that the backend does not know makes the probe say what to check', async (t) => {
  const report = await probeBackend({ ...optionsOf('an upload-only key'), uploadCredentials: unknown });
  t.false(report.enforcing);
  t.false(report.held.part_urls_work);
  const finding = report.findings.find(({ guarantee }) => guarantee === 'part_urls_work');
  t.regex(`${finding?.says} ${finding?.advice}`, /InvalidAccessKeyId.*S3_UPLOAD_ACCESS_KEY_ID/s);
});

onCeph('a gateway that goes away and comes back', async (t) => {
  const { store } = await open(t, optionsOf('an upload-only key'));
  const before = await commit(store, randomBytes(1_000));
  const half = await plan(store, randomBytes(PART + 5), [PART, 5]);
  await half.send(1);
  await ceph.killGateway();
  t.true(
    isStoreError(await t.throwsAsync(store.objects.stat({ key: before.handle.key, versionId: null })), 'unavailable'),
  );
  t.true(isStoreError(await t.throwsAsync(store.uploads.complete(half.handle, half.parts)), 'unavailable'));
  t.false((await store.health()).ok);
  await ceph.startGateway();
  t.true((await store.health()).ok);
  t.deepEqual(
    (await store.uploads.listParts(half.handle))?.map(({ number }) => number),
    [1],
  );
  t.is((await half.send(2)).status, 200);
  await store.uploads.complete(half.handle, half.parts);
  await intactAfterGarbage(t, store, [
    [before.handle, before.bytes],
    [half.handle, half.bytes],
  ]);
});

async function allIntact(t: ExecutionContext): Promise<void> {
  await ceph.collectGarbage();
  let seen = 0;
  for (const bucket of Object.values(variants)) {
    for (const name of await witnessed(bucket)) {
      const hex = /sha256\/..\/..\/([0-9a-f]{64})\./.exec(name)?.[1];
      const bytes = await buffer(await witness().getObject(bucket, name));
      if (hex !== undefined) t.is(digestOf(bytes).slice('sha256:'.length), hex, name);
      seen += 1;
    }
  }
  t.true(seen > 20);
}

async function open(
  t: ExecutionContext,
  options: S3Options,
  change: Partial<S3StoreOptions> = {},
): Promise<Awaited<ReturnType<typeof openS3Harness>>> {
  const harness = await openS3Harness(options, await tempFolder(t), change);
  t.teardown(() => harness.close());
  return harness;
}

interface Committed extends PlannedObject {
  completed: CompletedObject;
}

async function commit(store: BlobStore, bytes: Buffer): Promise<Committed> {
  const planned = await plan(store, bytes);
  const { status } = await planned.send(1);
  if (status !== 200) throw new Error(`the part was answered with ${status}`);
  return { ...planned, completed: await store.uploads.complete(planned.handle, planned.parts) };
}

async function read(store: BlobStore, { key }: UploadHandle): Promise<Buffer> {
  return buffer(await store.objects.open({ key, versionId: null }));
}

/** A HEAD and an immediate read prove nothing on this Ceph: only what is readable after its garbage collection is kept. */
async function intactAfterGarbage(
  t: ExecutionContext,
  store: BlobStore,
  kept: ReadonlyArray<readonly [UploadHandle, Buffer]>,
): Promise<void> {
  await ceph.collectGarbage();
  for (const [handle, bytes] of kept) t.is(digestOf(await read(store, handle)), digestOf(bytes));
}

function said({ status, body }: SignedAnswer): string {
  const code = /<Code>([^<]+)<\/Code>/.exec(body.toString())?.[1];
  return code === undefined ? String(status) : `${status} ${code}`;
}

function nameOf(variant: Variant, key: string): string {
  return variant === 'an upload-only key' ? `team/store/${key}` : key;
}

/** Another implementation of S3's client: what it sees does not depend on our code. */
function witness(): Witness {
  const { hostname, port } = new URL(ceph.endpoint);
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = ceph.credentials;
  return new Witness({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey });
}

async function witnessed(bucket: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of witness().listObjectsV2(bucket, '', true)) names.push(name);
  return names.sort();
}

async function incomplete(bucket: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of witness().listIncompleteUploads(bucket, '', true)) keys.push(key);
  return keys;
}

async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
