import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Client as Witness } from 'minio';
import pg from 'pg';
import { digestFromBytes, parseDigest } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { CEPH } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import { usualOrLong } from '../support/long.ts';
import { POSTGRES } from '../support/postgres.ts';
import { generator } from '../support/random.ts';
import { isCommit, type Relay, startRelay } from '../support/relay.ts';
import { Replicas, type Stop } from '../support/replicas.ts';
import { required } from '../support/required.ts';
import { s3Env, uploadKeyEnv } from '../support/s3-env.ts';
import { createBucket } from '../support/s3-harness.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/**
 * Two services, each a process, on one PostgreSQL and one bucket. What stops them is decided by counting requests and
 * their effects, from a seed; ARTIFACT_STORE_TEST_SEED runs another one.
 */
const ceph = await required('Two replicas on PostgreSQL and Ceph', CEPH);
const postgres = ceph && (await required('Two replicas on PostgreSQL and Ceph', POSTGRES));
const own = process.env.ARTIFACT_STORE_TEST_SEED;
const SEEDS = own === undefined ? usualOrLong([11], [11, 22, 33, 44, 55, 66]) : [Number(own)];

const SMALL_FILES = 200;
/** A push that nothing disturbs has as many requests: of eleven objects each is planned and committed. */
const MOST = { commits: 11, posts: 25, effects: 24 };
const MIB = 1024 ** 2;

if (ceph && postgres) {
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());

  /** A database, a bucket, and replicas on them. */
  async function place(clockOff: readonly number[]) {
    const database = new URL(await (postgres as NonNullable<typeof postgres>).createDatabase());
    // A replica that is frozen inside a transaction must not be waited for ten seconds.
    database.searchParams.set('idle_in_transaction_session_timeout', '1000');
    const { endpoint, region, credentials, uploadCredentials } = ceph as NonNullable<typeof ceph>;
    const bucket = await createBucket(ceph as NonNullable<typeof ceph>);
    const dir = await mkdtemp(join(tmpdir(), 'artifact-store-replicas-'));
    const env = {
      ARTIFACT_STORE_DATABASE_URL: database.href,
      ...s3Env({ endpoint, region, credentials }, bucket),
      ...uploadKeyEnv({ uploadCredentials }),
    };
    const replicas = await Replicas.start(dir, env, clockOff);
    const db = new pg.Client({ connectionString: database.href });
    await db.connect();
    const { hostname, port } = new URL(endpoint);
    const { accessKeyId: accessKey, secretAccessKey: secretKey } = credentials;
    const witness = new Witness({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey,
      secretKey,
      region,
    });
    return {
      replicas,
      database: database.href,
      rows: async <Row>(sql: string, ...values: unknown[]) => (await db.query(sql, values)).rows as Row[],
      /** The digest of what stands under a key, as an independent client reads it. */
      async digestOf(key: string) {
        const hash = createHash('sha256');
        for await (const chunk of await witness.getObject(bucket, key)) hash.update(chunk);
        return digestFromBytes(hash.digest());
      },
      async keys() {
        const names: string[] = [];
        for await (const item of witness.listObjectsV2(bucket, '', true)) names.push((item as { name: string }).name);
        return names;
      },
      async close() {
        await replicas.stop();
        await db.end();
        await rm(dir, { recursive: true, force: true });
      },
    };
  }
  type Place = Awaited<ReturnType<typeof place>>;

  function push(folder: string, run: string, url: string, producer: string, externalId: string) {
    const args = ['push', run, '--producer', producer, '--external-id', externalId, '--json', '--url', url];
    return runCli(args, { cwd: folder, env: { XDG_CACHE_HOME: join(folder, `cache-${producer}`) } });
  }

  /** Every object that the registry knows is in the bucket, with its digest: nobody has altered or removed one. */
  async function objectsStand(t: ExecutionContext, { rows, digestOf }: Place): Promise<void> {
    await (ceph as NonNullable<typeof ceph>).collectGarbage();
    const objects = await rows<{ key: string; digest: Buffer }>(
      'select key, coalesce(stored_digest, digest) as digest from objects',
    );
    t.true(objects.length > 0);
    for (const { key, digest } of objects) t.is(await digestOf(key), digestFromBytes(digest), key);
  }

  async function uploadsHaveEnded(t: ExecutionContext, { rows }: Place): Promise<void> {
    const states = `select id, state from uploads
      where state in ('open', 'completing', 'aborting') or (drop_key and not drop_later)`;
    t.deepEqual(await rows(states), [], 'every upload has ended');
    const audited = `select subject_id as id from audit_events where action = 'upload.committed' order by 1`;
    t.deepEqual(await rows(audited), await rows(`select id from uploads where state = 'committed' order by 1`));
  }

  async function knowingIsNothing(t: ExecutionContext, { database }: Place, files: Buffer[]): Promise<void> {
    const registry = await openRegistry(connectPostgres(database));
    const wanted = files.map((bytes) => ({ digest: parseDigest(sha256(bytes)), size: bytes.length }));
    t.is((await registry.read.files.provableBy({ producers: ['mallory'] }, 'pkg_none' as PackageId, wanted)).size, 0);
    t.is(
      (await registry.read.files.provableBy({ producers: ['chaos'] }, 'pkg_none' as PackageId, wanted)).size > 0,
      true,
    );
    await registry.close();
  }

  function treeOf(seed: number): Record<string, Buffer> {
    const bytes = (name: string, outputLength: number) =>
      createHash('shake256', { outputLength }).update(`${seed} ${name}`).digest();
    const small = Array.from({ length: SMALL_FILES }, (_, n) => [`small/${n}`, bytes(`${n}`, 100 + 40 * n)] as const);
    return { ...Object.fromEntries(small), 'large.bin': bytes('large', 12 * MIB) };
  }

  interface PlannedStop extends Stop {
    /** At the n-th of these requests, or the next one that stops nothing yet. */
    of: 'commits' | 'posts';
    nth: number;
  }

  /** One kill and one freeze, in any order, one of them in a commit; sometimes a second kill. */
  function planStops(random: () => number): PlannedStop[] {
    const signals: Stop['signal'][] = random() < 0.5 ? ['SIGKILL', 'SIGSTOP'] : ['SIGSTOP', 'SIGKILL'];
    if (random() < 0.5) signals.push('SIGKILL');
    return signals.map((signal, index) => {
      const of = index === 0 ? 'commits' : 'posts';
      return { signal, of, nth: 1 + Math.floor(random() * MOST[of]), effect: 1 + Math.floor(random() * MOST.effects) };
    });
  }

  /** Each request goes to a replica at random, and some of them stop it. @returns the stops that have not come yet */
  function disturb(t: ExecutionContext, relay: Relay, replicas: Replicas, seed: number): PlannedStop[] {
    const random = generator(seed);
    const stops = planStops(random);
    const seen = { commits: 0, posts: 0 };
    relay.before = async (request) => {
      if (request.method !== 'POST') return replicas.pass(random, null);
      seen.posts += 1;
      if (isCommit(request)) seen.commits += 1;
      const index = stops.findIndex(({ of, nth }) => seen[of] >= nth && (of === 'posts' || isCommit(request)));
      const [stop = null] = index === -1 ? [] : stops.splice(index, 1);
      const passage = await replicas.pass(random, stop);
      const told = passage.headers?.['x-test-stop'];
      if (told)
        t.log(`seed ${seed}: ${told} effects into POST ${seen.posts}, ${request.url.replace(/\w{3}_\w+/, '…')}`);
      return passage;
    };
    return stops;
  }

  test.serial('two replicas share pushes, die and freeze at random, and nothing is lost', async (t) => {
    // A client gives up a request that a frozen replica holds after five minutes, and asks again.
    t.timeout(400_000);
    const folder = await tempFolder(t);
    const at = await place([0, 0]);
    const relay = await startRelay(at.replicas.urls[0] as string);
    t.teardown(async () => {
      await relay.close();
      await at.close();
    });
    for (const seed of SEEDS) {
      const began = Date.now();
      const files = treeOf(seed);
      const run = await writeTree(join(folder, `run-${seed}`), files);
      const left = disturb(t, relay, at.replicas, seed);
      const first = await push(folder, run, relay.url, 'chaos', `run-${seed}`);
      const pushed = first.code === 0 ? first : await push(folder, run, relay.url, 'chaos', `run-${seed}`);
      t.is(pushed.code, 0, `${first.stderr}${first.stdout}${pushed.stderr}${pushed.stdout}`);
      t.deepEqual(left, [], 'the push had as many requests as were counted on');
      await at.replicas.settle();
      t.log(`seed ${seed}: ${first.code === 0 ? 'one push' : 'a second push'}, ${Date.now() - began} ms`);

      t.like(pushed.json, { status: 'finalized', file_count: SMALL_FILES + 1 });
      const { package_id: id } = pushed.json;
      await uploadsHaveEnded(t, at);
      await objectsStand(t, at);
      const verified = await runCli(['verify', id, '--against', run, '--url', relay.url]);
      t.is(verified.code, 0, verified.stdout + verified.stderr);
      const packages = await at.rows<{ id: string }>(`select id from packages where external_id = $1`, `run-${seed}`);
      t.deepEqual(packages, [{ id }]);
      const once = `select action, count(*)::int from audit_events where package_id = $1
        and action in ('package.created', 'package.finalized') group by 1 order by 1`;
      t.deepEqual(await at.rows(once, id), [
        { action: 'package.created', count: 1 },
        { action: 'package.finalized', count: 1 },
      ]);
      await knowingIsNothing(t, at, Object.values(files));
    }
    const ends = await at.rows<{ state: string; count: number }>(`select state, count(*)::int from uploads group by 1`);
    t.log(`uploads: ${ends.map(({ state, count }) => `${count} ${state}`).join(', ')}`);
  });

  test.serial('two producers push the same 200 MB at once: both packages are whole, one object is kept', async (t) => {
    t.timeout(120_000);
    const folder = await tempFolder(t);
    const at = await place([0, 0]);
    const bytes = createHash('shake256', { outputLength: 200 * MIB })
      .update('two producers')
      .digest();
    const run = await writeTree(join(folder, 'run'), { 'large.bin': bytes });
    const relays = await Promise.all(at.replicas.urls.map((url) => startRelay(url)));
    t.teardown(async () => {
      for (const relay of relays) await relay.close();
      await at.close();
    });
    const both = Promise.withResolvers<void>();
    const came = new Set<Relay>();
    for (const relay of relays) {
      relay.before = async (request) => {
        if (!isCommit(request)) return 'pass';
        if (came.add(relay).size === relays.length) both.resolve();
        await both.promise;
        return 'pass';
      };
    }
    const pushes = await Promise.all(relays.map(({ url }, n) => push(folder, run, url, `producer-${n}`, 'run')));
    for (const [n, pushed] of pushes.entries()) {
      t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
      t.like(pushed.json, { status: 'finalized', file_count: 1 });
      const verified = await runCli([
        'verify',
        pushed.json.package_id,
        '--against',
        run,
        '--url',
        relays[n]?.url ?? '',
      ]);
      t.is(verified.code, 0, verified.stdout + verified.stderr);
    }
    t.is(came.size, 2, 'each sent its own bytes');
    await uploadsHaveEnded(t, at);
    await objectsStand(t, at);
    const hex = sha256(bytes).slice('sha256:'.length);
    const kept = (await at.keys()).filter((key) => key.includes(hex));
    t.deepEqual(
      kept,
      (await at.rows<{ key: string }>(`select key from objects where kind = 'blob'`)).map(({ key }) => key),
    );
    t.is(kept.length, 1);
  });

  test.serial('a replica whose clock is five minutes off, either way, does no harm', async (t) => {
    t.timeout(120_000);
    const FIVE_MINUTES = 5 * 60_000;
    const folder = await tempFolder(t);
    const at = await place([FIVE_MINUTES, -FIVE_MINUTES]);
    const relay = await startRelay(at.replicas.urls[0] as string);
    t.teardown(async () => {
      await relay.close();
      await at.close();
    });
    let turn = 0;
    relay.before = async () => ({ to: at.replicas.urls[turn++ % 2] as string });
    const run = await writeTree(join(folder, 'run'), treeOf(0));
    const pushed = await push(folder, run, relay.url, 'clocks', 'run');
    t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
    const verified = await runCli(['verify', pushed.json.package_id, '--against', run, '--url', relay.url]);
    t.is(verified.code, 0, verified.stdout + verified.stderr);

    // What one of them opened or completes, the other leaves alone; signed URLs work, whoever signed them.
    for (const [n, url] of at.replicas.urls.entries()) {
      const [mine, other] = [apiOf(url), apiOf(at.replicas.urls[1 - n] as string)];
      const doctor = await mine.get('/v1/diagnosis');
      t.like(
        doctor.body.checks.find(({ name }: { name: string }) => name === 'database_clock'),
        { level: 'warning' },
      );
      const bytes = randomBytes(6 * MIB);
      const object = { digest: sha256(bytes), size: bytes.length };
      const id = await mine.create({ producer: 'clocks' });
      await mine.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
      const halves = [bytes.subarray(0, 5 * MIB), bytes.subarray(5 * MIB)];
      const parts = halves.map((half) => ({ digest: sha256(half), size: half.length }));
      const planned = await mine.post(`/v1/packages/${id}/uploads`, { objects: [{ ...object, parts }] });
      const [upload] = planned.body.uploads;
      t.is((await mine.send(upload.parts[0], halves[0] as Buffer)).status, 200);
      await at.replicas.recover();
      t.is((await other.get(`/v1/uploads/${upload.upload_id}`)).body.state, 'open');
      const again = await other.post(`/v1/uploads/${upload.upload_id}/urls`, { parts: [2] });
      t.is((await other.send(again.body.parts[0], halves[1] as Buffer)).status, 200);
      t.is((await mine.post(`/v1/uploads/${upload.upload_id}/commit`)).body.state, 'stored');
      const finalized = await other.post(`/v1/packages/${id}/finalize`);
      t.is(finalized.status, 200);
      for (const api of [mine, other]) {
        const found = await api.get(`/v1/packages/${id}/files/f?redirect=true`);
        t.is(found.status, 307);
        const got = await fetch(found.headers.get('location') as string);
        t.is(sha256(Buffer.from(await got.arrayBuffer())), object.digest);
      }
      // Both are from the database's clock, which is this machine's.
      const { finalized_at, retention } = finalized.body;
      t.true(Math.abs(Date.parse(finalized_at) - Date.now()) < FIVE_MINUTES);
      const [pkg] = await at.rows<{ retention_days: number }>('select retention_days from packages where id = $1', id);
      const due = Date.parse(finalized_at) + (pkg?.retention_days ?? 0) * 86_400_000;
      t.true(Math.abs(Date.parse(retention.expires_at) - due) < FIVE_MINUTES, retention.expires_at);
    }
    await uploadsHaveEnded(t, at);
    await objectsStand(t, at);
  });
}
