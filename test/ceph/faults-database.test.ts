import test, { type ExecutionContext } from 'ava';
import { CEPH } from '../support/ceph.ts';
import type { Exchange } from '../support/exchanges.ts';
import type { Link, Point } from '../support/fault-proxy.ts';
import {
  asks,
  assertNotFinalized,
  assertWhole,
  endsWell,
  errorOf,
  type Faulted,
  mendWhileWaited,
  nth,
  onFaulted,
} from '../support/faulted-service.ts';
import { sampled } from '../support/long.ts';
import { OWN_POSTGRES, type OwnPostgres } from '../support/postgres.ts';
import type { PostgresProcess } from '../support/postgres-process.ts';
import { required } from '../support/required.ts';
import { createBucket } from '../support/s3-harness.ts';
import type { S3Server } from '../support/s3-place.ts';

/** The database is killed and started again, or its connections are lost, while a push is under way on a real Ceph. */
const ceph = (await required('Faults of the database', CEPH)) as S3Server;
const postgres = ceph && ((await required('Faults of the database', OWN_POSTGRES)) as OwnPostgres);
/** Null: a database that somebody else runs is not killed. */
const server = postgres?.process as PostgresProcess;

function onBoth(title: string, body: (t: ExecutionContext, place: Faulted) => Promise<void>): void {
  if (server) test.serial(title, async (t) => onFaulted(t, { ceph, postgres, bucket }, body));
}

let bucket = '';
if (postgres) {
  test.before('a bucket', async () => {
    bucket = await createBucket(ceph);
  });
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
}

type Sql = (exchange: Exchange) => boolean;
const runs =
  (statement: RegExp): Sql =>
  ({ what }) =>
    statement.test(what);
/** The COMMIT of a transaction that ran this statement. */
const commits =
  (statement: RegExp): Sql =>
  ({ what, before }) =>
    /^commit/i.test(what) && before.some((each) => statement.test(each));

const REGISTERS = /^insert into package_files/;
const PLANS = /^insert into uploads/;
const CLAIMS = /^update "uploads" set (?!.*"drop_key").*"lease_until"/;
const RECORDS = /^insert into blobs \(digest, size, object_no/;
const SEALS = /^update "packages" set .*"sealed_at"/;
const FINALIZES = /^update "packages" set .*"finalized_at"/;

type Moment = readonly [name: string, of: Sql, n: number, point: Point];

/** At each of these moments, in a push of its own. */
function faultAt(title: string, moments: readonly Moment[], fault: (link: Link) => unknown): void {
  onBoth(title, async (t, place) => {
    for (const [name, of, n, point] of sampled(moments, 8)) {
      await endsWell(t, place, `${name} ${n}, ${point}`, async () => {
        await place.database.once({ point, of: nth(n, of), act: fault });
        return undefined;
      });
    }
  });
}

async function restart(): Promise<void> {
  await server.kill();
  await server.start();
}

const IN_COMMIT: Moment[] = [
  ['claim', runs(CLAIMS), 1, 'sent'],
  ['COMMIT of a claim', commits(CLAIMS), 2, 'asked'],
  ['COMMIT of a claim', commits(CLAIMS), 3, 'answering'],
  ['record', runs(RECORDS), 1, 'answering'],
  ['COMMIT of a record', commits(RECORDS), 1, 'asked'],
  ['COMMIT of a record', commits(RECORDS), 3, 'sent'],
  ['COMMIT of a record', commits(RECORDS), 2, 'answering'],
];
const IN_FINALIZE: Moment[] = [
  ['COMMIT of the seal', commits(SEALS), 1, 'asked'],
  ['COMMIT of the seal', commits(SEALS), 1, 'answering'],
  ['finalize', runs(FINALIZES), 1, 'answering'],
  ['COMMIT of the finalize', commits(FINALIZES), 1, 'asked'],
  ['COMMIT of the finalize', commits(FINALIZES), 1, 'sent'],
  ['COMMIT of the finalize', commits(FINALIZES), 1, 'answering'],
];

faultAt(
  'the database is killed while files are registered and planned: the push ends well',
  [
    ['register', runs(REGISTERS), 1, 'sent'],
    ['COMMIT of a registration', commits(REGISTERS), 2, 'answering'],
    ['COMMIT of a plan', commits(PLANS), 1, 'answering'],
  ],
  restart,
);
faultAt('the database is killed in the middle of a commit: the push ends well', IN_COMMIT, restart);
faultAt('the database is killed in the middle of a finalize: the push ends well', IN_FINALIZE, restart);
faultAt(
  'the connection to the database is reset in a commit or a finalize: the push ends well',
  [...IN_COMMIT.slice(-2), ...IN_FINALIZE.slice(-1)],
  ({ reset }) => reset(),
);

onBoth('the database is killed while the gateway works: the push ends well', async (t, place) => {
  for (const [name, point] of sampled([
    ['complete', 'sent'],
    ['complete', 'answering'],
    ['read', 'answering'],
    ['manifest', 'sent'],
    ['manifest', 'answering'],
  ] as const)) {
    await endsWell(t, place, `${name}, ${point}`, async () => {
      await place.gateway.once({ point, of: asks[name], act: restart });
      return undefined;
    });
  }
});

onBoth('a database that stays away: a clear error, and the same command ends well later', async (t, place) => {
  const tree = await place.newTree();
  const killed = place.database.once({ point: 'asked', of: commits(RECORDS), act: () => server.kill() });
  const failed = await place.push(tree);
  await killed;
  const { code, message, next } = errorOf(failed);
  t.log(`${code}, exit ${failed.code}: ${message} → ${next}`);
  t.is(code, 'unavailable');
  t.regex(message, /^PostgreSQL at 127\.0\.0\.1:\d+, database ".*" cannot answer now/);
  t.regex(next, /doctor/);
  const readiness = await place.api.get('/readyz');
  t.is(readiness.status, 503);
  t.false(readiness.body.registry.ok);
  await server.start();
  await assertNotFinalized(t, place, tree);
  mendWhileWaited(place);
  const pushed = await place.push(tree);
  t.is(pushed.code, 0, pushed.stdout + pushed.stderr);
  await assertWhole(t, place, { tree, packageId: pushed.json.package_id });
});
