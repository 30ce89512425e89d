import test from 'ava';
import { CEPH, type Ceph } from '../support/ceph.ts';
import { examine } from '../support/examine.ts';
import { required } from '../support/required.ts';
import { createBucket } from '../support/s3-harness.ts';

/** What operators are told of a real Ceph, set up well and set up wrongly. */
const NOBODY_THERE = 'http://127.0.0.1:1';

const started = await required('doctor on Ceph', CEPH);
const ceph = started as Ceph;

interface Trouble {
  change: Record<string, string>;
  code: number;
  says: RegExp;
  /** Of `/readyz`. */
  ready: RegExp | null;
}

const UPLOAD_KEY = { UPLOAD_ACCESS_KEY_ID: 'uploadkey', UPLOAD_SECRET_ACCESS_KEY: 'uploadsecret' };
const CASES: Record<string, Trouble> = {
  'an upload-only key': {
    change: UPLOAD_KEY,
    code: 0,
    says: /^ok {3}Part URLs are signed with a key that cannot read\.$/m,
    ready: null,
  },
  'the control plane’s key for part URLs': {
    change: {},
    code: 0,
    says: /^WARN Part URLs are signed with a key that can also read \(.*\)\.\n {5}→ Set ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID/m,
    ready: null,
  },
  'a public endpoint that the service cannot reach': {
    change: { ...UPLOAD_KEY, PUBLIC_ENDPOINT: NOBODY_THERE },
    code: 0,
    says: /^WARN .*the public endpoint http:\/\/127\.0\.0\.1:1 cannot be reached from the service: .*\n {5}→ .*reads every object back/m,
    ready: null,
  },
  'a missing bucket': {
    change: { BUCKET: 'not-there' },
    code: 1,
    says: /^FAIL Blobs are in the bucket "not-there".*create it, or correct ARTIFACT_STORE_S3_BUCKET/m,
    ready: /NoSuchBucket/,
  },
  'a wrong secret': {
    change: { SECRET_ACCESS_KEY: 'not-the-secret' },
    code: 1,
    says: /^FAIL Blobs are .*ARTIFACT_STORE_S3_(SECRET_)?ACCESS_KEY/m,
    ready: /doctor/,
  },
  'an upload key that may not write here': {
    change: { UPLOAD_ACCESS_KEY_ID: 'nobody', UPLOAD_SECRET_ACCESS_KEY: 'nothing-at-all' },
    code: 1,
    says: /^FAIL A part sent to its signed URL .*InvalidAccessKeyId.*\n {5}→ .*ARTIFACT_STORE_S3_UPLOAD_ACCESS_KEY_ID/m,
    ready: null,
  },
};

if (started !== null) {
  test.after.always('Ceph ends', () => ceph.stop());
  for (const [name, { change, code, says, ready }] of Object.entries(CASES)) {
    test.serial(`on Ceph, ${name}`, async (t) => {
      const variables: Record<string, string> = {
        BUCKET: await createBucket(ceph),
        ENDPOINT: ceph.endpoint,
        ACCESS_KEY_ID: ceph.credentials.accessKeyId,
        SECRET_ACCESS_KEY: ceph.credentials.secretAccessKey,
        ...change,
      };
      const env = Object.fromEntries(
        Object.entries(variables).map(([key, value]) => [`ARTIFACT_STORE_S3_${key}`, value]),
      );
      const secrets = Object.keys(variables)
        .filter((key) => key.includes('SECRET'))
        .map((key) => variables[key] as string);
      const examined = await examine(t, { env }, secrets, [variables.BUCKET as string, new URL(ceph.endpoint).host]);
      t.is(examined.code, code, examined.text);
      t.regex(examined.text, says);
      t.regex(examined.text, /^note .* only a single service can run this way\.$/m, 'SQLite beside a bucket');
      t.is(examined.readiness.status, ready === null ? 'ready' : 'not_ready');
      if (ready !== null) t.regex(examined.readiness.blob_store.error ?? '', ready);
    });
  }
}
