import test from 'ava';
import { largeBodies, passLargeFiles } from '../suites/large-files.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { S3 } from '../support/s3-server.ts';

const server = await required('Large files through the service onto S3', S3);
/** The largest that streams as one part. */
const SINGLE_PART_MAX = 256 * 1024 ** 2;

if (server !== null) {
  test.after.always('the S3 server ends', () => server.stop());

  test('a large file goes in and out of a bucket in less than 250 MB of memory', async (t) => {
    t.timeout(600_000);
    await passLargeFiles(t, largeBodies(SINGLE_PART_MAX), {
      ...s3Env(server, await createBucket(server)),
      ...uploadKeyEnv(server),
    });
  });
}
