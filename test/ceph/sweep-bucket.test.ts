import { randomBytes } from 'node:crypto';
import { ListObjectVersionsCommand, PutBucketVersioningCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import { blobKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { digestOf } from '../../src/core/digest.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import { type Api, apiOf } from '../support/api.ts';
import { CEPH } from '../support/ceph.ts';
import { fixityNow } from '../support/fixity.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { s3Client } from '../support/s3-server.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { keysOf, statesOf, strayObject, sweepOf } from '../support/sweep.ts';

/** What only a bucket has: uploads that it lists, versions, garbage. */
const ceph = await required('Sweeps of a bucket', CEPH);
if (ceph !== null) {
  test.after.always('Ceph ends', () => ceph.stop());

  const start = async (t: ExecutionContext): Promise<{ service: TestService; api: Api; bucket: string }> => {
    const bucket = await createBucket(ceph);
    const service = await startTestService({ env: s3Env(ceph, bucket) });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url), bucket };
  };
  const client = s3Client(ceph);
  test.after.always('the client ends', () => client.destroy());

  test('of two uploads that planners began on one key the other one is aborted, and the object stays', async (t) => {
    const { service, api, bucket } = await start(t);
    const { uploads } = service.services.blobs;
    const contents = Array.from({ length: 12 }, () => randomBytes(200_000));
    const id = await api.create();
    const files = contents.map((bytes, n) => ({ path: `f${n}`, digest: digestOf(bytes), size: bytes.length }));
    await api.post(`/v1/packages/${id}/files`, { files });
    const objects = files.map(({ digest, size }) => ({ digest, size }));
    const planned = (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads;
    for (const [n, upload] of planned.entries()) {
      const bytes = contents[n] as Buffer;
      const key = blobKey(upload.digest, upload.upload_id as UploadId);
      const begin = async (): Promise<void> => {
        const UploadId = await uploads.create(key, upload.upload_id);
        await client.send(
          new UploadPartCommand({ Bucket: bucket, Key: key, UploadId, PartNumber: 1, Body: bytes.subarray(0, 1_000) }),
        );
      };
      // Half of them before the other is completed, half of them after.
      if (n % 2 === 0) await begin();
      t.is((await api.send(upload.parts[0], bytes)).status, 200);
      t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
      if (n % 2 === 1) await begin();
    }
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    t.like((await sweepOf(api, { apply: true })).report, { unfinished_uploads: { count: 0 } }, 'they are young');
    service.sleepDays(2);
    t.like((await sweepOf(api)).report, { unfinished_uploads: { count: 12 }, unfinished_kept: { count: 0 } });
    t.like((await sweepOf(api, { apply: true })).report, { unfinished_uploads: { count: 12 } });
    t.like((await sweepOf(api, { apply: true })).report, { unfinished_uploads: { count: 0 }, missing: { count: 0 } });
    await ceph.collectGarbage();
    for (const [n, { digest }] of files.entries()) {
      const response = await fetch(`${service.url}/v1/packages/${id}/files/f${n}?redirect=false`);
      t.is(digestOf(Buffer.from(await response.arrayBuffer())), digest);
    }
  });

  test('more uploads than a list of the bucket holds are all seen, each once', async (t) => {
    const { service } = await start(t);
    const { uploads } = service.services.blobs;
    const keys = Array.from({ length: 1_010 }, (_, n) => blobKey(digestOf(`${n}`), newId('upl', n) as UploadId));
    for (let at = 0; at < keys.length; at += 20) {
      await Promise.all(keys.slice(at, at + 20).map((key) => uploads.create(key, key.slice(-36) as UploadId)));
    }
    const seen: string[] = [];
    for await (const { key } of uploads.listBegun()) seen.push(key);
    t.deepEqual(seen, keys.toSorted());
    t.like((await sweepOf(apiOf(service.url))).report, { unfinished_kept: { count: 0 } }, 'they are young');
  });

  test('what a sweep frees in a versioned bucket is not there any more', async (t) => {
    const { service, api, bucket } = await start(t);
    const VersioningConfiguration = { Status: 'Enabled' as const };
    // What was stored before has no version.
    const before = await api.preserve({ a: 'before there were versions' }, { retention_class: 'transient' });
    await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    const after = await api.preserve({ a: 'after' }, { retention_class: 'transient' });
    service.sleepDays(9);
    for (const id of [before, after]) await api.call('DELETE', `/v1/packages/${id}?reason=over`);
    await strayObject(service, Buffer.from('unknown'));
    await fixityNow(api);
    t.like((await sweepOf(api, { apply: true })).report, { unknown: { count: 1 }, unneeded: { count: 2 } });
    service.sleepDays(2);
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 2 } });
    t.deepEqual(await keysOf(service), []);
    t.deepEqual(await statesOf(service), ['gone', 'gone']);
    const listed = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'objects/' }));
    const left = [...(listed.Versions ?? []), ...(listed.DeleteMarkers ?? [])].map(({ Key }) => Key as ObjectKey);
    t.deepEqual(left, []);
  });
}
