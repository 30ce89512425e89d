import { randomBytes } from 'node:crypto';
import {
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import { StoreError } from '../../src/core/errors.ts';
import { recover } from '../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server, s3Client } from '../support/s3-server.ts';
import { startTestService, type TestService } from '../support/service.ts';

/** Objects that nothing refers to, on a versioned bucket, while storage cannot remove them at first. */
const started = await required('Dropping objects on S3', S3);
const server = started as S3Server;

interface Place {
  service: TestService;
  api: Api;
  /** Every version and delete marker of a blob, as `key`. */
  versions(): Promise<string[]>;
  /** The uploads that storage has open under objects/. */
  begun(): Promise<string[]>;
  /** Makes storage refuse to drop anything. */
  refusing(yes: boolean): void;
}

async function start(t: ExecutionContext): Promise<Place> {
  const bucket = await createBucket(server);
  const client: S3Client = s3Client(server);
  t.teardown(() => client.destroy());
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
  const service = await startTestService({
    env: {
      ...s3Env(server, bucket),
    },
  });
  t.teardown(() => service.dispose());
  const { blobs } = service.services;
  const dropUpload = blobs.uploads.drop.bind(blobs.uploads);
  let refuses = false;
  blobs.uploads.drop = async (...args) => {
    if (refuses) throw new StoreError('unavailable', 'as the test wants it');
    return dropUpload(...args);
  };
  return {
    service,
    api: apiOf(service.url),
    async versions() {
      const listed = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'objects/' }));
      return [...(listed.Versions ?? []), ...(listed.DeleteMarkers ?? [])].map(({ Key = '' }) => Key);
    },
    async begun() {
      const listed = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: 'objects/' }));
      return (listed.Uploads ?? []).map(({ Key = '' }) => Key);
    },
    refusing: (yes) => {
      refuses = yes;
    },
  };
}

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test.serial('a duplicate that could not be dropped at once is removed later, by its version', async (t) => {
    const { service, api, versions, refusing } = await start(t);
    const bytes = randomBytes(1_000);
    const object = { digest: sha256(bytes), size: bytes.length };
    const uploads: string[] = [];
    for (const path of ['a', 'b']) {
      const id = await api.create();
      await api.post(`/v1/packages/${id}/files`, { files: [{ path, ...object }] });
      const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
      t.is((await api.send(upload.parts[0], bytes)).status, 200);
      uploads.push(upload.upload_id);
    }
    refusing(true);
    for (const id of uploads) t.is((await api.post(`/v1/uploads/${id}/commit`)).body.state, 'stored');
    t.is((await versions()).length, 2);
    refusing(false);
    await recover(service.services);
    const left = await versions();
    t.is(left.length, 1, 'no delete marker hides what goes on taking space');
    t.true(left[0]?.includes(uploads[0] as string));
  });

  test.serial('an object whose recording was refused, and its drop too, is removed later', async (t) => {
    const { service, api, versions, refusing } = await start(t);
    const { blobs } = service.services;
    const id = await api.create();
    const other = { path: 'f', digest: sha256('other'), size: 5 };
    const completeUpload = blobs.uploads.complete.bind(blobs.uploads);
    blobs.uploads.complete = async (...args) => {
      const completed = await completeUpload(...args);
      await api.post(`/v1/packages/${id}/files`, { files: [other] });
      return completed;
    };
    refusing(true);
    const refused = await api.call('PUT', `/v1/packages/${id}/files/f`, randomBytes(1_000));
    t.is(refused.body.code, 'duplicate_path');
    t.is((await versions()).length, 1);
    refusing(false);
    await recover(service.services);
    t.deepEqual(await versions(), []);
  });

  test.serial(
    'what was begun in storage in vain is ended: by plans that race, and by one that died before it kept the name',
    async (t) => {
      const { service, api, begun } = await start(t);
      const id = await api.create();
      const objects = Array.from({ length: 5 }, (_, n) => ({ digest: sha256(`raced ${n}`), size: 7 }));
      const files = objects.map((object, n) => ({ path: `f${n}`, ...object }));
      await api.post(`/v1/packages/${id}/files`, { files });
      const plans = Array.from({ length: 8 }, () => api.post(`/v1/packages/${id}/uploads`, { objects }));
      const [planned] = await Promise.all(plans);
      t.is((await begun()).length, 5, 'one for each object');
      for (const { upload_id, parts, digest } of planned?.body.uploads ?? []) {
        const content = `raced ${objects.findIndex((object) => object.digest === digest)}`;
        t.is((await api.send(parts[0], Buffer.from(content))).status, 200);
        t.is((await api.post(`/v1/uploads/${upload_id}/commit`)).status, 200);
      }
      t.deepEqual(await begun(), []);

      const { blobs } = service.services;
      const createUpload = blobs.uploads.create.bind(blobs.uploads);
      blobs.uploads.create = async (...args) => {
        await createUpload(...args);
        throw new StoreError('unavailable', 'the name is lost, as the test wants it');
      };
      const other = { digest: sha256('nameless'), size: 8 };
      await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'nameless', ...other }] });
      t.is((await api.post(`/v1/packages/${id}/uploads`, { objects: [other] })).status, 503);
      t.is((await begun()).length, 1);
      blobs.uploads.create = createUpload;
      t.is((await api.post(`/v1/packages/${id}/fail`, { reason: 'x' })).status, 200);
      await recover(service.services);
      t.deepEqual(await begun(), []);
    },
  );

  test.serial(
    'a completion without a clean answer stays marked for the sweep, and recovery leaves it alone',
    async (t) => {
      const { service, api, versions } = await start(t);
      const { blobs, registry } = service.services;
      const bytes = randomBytes(1_000);
      const object = { digest: sha256(bytes), size: bytes.length };
      const id = await api.create();
      await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
      const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
      t.is((await api.send(upload.parts[0], bytes)).status, 200);
      const completeUpload = blobs.uploads.complete.bind(blobs.uploads);
      blobs.uploads.complete = async (...args) => {
        await completeUpload(...args);
        throw new StoreError('unavailable', 'the answer is lost, as the test wants it');
      };
      t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.code, 'upload_abandoned');
      let asked = 0;
      const dropUpload = blobs.uploads.drop.bind(blobs.uploads);
      blobs.uploads.drop = async (...args) => {
        asked += 1;
        return dropUpload(...args);
      };
      await recover(service.services);
      t.is(asked, 0, 'nothing has changed since storage said: later');
      t.is((await versions()).length, 1, 'the object stands');
      const marked = await registry.read.uploads.listDroppingLater(null, 10);
      t.deepEqual(
        marked.map((row) => [row.id as string, row.drop_key]),
        [[upload.upload_id, true]],
      );
      t.deepEqual(await registry.read.uploads.listDroppingLater(marked[0]?.id ?? null, 10), []);
    },
  );
}
