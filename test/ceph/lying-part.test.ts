import { randomBytes } from 'node:crypto';
import { UploadPartCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import test from 'ava';
import type { UploadId } from '../../src/core/ids.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, type S3Server, s3Client } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';

/** Somebody who holds the control plane's key puts other bytes into an open upload: only reading back can see that. */
const started = await required('Lying parts on S3', S3);
const server = started as S3Server;

if (started !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test.serial(
    'a part with other bytes of the same length: digest_mismatch, still missing, then the right push works',
    async (t) => {
      const bucket = await createBucket(server);
      const service = await startTestService({
        env: {
          ...s3Env(server, bucket),
          ARTIFACT_STORE_S3_VERIFY: 'read',
        },
      });
      t.teardown(() => service.dispose());
      const client = s3Client(server);
      t.teardown(() => client.destroy());
      const api = apiOf(service.url);
      const [right, other] = [randomBytes(1_000), randomBytes(1_000)];
      const object = { digest: sha256(right), size: right.length };
      const id = await api.create();
      await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
      const plan = async () => (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads[0];
      const state = async () => (await api.get(`/v1/packages/${id}/files`)).body.items[0].state;

      const upload = await plan();
      t.is((await api.send(upload.parts[0], right)).status, 200);
      const known = await service.services.registry.read.uploads.get(upload.upload_id as UploadId);
      const part = { Bucket: bucket, Key: known?.key, UploadId: known?.storage_upload_id ?? '', PartNumber: 1 };
      // Without a hash of the body: the server takes what comes.
      const url = await getSignedUrl(client, new UploadPartCommand(part));
      t.is((await fetch(url, { method: 'PUT', body: other })).status, 200);

      const refused = await api.post(`/v1/uploads/${upload.upload_id}/commit`);
      t.is(refused.status, 422);
      t.like(refused.body, {
        code: 'digest_mismatch',
        expected_digest: object.digest,
        actual_digest: sha256(other),
      });
      t.is(await state(), 'missing');
      t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');

      const again = await plan();
      t.not(again.upload_id, upload.upload_id);
      t.is((await api.send(again.parts[0], right)).status, 200);
      t.is((await api.post(`/v1/uploads/${again.upload_id}/commit`)).body.state, 'stored');
      t.is((await api.post(`/v1/packages/${id}/finalize`)).body.status, 'finalized');
      const came = await fetch(`${service.url}/v1/packages/${id}/files/f`);
      t.deepEqual(Buffer.from(await came.arrayBuffer()), right);
    },
  );
}
