import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';

/**
 * `npm run test:compose`: the suites of PostgreSQL and S3 against the PostgreSQL and the MinIO of compose.yaml, for
 * machines with Docker. Servers of their own are not started; what kills one does not run.
 */
const ROOT = resolve(import.meta.dirname, '../..');
const SUITES = [
  'test/postgres/*.test.ts',
  'test/postgres-folder/*.test.ts',
  'test/ceph/access.test.ts',
  'test/ceph/archives.test.ts',
  'test/ceph/attestation.test.ts',
  'test/ceph/audit-log.test.ts',
  'test/ceph/time-stamps.test.ts',
  'test/ceph/commit-abort.test.ts',
  'test/ceph/damage.test.ts',
  'test/ceph/dedupe-attacks.test.ts',
  'test/ceph/drops.test.ts',
  'test/ceph/file-rules.test.ts',
  'test/ceph/fixity.test.ts',
  'test/ceph/rebuild.test.ts',
  'test/ceph/route-scopes.test.ts',
  'test/ceph/sweep-faults.test.ts',
  'test/ceph/files.test.ts',
  'test/ceph/finalize.test.ts',
  'test/ceph/foreign-digest.test.ts',
  'test/ceph/frame-commits.test.ts',
  'test/ceph/frames.test.ts',
  'test/ceph/decisions.test.ts',
  'test/ceph/limits.test.ts',
  'test/ceph/lost-objects.test.ts',
  'test/ceph/lying-part.test.ts',
  'test/ceph/metrics.test.ts',
  'test/ceph/openapi.test.ts',
  'test/ceph/operations.test.ts',
  'test/ceph/packages.test.ts',
  'test/ceph/packs.test.ts',
  'test/ceph/probe.test.ts',
  'test/ceph/push-by-hand.test.ts',
  'test/ceph/push-resume.test.ts',
  'test/ceph/put-file.test.ts',
  'test/ceph/put-large.test.ts',
  'test/ceph/races.test.ts',
  'test/ceph/ranges.test.ts',
  'test/ceph/receipts.test.ts',
  'test/ceph/retention.test.ts',
  'test/ceph/rewrite.test.ts',
  'test/ceph/s3-store.test.ts',
  'test/ceph/service.test.ts',
  'test/ceph/store-identity.test.ts',
  'test/ceph/sweep.test.ts',
  'test/ceph/tokens.test.ts',
  'test/ceph/uploads.test.ts',
  'test/ceph/version-0.1.0.test.ts',
];
/** What compose.yaml takes from .env: new ones for each run. */
const SECRETS = Object.fromEntries(
  ['ARTIFACT_STORE_ADMIN_TOKEN', 'POSTGRES_PASSWORD', 'MINIO_ROOT_PASSWORD', 'MINIO_UPLOAD_PASSWORD'].map((name) => [
    name,
    randomBytes(24).toString('hex'),
  ]),
);
const SERVERS = {
  ARTIFACT_STORE_TEST_DATABASE_URL: `postgres://artifact_store:${SECRETS.POSTGRES_PASSWORD}@127.0.0.1:5432/artifact_store`,
  ARTIFACT_STORE_TEST_S3_ENDPOINT: 'http://127.0.0.1:9000',
  ARTIFACT_STORE_TEST_S3_ACCESS_KEY_ID: 'artifact-store',
  ARTIFACT_STORE_TEST_S3_SECRET_ACCESS_KEY: SECRETS.MINIO_ROOT_PASSWORD,
  ARTIFACT_STORE_TEST_S3_UPLOAD_ACCESS_KEY_ID: 'artifact-store-upload',
  ARTIFACT_STORE_TEST_S3_UPLOAD_SECRET_ACCESS_KEY: SECRETS.MINIO_UPLOAD_PASSWORD,
};

function compose(...args: string[]): void {
  execFileSync('docker', ['compose', '--project-name', 'artifact-store-test', '--profile', 's3', ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...SECRETS },
  });
}

if (spawnSync('docker', ['compose', 'version']).status !== 0) {
  process.stderr.write(
    'npm run test:compose needs Docker with its compose plugin; `npm test` starts its own servers.\n',
  );
  process.exit(1);
}
try {
  compose('up', '--detach', '--wait', 'postgres', 'minio');
  compose('run', '--rm', 'minio-setup');
  const suites = process.argv.length > 2 ? process.argv.slice(2) : SUITES;
  const { status } = spawnSync(process.execPath, [resolve(ROOT, 'test/run.ts'), ...suites], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...SERVERS, CI: 'true' },
  });
  process.exitCode = status ?? 1;
} finally {
  compose('down', '--volumes');
}
