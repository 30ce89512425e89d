import test from 'ava';
import { oldStoreSuite } from '../suites/version-0.1.0.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3, s3Client } from '../support/s3-server.ts';
import { tempFolder } from '../support/temp.ts';
import { moveToBucket } from '../support/version-0.1.0/bucket.ts';
import { unpackDataFolder } from '../support/version-0.1.0/fixture.ts';

const what = 'Opening what version 0.1.0 wrote, on PostgreSQL and S3';
const server = await required(what, S3);
const postgres = server && (await required(what, POSTGRES));
if (server && postgres) {
  test.after.always('the S3 server ends', () => server.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
  oldStoreSuite(test, {
    name: 'PostgreSQL and S3',
    async layOut(t, options) {
      const old = await unpackDataFolder(await tempFolder(t), options);
      const [databaseUrl, bucket] = [await postgres.createDatabase(), await createBucket(server)];
      const s3 = s3Client(server);
      await moveToBucket(old, databaseUrl, s3, bucket);
      s3.destroy();
      const env = { ...s3Env(server, bucket), ...uploadKeyEnv(server), ARTIFACT_STORE_DATABASE_URL: databaseUrl };
      return { dataDir: await tempFolder(t), env };
    },
  });
}
