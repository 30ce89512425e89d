import test from 'ava';
import { olderRegistrySuite } from '../suites/older-registry.ts';
import { CEPH } from '../support/ceph.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';

const ceph = await required('An older registry beside a bucket', CEPH);
if (ceph !== null) {
  test.after.always('Ceph ends', () => ceph.stop());
  olderRegistrySuite('Ceph', async () => s3Env(ceph, await createBucket(ceph)));
}
