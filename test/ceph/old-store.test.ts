import { PutObjectCommand } from '@aws-sdk/client-s3';
import test from 'ava';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { oldStoreSuite } from '../suites/old-store.ts';
import { type OldStore, writeOldRegistry } from '../support/old-store.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, s3Client } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';

const WHAT = 'Opening what 0.1.0 wrote on PostgreSQL and S3';
const server = await required(WHAT, S3);
const postgres = server && (await required(WHAT, POSTGRES));
if (server !== null && postgres !== null) {
  test.after.always('the S3 server ends', () => server.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
  oldStoreSuite(test, {
    name: 'PostgreSQL and S3',
    async open(t, store) {
      const bucket = await createBucket(server);
      const client = s3Client(server);
      for (const [path, bytes] of Object.entries(store.files)) {
        const [, key] = /^blobs\/(.*)$/.exec(path) ?? [];
        if (key === undefined) continue;
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: Buffer.from(bytes, 'latin1') }));
      }
      client.destroy();
      const url = await postgres.createDatabase();
      const db = connectPostgres(url);
      // Begun in a folder: a bucket has other names for it.
      await writeOldRegistry(db, { ...store, tables: { ...store.tables, ...withoutOpen(store.tables) } });
      await db.destroy();
      const env = { ARTIFACT_STORE_DATABASE_URL: url, ...s3Env(server, bucket), ...uploadKeyEnv(server) };
      const service = await startTestService({ env });
      t.teardown(() => service.dispose());
      return service;
    },
  });
}

function withoutOpen({ uploads = [], upload_parts = [] }: OldStore['tables']): OldStore['tables'] {
  const ended = uploads.filter(({ state }) => state !== 'open');
  const ids = new Set(ended.map(({ id }) => id));
  return { uploads: ended, upload_parts: upload_parts.filter(({ upload_id }) => ids.has(upload_id as string)) };
}
