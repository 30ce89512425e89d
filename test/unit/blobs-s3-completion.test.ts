import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import type { BlobStore, UploadHandle } from '../../src/blobs/blob-store.ts';
import { realFileLayer } from '../../src/blobs/file-layer.ts';
import { blobKey, manifestKey } from '../../src/blobs/key-layout.ts';
import { openS3Store } from '../../src/blobs/s3/s3-store.ts';
import { openSpool } from '../../src/blobs/spool.ts';
import { digestOf } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';
import { type ScriptedAnswer, type ScriptedRequest, type ScriptedS3, startScriptedS3 } from '../support/scripted-s3.ts';
import { tempFolder } from '../support/temp.ts';

const BYTES = randomBytes(100);
const PART: PlannedPart = { number: 1, digest: digestOf(BYTES), offset: 0, size: BYTES.length };
const ID = newId('upl', Date.now()) as UploadId;
const UPLOAD: UploadHandle = { id: ID, key: blobKey(PART.digest, ID), storageUploadId: 'theirs' };

const LIST = `<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><Size>100</Size><ETag>"e"</ETag></Part></ListPartsResult>`;

/** A store on a server whose Complete ends so. */
async function open(
  t: ExecutionContext,
  complete: ScriptedAnswer | null,
): Promise<{ store: BlobStore; server: ScriptedS3 }> {
  return openOn(t, ({ operation }) => {
    if (operation === 'list_parts') return { status: 200, body: LIST };
    return operation === 'complete' ? complete : { status: 204 };
  });
}

async function openOn(
  t: ExecutionContext,
  answer: (request: ScriptedRequest) => ScriptedAnswer | null,
): Promise<{ store: BlobStore; server: ScriptedS3 }> {
  const server = await startScriptedS3(answer);
  const dir = await tempFolder(t);
  const store = openS3Store({
    endpoint: server.endpoint,
    publicEndpoint: null,
    region: 'us-east-1',
    bucket: 'bucket',
    prefix: null,
    forcePathStyle: true,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    uploadCredentials: null,
    clock: Date.now,
    verify: 'auto',
    report: () => null,
    probeAgain: async () => {},
    selfServed: () => {
      throw new Error('nothing is downloaded here');
    },
    spool: openSpool(realFileLayer, async () => dir),
  });
  t.teardown(async () => {
    await store.close();
    await server.close();
  });
  return { store, server };
}

const result = (key: string, more = ''): string =>
  `<CompleteMultipartUploadResult><Bucket>bucket</Bucket><Key>${key}</Key><ETag></ETag>${more}</CompleteMultipartUploadResult>`;

const UNCLEAN: Record<string, ScriptedAnswer | null> = {
  'a 200 with an error in it': { status: 200, body: '<Error><Code>InternalError</Code></Error>' },
  'a 200 with an error in it, after blanks that kept the connection': {
    status: 200,
    body: `<?xml version="1.0"?>\n   \n<Error><Code>SlowDown</Code><Message>later</Message></Error>`,
  },
  'an empty 200': { status: 200 },
  'a 200 that breaks off': { status: 200, body: '<CompleteMultipartUploadResult><Bucket>buck' },
  'a 200 whose connection closes half way': {
    status: 200,
    body: result(UPLOAD.key).slice(0, 60),
    headers: { 'content-length': '5000' },
    breakOff: true,
  },
  'a 200 of another object': { status: 200, body: result('other') },
  'a 500': { status: 500, body: '<Error><Code>InternalError</Code></Error>' },
  'a 503': { status: 503, body: '<Error><Code>SlowDown</Code></Error>' },
  'a 404': { status: 404, body: '<Error><Code>NoSuchUpload</Code></Error>' },
  'a 204': { status: 204 },
  'a reset connection': null,
};

for (const [name, answer] of Object.entries(UNCLEAN)) {
  test(`Complete is sent once, and ${name} is no success`, async (t) => {
    const { store, server } = await open(t, answer);
    const error = await t.throwsAsync(store.uploads.complete(UPLOAD, [PART]));
    t.true(isStoreError(error, 'unavailable'), `${error?.name}: ${error?.message}`);
    t.is(server.requests.filter(({ operation }) => operation === 'complete').length, 1);
  });
}

test('a clean 200 gives the version, and no digest that nobody proved', async (t) => {
  const headers = { 'x-amz-version-id': 'v7' };
  const { store } = await open(t, { status: 200, body: result(UPLOAD.key), headers });
  t.deepEqual(await store.uploads.complete(UPLOAD, [PART]), {
    size: 100,
    versionId: 'v7',
    digest: null,
    partsBound: false,
  });
});

test('a part with another size counts as missing: nothing is sent', async (t) => {
  const { store, server } = await open(t, { status: 200, body: result(UPLOAD.key) });
  const error = await t.throwsAsync(store.uploads.complete(UPLOAD, [{ ...PART, size: 101 }]));
  t.true(isStoreError(error, 'upload_incomplete'));
  t.false(server.requests.some(({ operation }) => operation === 'complete'));
});

interface Contended {
  store: BlobStore;
  server: ScriptedS3;
}

/** A server on which others write the same manifest: what it says to each PUT, and what stands there afterwards. */
async function contended(t: ExecutionContext, puts: number[], stands: () => boolean): Promise<Contended> {
  return openOn(t, ({ method, url }) => {
    if (method === 'PUT') return { status: puts.shift() ?? 200 };
    const isThere = stands() || !url.includes('manifest.json');
    return isThere ? { status: 200, body: '{}', headers: { 'content-length': '2' } } : { status: 404 };
  });
}

const MANIFEST = manifestKey(newId('pkg', Date.now()) as PackageId);

async function* manifest(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{}');
}

test('a manifest that somebody else is writing is retried once, whether theirs exists by then or not', async (t) => {
  const puts = ({ server }: { server: ScriptedS3 }) => server.requests.filter(({ method }) => method === 'PUT').length;
  const ours: Contended = await contended(t, [409, 200], () => puts(ours) === 2);
  t.is((await ours.store.objects.write(MANIFEST, manifest())).digest, digestOf('{}'));

  // Theirs stands as soon as ours was refused.
  const theirs: Contended = await contended(t, [409], () => puts(theirs) === 1);
  t.is((await theirs.store.objects.write(MANIFEST, manifest())).digest, digestOf('{}'));
  t.is(puts(theirs), 1);

  const never = await contended(t, [409, 409], () => false);
  t.true(isStoreError(await t.throwsAsync(never.store.objects.write(MANIFEST, manifest())), 'unavailable'));
  t.is(puts(never), 2);
});

test('dropping an upload: aborted if never completed, removed if completed cleanly, otherwise left alone', async (t) => {
  const { store, server } = await open(t, null);
  const seen = async (drop: Promise<unknown>, outcome = 'dropped'): Promise<string[]> => {
    t.is(await drop, outcome);
    return server.requests.splice(0).map(({ operation, url }) => `${operation} ${url.split('?')[1]}`);
  };
  t.deepEqual(await seen(store.uploads.drop(UPLOAD, 'unclean', null), 'later'), []);
  const [abort, ...others] = await seen(store.uploads.drop(UPLOAD, 'not_sent', null));
  t.regex(abort ?? '', /^abort .*uploadId=theirs/);
  t.deepEqual(others, []);
  const [remove, ...more] = await seen(store.uploads.drop(UPLOAD, 'clean', 'v7'));
  t.regex(remove ?? '', /^delete .*versionId=v7/);
  t.deepEqual(more, []);
});
