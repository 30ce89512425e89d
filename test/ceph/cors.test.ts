import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type CORSConfiguration, PutBucketCorsCommand } from '@aws-sdk/client-s3';
import test from 'ava';
import { apiOf, sha256 } from '../support/api.ts';
import { CEPH } from '../support/ceph.ts';
import { plan } from '../support/planned-object.ts';
import { required } from '../support/required.ts';
import { createBucket, openS3Harness, s3Options } from '../support/s3-harness.ts';
import { s3Client } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

/** What a page under ORIGIN needs of the service and of the bucket, asked as a browser asks (Fetch standard). */
const ORIGIN = 'https://ui.example';
const server = await required('CORS of a bucket', CEPH);

function listed(headers: Headers, name: string): string[] {
  return (headers.get(name) ?? '').toLowerCase().split(/[\s,]+/);
}

function preflight(url: string, method: string, headers: string, origin = ORIGIN): Promise<Response> {
  return fetch(url, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': headers },
  });
}

test('a page may push to the service and read what answers say', async (t) => {
  const service = await startTestService({ env: { ARTIFACT_STORE_CORS_ORIGINS: ORIGIN } });
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const id = await api.create();
  const bytes = randomBytes(100);
  const object = { digest: sha256(bytes), size: bytes.length };
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
  const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
  const [part] = upload.parts;
  const file = `${service.url}/v1/packages/${id}/files/f`;
  for (const [url, method, headers] of [
    [`${service.url}/v1/packages`, 'POST', 'authorization,content-type'],
    [`${service.url}/v1/packages/${id}`, 'DELETE', 'authorization'],
    [file, 'GET', 'authorization,range,if-none-match'],
    [file, 'PUT', 'authorization,content-type,repr-digest'],
    [part.url, 'PUT', 'content-type'],
  ] as const) {
    const answer = await preflight(url, method, headers);
    t.is(answer.status, 204, `${method} ${url}`);
    t.is(answer.headers.get('access-control-allow-origin'), ORIGIN);
    t.true(listed(answer.headers, 'access-control-allow-methods').includes(method.toLowerCase()));
    const allowed = listed(answer.headers, 'access-control-allow-headers');
    for (const name of headers.split(',')) t.true(allowed.includes(name), name);
    const foreign = await preflight(url, method, headers, 'https://evil.example');
    t.is(foreign.headers.get('access-control-allow-origin'), null);
  }
  const sent = await fetch(part.url, { method: 'PUT', body: bytes, headers: { ...part.headers, origin: ORIGIN } });
  t.is(sent.status, 200);
  t.is(sent.headers.get('access-control-allow-origin'), ORIGIN);
  t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
  const came = await fetch(file, { headers: { origin: ORIGIN, range: 'bytes=0-9' } });
  t.is(came.status, 206);
  const exposed = listed(came.headers, 'access-control-expose-headers');
  for (const name of ['etag', 'repr-digest', 'content-range', 'accept-ranges', 'x-request-id']) {
    t.true(exposed.includes(name), `${name} may be read`);
    t.truthy(came.headers.get(name), `${name} is there`);
  }
  t.true(exposed.includes('location'));
  // Errors too, or a page could not say what was wrong.
  const refused = await fetch(`${service.url}/v1/packages/nonsense`, { headers: { origin: ORIGIN } });
  t.true(refused.status >= 400);
  t.is(refused.headers.get('access-control-allow-origin'), ORIGIN);
});

async function ruleOfTheDocs(): Promise<CORSConfiguration> {
  const page = await readFile(resolve(import.meta.dirname, '../../docs/storage-ceph-s3.md'), 'utf8');
  const rule = /`cors\.json`:\n\n```json\n(.+?)\n```/s.exec(page)?.[1];
  if (rule === undefined) throw new Error('docs/storage-ceph-s3.md shows no cors.json');
  return JSON.parse(rule);
}

if (server !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test('with the rule of the docs a page may send parts to the bucket and read objects, others may not', async (t) => {
    const bucket = await createBucket(server);
    const client = s3Client(server);
    t.teardown(() => client.destroy());
    const CORSConfiguration = await ruleOfTheDocs();
    await client.send(new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration }));
    const options = s3Options(server, bucket, { uploadCredentials: server.uploadCredentials });
    const { store, close } = await openS3Harness(options, await tempFolder(t));
    t.teardown(close);
    const { bytes, handle, parts, sign } = await plan(store, randomBytes(1_000));
    const { url, headers } = await sign(1);
    const { 'content-length': _, ...shown } = headers;
    const asked = await preflight(
      url,
      'PUT',
      Object.keys(shown)
        .filter((name) => name !== 'host')
        .join(','),
    );
    t.is(asked.status, 200);
    t.is(asked.headers.get('access-control-allow-origin'), ORIGIN);
    t.true(listed(asked.headers, 'access-control-allow-methods').includes('put'));
    t.is((await preflight(url, 'PUT', 'x-amz-content-sha256', 'https://evil.example')).status, 403);
    const sent = await fetch(url, { method: 'PUT', body: bytes, headers: { ...shown, origin: ORIGIN } });
    t.is(sent.status, 200);
    t.is(sent.headers.get('access-control-allow-origin'), ORIGIN);
    t.true(listed(sent.headers, 'access-control-expose-headers').includes('etag'));
    await store.uploads.complete(handle, parts);
    const ref = { key: handle.key, versionId: null };
    const download = await store.objects.signDownload(ref, { objectId: 'obj', expiresAt: Date.now() + 60_000 });
    const came = await fetch(download.url, { headers: { origin: ORIGIN } });
    t.is(came.headers.get('access-control-allow-origin'), ORIGIN);
    t.deepEqual(Buffer.from(await came.arrayBuffer()), bytes);
  });
}
