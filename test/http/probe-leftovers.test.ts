import test from 'ava';
import { STORE_KEY } from '../../src/blobs/key-layout.ts';
import { newId } from '../../src/core/ids.ts';
import { type StoreId, storeBytes } from '../../src/core/store-identity.ts';
import { startScriptedS3 } from '../support/scripted-s3.ts';
import { startTestService } from '../support/service.ts';

const MARK = storeBytes(newId('sto', 1) as StoreId);

/** An hour cannot be waited for: a scripted bucket, an empty store of its own, says that something is that old. */
test('a start removes the leftovers of a probe that was killed long ago', async (t) => {
  const version = (key: string, date: string) =>
    `<Version><Key>${key}</Key><VersionId>v7</VersionId><LastModified>${date}</LastModified></Version>`;
  const old = version('probe/0f/source', '2020-01-01T00:00:00Z') + version('probe/1f/source', new Date().toISOString());
  const s3 = await startScriptedS3(({ method, url }) => {
    const { pathname, searchParams } = new URL(url, 'http://here');
    if (method === 'GET' && searchParams.has('versions')) {
      return { status: 200, body: `<ListVersionsResult>${old}</ListVersionsResult>` };
    }
    if (method === 'DELETE') return { status: 204 };
    if (method === 'GET' && searchParams.has('list-type')) return { status: 200, body: '<ListBucketResult/>' };
    if (pathname === `/bucket/${STORE_KEY}` && method !== 'PUT') {
      const headers = { 'content-length': String(MARK.length) };
      return { status: 200, headers, ...(method === 'GET' ? { body: MARK.toString() } : {}) };
    }
    return { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' };
  });
  t.teardown(() => s3.close());
  const service = await startTestService({
    env: {
      ARTIFACT_STORE_S3_BUCKET: 'bucket',
      ARTIFACT_STORE_S3_ENDPOINT: s3.endpoint,
      ARTIFACT_STORE_S3_ACCESS_KEY_ID: 'key',
      ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: 'secret',
    },
  });
  t.teardown(() => service.dispose());
  const removed = s3.requests.filter(({ method }) => method === 'DELETE').map(({ url }) => url);
  t.is(removed.length, 1);
  t.regex(removed[0] ?? '', /^\/bucket\/probe\/0f\/source\?(.*&)?versionId=v7/);
});
