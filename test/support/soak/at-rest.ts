import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ListMultipartUploadsCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import type pg from 'pg';
import type { Sweep } from '../../../src/api/types.ts';
import {
  decisionKey,
  KEYS_PREFIX,
  LOG_PREFIX,
  type ObjectKey,
  ownerOf,
  PROBE_PREFIX,
  publicKeyKey,
  receiptKey,
  STORE_KEY,
} from '../../../src/blobs/key-layout.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { apiOf } from '../api.ts';
import { runCli } from '../cli-child.ts';
import { sweepOf } from '../sweep.ts';
import type { Pushed } from './actors.ts';
import type { SoakServices } from './services.ts';

const HOUR_MS = 3_600_000;
/** Longer than any upload is open. */
const UPLOADS_END_MS = 8 * 24 * HOUR_MS;
const SWEEPS_MAX = 10;
const PATIENCE_MS = 120_000;
/** Packages that are verified at once. */
const VERIFIED_AT_ONCE = 3;

export interface Place {
  /** Of what is condemned, ms. */
  grace: number;
  services: SoakServices;
  db: pg.Client;
  s3: S3Client;
  bucket: string;
  /** What the services are configured by. */
  env: Record<string, string>;
}

/** Time passes, recovery and sweeps run undisturbed, until a sweep has nothing to do. @returns that one */
export async function comeToRest({ services, db }: Place): Promise<Sweep> {
  let shift = UPLOADS_END_MS;
  await services.shiftTime(shift);
  await until('uploads end', async () => {
    const left = `select count(*)::int as count from uploads
      where state in ('open', 'completing', 'aborting') or (drop_key and not drop_later)`;
    return (await db.query(left)).rows[0].count === 0;
  });
  const api = apiOf(services.url);
  for (let times = 1; ; times += 1) {
    const sweep = await sweepOf(api, { apply: true, max_dead: 10 });
    // A machine that is very busy may cost it a connection: what it began, the next one ends.
    if (sweep.state === 'done') assert.equal(sweep.report.missing.count, 0, JSON.stringify(sweep));
    else assert.equal(sweep.error?.code, 'unavailable', JSON.stringify(sweep));
    const { unneeded, waiting, due, leftovers, unknown, unknown_kept, young, missing } = sweep.report;
    const { sparse, unfinished_uploads, freed } = sweep.report;
    const amounts = [unneeded, waiting, due, leftovers, unknown, unknown_kept, young, missing];
    const idle = [...amounts, sparse, unfinished_uploads, freed].every(({ count }) => count === 0);
    if (idle && sweep.state === 'done') {
      await services.shiftTime(0);
      return sweep;
    }
    assert.ok(times < SWEEPS_MAX, `sweeps do not end: ${JSON.stringify(sweep.report)}`);
    // Longer than the grace, and than what was signed is good for.
    shift += HOUR_MS;
    await services.shiftTime(shift);
  }
}

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !(await is()); ) {
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
    await sleep(200);
  }
}

/** What was acknowledged is there, and the audit is what was logged; every package that is finalized is whole, byte for byte. @returns how many files were read */
export async function assertWhole({ services, db }: Place, pushed: readonly Pushed[]): Promise<number> {
  const { rows } = await db.query<{ id: string; status: string }>('select id, status from packages');
  const status = new Map(rows.map((row) => [row.id, row.status]));
  const api = apiOf(services.url);
  for (const { id, plan, list, state } of pushed) {
    const deleted = state === 'ended' && plan.fate !== 'thinned';
    const lives = plan.fate === 'open' ? 'uploading' : 'finalized';
    assert.equal(status.get(id), deleted ? 'deleted' : lives, `${plan.externalId} (${plan.fate}, ${state})`);
    if (deleted || plan.fate === 'open') continue;
    const { body } = await api.get(`/v1/packages/${id}/manifest?format=sha256sum`);
    assert.equal(body, list, `${plan.externalId} is not what was pushed`);
  }
  const finalized = rows.filter((row) => row.status === 'finalized');
  let files = 0;
  const verify = async (): Promise<void> => {
    for (let next = finalized.pop(); next !== undefined; next = finalized.pop()) {
      const { code, json, stdout, stderr } = await runCli(['verify', next.id, '--json', '--url', services.url]);
      assert.equal(code, 0, `verify ${next.id}: ${stdout}${stderr}`);
      files += json.files;
    }
  };
  await Promise.all(Array.from({ length: VERIFIED_AT_ONCE }, verify));
  const audit = await runCli(['audit', 'verify', '--url', services.url]);
  assert.equal(audit.code, 0, `audit verify: ${audit.stdout}${audit.stderr}`);
  return files;
}

/** Storage has what the registry has, nothing else, and nothing waits for anything. */
export async function assertEqual(place: Place, last: Sweep, dataDir: string): Promise<void> {
  const { db, env, grace } = place;
  const one = async (sql: string) => (await db.query(sql)).rows;
  assert.deepEqual(await one(`select id, state from objects where state not in ('live', 'gone')`), []);
  assert.deepEqual(await one('select blob_no from lost_blobs'), []);
  assert.deepEqual(
    await one(
      `select at, action, subject_id, detail from audit_events where action in ('object.lost', 'object.damaged')`,
    ),
    [],
    'nothing was ever lost or damaged',
  );
  assert.deepEqual(
    await one(`select id, state, drop_key from uploads where state in ('open', 'completing', 'aborting') or drop_key`),
    [],
    'no upload is half done, and no key is left to be freed',
  );
  assert.deepEqual(
    await one(
      `select r.subject_id, r.at - max(c.at) as ms from audit_events r join audit_events c on c.subject_id = r.subject_id
       where r.action = 'object.removed' and c.action = 'object.condemned' and c.seq < r.seq
       group by r.subject_id, r.at having r.at - max(c.at) < ${grace}`,
    ),
    [],
    'what is condemned has its grace',
  );
  assert.deepEqual(await one(`select object_no from object_checks where result <> 'good'`), []);

  const objects = await one(`select key from objects where state = 'live'`);
  // The end of what was never finalized is not told to storage.
  const decided = await one(
    `select e.id, e.package_id from retention_events e join packages p on p.id = e.package_id
     where e.action <> 'set' and (e.action <> 'deleted' or p.finalized_at is not null)`,
  );
  const decisions = decided.map(({ id, package_id }) => decisionKey(package_id as PackageId, id));
  const keys = (await one('select id from signing_keys')).map(({ id }) => publicKeyKey(id));
  const signed = await one('select id, package_id, receipt_at from retention_events where receipt_event is not null');
  assert.deepEqual(
    signed.filter(({ receipt_at }) => receipt_at === null),
    [],
    'every deletion has its receipt',
  );
  const receipts = signed.map(({ id, package_id }) => receiptKey(package_id as PackageId, id));
  const stored = await keysOf(place);
  assert.deepEqual(
    keys.filter((key) => !stored.includes(key)),
    [],
    'every key that signed is in storage',
  );
  const known = [STORE_KEY, ...receipts, ...decisions, ...objects.map(({ key }) => key)];
  // A key that storage has, and the registry does not, has signed nothing yet: its service was killed in between.
  const others = stored.filter((key) => !key.startsWith(KEYS_PREFIX));
  assert.deepEqual(others, known.toSorted(), 'storage and registry are equal');
  await assertUploadsKnown(place, last);

  const compared = await runCli(['rebuild', '--compare', '--data-dir', dataDir], { env });
  assert.equal(compared.code, 0, compared.stdout + compared.stderr);
}

/** Without the audit's log, which is verified by itself, and what killed probes left: a start removes it when it is an hour old. */
async function keysOf({ s3, bucket }: Place): Promise<string[]> {
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: bucket }))
    keys.push(...Contents.map(({ Key = '' }) => Key));
  return keys.filter((key) => !key.startsWith(PROBE_PREFIX) && !key.startsWith(LOG_PREFIX)).toSorted();
}

/** Storage has uploads open only where it may have completed them: aborting those can destroy what was made. */
async function assertUploadsKnown({ s3, bucket, db }: Place, last: Sweep): Promise<void> {
  const { Uploads: begun = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  const keys = begun.map(({ Key = '' }) => Key).filter((key) => !key.startsWith(PROBE_PREFIX));
  const owners = keys
    .map((key) => ownerOf(key as ObjectKey))
    .map((owner) => (owner?.kind === 'blob' ? owner.uploadId : null));
  const { rows } = await db.query(
    `select id from uploads where state = 'failed' and completed_at is null and id = any($1)`,
    [owners],
  );
  assert.deepEqual(owners.toSorted(), rows.map(({ id }) => id).toSorted(), 'each that is open may have been completed');
  assert.equal(last.report.unfinished_kept.count, owners.length, 'and the sweep tells of it');
}
