import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import pg from 'pg';
import { CEPH } from '../support/ceph.ts';
import { usualOrLong } from '../support/long.ts';
import { POSTGRES } from '../support/postgres.ts';
import { generator } from '../support/random.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { s3Client } from '../support/s3-server.ts';
import {
  Diary,
  deleter,
  fixityReader,
  type Happened,
  pusher,
  reader,
  type Stage,
  sweeper,
} from '../support/soak/actors.ts';
import { assertEqual, assertWhole, comeToRest, type Place } from '../support/soak/at-rest.ts';
import { chaos } from '../support/soak/chaos.ts';
import { CLASSES, Plan } from '../support/soak/plan.ts';
import { SoakServices } from '../support/soak/services.ts';

/**
 * Everything at once, in real processes: pushers, deleters, sweepers, readers, and whoever kills and freezes them. What they choose is
 * from a seed, when they do it is not: ARTIFACT_STORE_TEST_SEED chooses the same again.
 */
const WHAT = 'The soak on PostgreSQL and Ceph';
const ceph = await required(WHAT, CEPH);
const postgres = ceph && (await required(WHAT, POSTGRES));

const SECONDS = Number(process.env.ARTIFACT_STORE_TEST_SOAK_SECONDS ?? usualOrLong(10, 600));
/** It goes on for so much longer until everything has happened. */
const MORE_SECONDS = 300;
const SEED = Number(process.env.ARTIFACT_STORE_TEST_SEED ?? Date.now() % 1_000_000_007);
const REPLICAS = 2;
const PUSHERS = 4;
const GRACE_SECONDS = 3;
const ACTIONS_TOLD = 60;
const LOG_TOLD = 30;

const MUST_HAPPEN: readonly Happened[] = [
  ...(['push', 'push repeated', 'delete', 'files removed', 'sweep', 'fixity', 'verify'] as const),
  ...(['service killed', 'service frozen', 'pusher killed', 'pusher frozen'] as const),
];

/** What the registry tells of what became of objects, by name. */
const BECAME = {
  condemned: `select count(*) from audit_events where action = 'object.condemned'`,
  removed: `select count(*) from objects where state = 'gone'`,
  revived: `select count(*) from (select subject_id, count(*) as times from audit_events where action = 'object.condemned'
    group by subject_id) c join objects o on o.id = c.subject_id where c.times > 1 or o.state = 'live'`,
  'written anew': `select count(*) from uploads where package_id is null and state = 'committed'`,
  packs: `select count(*) from objects where kind = 'pack'`,
  'in frames': `select count(*) from objects where encoding <> 'identity'`,
  superseded: `select count(*) from packages where supersedes is not null and status = 'finalized'`,
};

if (ceph && postgres) {
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());

  test('whoever dies and freezes while packages are pushed, deleted, swept and read: no byte of a finalized package is lost, and what nothing needs is gone', async (t) => {
    t.timeout((SECONDS + 2 * MORE_SECONDS) * 1_000);
    const place = await openPlace(t);
    const { services, dir } = place;
    const diary = new Diary();
    const plan = new Plan(SEED, generator(SEED));
    let over = false;
    const givenUp = new AbortController();
    const stage: Stage = {
      ...{ url: services.url, dir, plan, diary, pushed: [], processes: new Map() },
      ...{ random: generator(SEED + 1), over: () => over, signal: givenUp.signal },
    };
    const own = (n: number): Stage => ({ ...stage, random: generator(SEED + 1 + n) });
    try {
      const disturbing = chaos(own(1), services);
      const acting = [
        ...Array.from({ length: PUSHERS }, (_, n) => pusher(stage, n)),
        ...[2, 3].map((n) => deleter(own(n))),
        ...[4, 5].map((n) => sweeper(own(n))),
        ...[fixityReader(stage), reader(own(6))],
      ];
      const all = Promise.all([disturbing, ...acting]);
      all.catch(() => {});
      try {
        await Promise.race([all, enough(place, diary)]);
      } finally {
        over = true;
      }
      await all;
      diary.note('calm');
      const last = await comeToRest(place);
      await (ceph as NonNullable<typeof ceph>).collectGarbage();
      const files = await assertWhole(place, stage.pushed);
      await assertEqual(place, last, join(dir, 'compared'));
      t.log(`seed ${SEED}: ${[...diary.counts].map(([what, count]) => `${count} × ${what}`).join(', ')}`);
      const became = Object.entries(await becameOf(place)).map(([what, count]) => `${count} ${what}`);
      t.log(`objects: ${became.join(', ')}; ${files} files of finalized packages are whole`);
      t.true(files > 0);
    } catch (error) {
      givenUp.abort(new Error('the soak has failed'));
      for (const child of stage.processes.values()) child.kill('SIGKILL');
      t.log(`seed ${SEED} (ARTIFACT_STORE_TEST_SEED); the last that happened:`);
      t.log(diary.lines.slice(-ACTIONS_TOLD).join('\n'));
      const log = (await readFile(services.logFile, 'utf8')).trim().split('\n');
      t.log(`the log of the services:\n${log.slice(-LOG_TOLD).join('\n')}`);
      throw error;
    }
  });

  async function openPlace(t: ExecutionContext): Promise<Place & { dir: string }> {
    const dir = await mkdtemp(join(tmpdir(), 'artifact-store-soak-'));
    const database = new URL(await (postgres as NonNullable<typeof postgres>).createDatabase());
    // A replica that is frozen inside a transaction must not be waited for ten seconds.
    database.searchParams.set('idle_in_transaction_session_timeout', '2000');
    const server = ceph as NonNullable<typeof ceph>;
    const bucket = await createBucket(server);
    const classes = Object.entries(CLASSES).map(([fate, value]) => [`soak-${fate}`, value]);
    await writeFile(join(dir, 'classes.json'), JSON.stringify(Object.fromEntries(classes)));
    const env = {
      ARTIFACT_STORE_DATABASE_URL: database.href,
      ...s3Env(server, bucket),
      ...uploadKeyEnv(server),
      ARTIFACT_STORE_SWEEP_GRACE: `${GRACE_SECONDS}s`,
      ARTIFACT_STORE_RETENTION_CLASSES: join(dir, 'classes.json'),
    };
    const db = new pg.Client({ connectionString: database.href });
    await db.connect();
    const s3 = s3Client(server);
    const services = await SoakServices.start(dir, env, db, REPLICAS);
    t.teardown(async () => {
      await services.close();
      await db.end();
      s3.destroy();
      await rm(dir, { recursive: true, force: true });
    });
    return { grace: GRACE_SECONDS * 1_000, services, db, s3, bucket, env, dir };
  }
}

async function becameOf({ db }: Place): Promise<Record<string, number>> {
  const counts: Array<[string, number]> = [];
  for (const [what, sql] of Object.entries(BECAME)) counts.push([what, Number((await db.query(sql)).rows[0].count)]);
  return Object.fromEntries(counts);
}

/** The time is over, and each thing has happened at least once. @throws Error when that takes too long */
async function enough(place: Place, { counts }: Diary): Promise<void> {
  await sleep(SECONDS * 1_000);
  for (const until = Date.now() + MORE_SECONDS * 1_000; ; ) {
    const became = Object.entries(await becameOf(place)).flatMap(([what, count]) => (count === 0 ? [what] : []));
    const left = [...MUST_HAPPEN.filter((what) => !counts.has(what)), ...became];
    if (left.length === 0) return;
    if (Date.now() > until) throw new Error(`it has not happened: ${left.join(', ')}`);
    await sleep(1_000);
  }
}
