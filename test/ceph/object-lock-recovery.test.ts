import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { DeleteObjectCommand, PutObjectLockConfigurationCommand } from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import { probeBackend } from '../../src/blobs/s3/probe.ts';
import { lockBehind } from '../../src/usecases/lock-behind.ts';
import { apiOf } from '../support/api.ts';
import { CEPH } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import {
  createLockBucket,
  expiryOf,
  hideAll,
  locksOf,
  relock,
  startLocking,
  versionsOf,
} from '../support/object-lock.ts';
import { preservePacked } from '../support/packed-package.ts';
import { loseRegistry, withRegistry } from '../support/registry-content.ts';
import { required } from '../support/required.ts';
import { s3Env } from '../support/s3-env.ts';
import { createBucket, s3Options } from '../support/s3-harness.ts';
import { s3Client } from '../support/s3-server.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

const KILLED = new URL('../support/lock-killed-process.ts', import.meta.url).pathname;

interface Check {
  name: string;
  level: string;
  says: string;
}

/** Locks after a death, a rebuild, a hand that changed them, and a bucket that is not made for them. */
const ceph = await required('Object Lock, and what goes wrong', CEPH);
if (ceph !== null) {
  test.after.always('Ceph ends', () => ceph.stop());
  const client = s3Client(ceph);
  test.after.always('the client ends', () => client.destroy());

  test('a service that dies between storage and its record leaves nothing unlocked', async (t) => {
    const bucket = await createLockBucket(client);
    const dataDir = await tempFolder(t);
    const env = { ...s3Env(ceph, bucket), ARTIFACT_STORE_S3_OBJECT_LOCK: 'compliance' };
    const before = await startTestService({ dataDir, env });
    const api = apiOf(before.url);
    const id = await api.create();
    await api.store(id, { a: 'one', b: 'two', c: 'three' });
    await before.stop();
    for (const taken of [1, 3]) {
      const child = spawn(process.execPath, [KILLED, String(taken)], {
        env: { ...process.env, ...before.env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.teardown(() => void child.kill('SIGKILL'));
      const url = await firstOutput(child);
      // Its own job may be faster than the request: then it dies over that.
      await apiOf(url)
        .post(`/v1/packages/${id}/finalize`)
        .catch(() => {});
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      t.is(child.signalCode, 'SIGKILL');
      const locked = (await locksOf(client, bucket, '')).filter(({ until }) => until !== null);
      t.true(locked.length >= 1);
    }
    const place = await startLocking(t, ceph, client, { dataDir, bucket, mode: 'compliance' });
    await lockBehind(place.service.services);
    const until = await expiryOf(place.api, id);
    for (const lock of [...(await place.locks()), ...(await place.locks('packages/'))])
      t.like(lock, { until }, lock.key);
    t.is((await place.locks()).length, 3);
    t.is(await place.service.services.registry.read.locks.countBehind(9), 0);
  });

  test('a registry that is rebuilt knows all versions, hidden ones too, and locks are brought up again', async (t) => {
    const dataDir = await tempFolder(t);
    const { service, api, bucket, locks } = await startLocking(t, ceph, client, { dataDir });
    // For it alone an object would be locked less long than it is.
    const short = await api.preserve({ a: 'one' }, { retention_class: 'transient' });
    const id = await preservePacked(api, [{ a: 'one', b: 'two' }]);
    const held = await api.preserve({ c: 'held' });
    t.is((await api.post(`/v1/packages/${held}/holds`, { reason: 'disputed' })).status, 201);
    const versions = (await versionsOf(client, bucket)).filter(({ Key }) => /^(objects|packages)/.test(Key));
    await service.stop();
    await loseRegistry(service.env);
    // Somebody hides it all, but for the mark of the store.
    for (const { Key } of versions) await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    const rebuilt = await runCli(['rebuild', '--from-storage', '--json'], { env: service.env });
    t.is(rebuilt.code, 0, rebuilt.stderr + rebuilt.stdout);
    t.like(rebuilt.json, { packages: 3, whole: true, missing_blobs: { count: 0 } });
    const known = await withRegistry(service.env, async (db) => [
      ...(await db('objects').select('version_id')),
      ...(await db('retention_events').whereNot({ action: 'set' }).select('version_id')),
    ]);
    t.deepEqual(
      known.map(({ version_id }) => version_id).toSorted(),
      versions
        .filter(({ isMark }) => !isMark)
        .map(({ VersionId }) => VersionId)
        .toSorted(),
    );
    const again = await startLocking(t, ceph, client, { dataDir, bucket });
    await lockBehind(again.service.services);
    t.is(await again.service.services.registry.read.locks.countBehind(9), 0);
    const told = await withRegistry(service.env, (db) => db('objects').select('key', 'locked_until', 'legal_hold'));
    const seen = new Map([...(await locks()), ...(await locks('packages/'))].map((lock) => [lock.key, lock]));
    for (const { key, locked_until, legal_hold } of told) {
      t.like(seen.get(key), { until: Number(locked_until), held: Boolean(legal_hold) }, key);
    }
    t.is(told.length, 9);
    for (const each of [short, id, held]) {
      const verified = await runCli(['verify', each, '--url', again.service.url]);
      t.is(verified.code, 0, verified.stderr + verified.stdout);
    }
    t.true((await hideAll(client, bucket)) > 0);
  });

  test('doctor finds a date that was changed by hand, and the service sets it right; and a default retention', async (t) => {
    const { service, api, bucket, locks } = await startLocking(t, ceph, client, {
      probeIntervals: { onDemand: 0 },
    });
    const id = await api.preserve({ a: 'one', b: 'two' });
    const until = await expiryOf(api, id);
    t.like(named(await diagnosis(t, service.url), 'locks'), { level: 'ok' });
    t.like(named(await diagnosis(t, service.url), 'object_lock'), { level: 'ok' });
    t.like(named(await diagnosis(t, service.url), 'no_default_retention'), { level: 'ok' });
    const [one] = await locks();
    const [manifest] = await locks(`packages/${id}/manifest`);
    for (const lock of [one, manifest]) await relock(client, bucket, lock, Date.now() + 60_000);
    const found = named(await diagnosis(t, service.url), 'locks');
    t.is(found?.level, 'failure');
    for (const lock of [one, manifest]) t.true(found?.says.includes(lock?.key ?? '?'), found?.says);
    await lockBehind(service.services);
    t.true([...(await locks()), ...(await locks('packages/'))].every((lock) => lock.until === until));
    t.like(named(await diagnosis(t, service.url), 'locks'), { level: 'ok' });

    await client.send(
      new PutObjectLockConfigurationCommand({
        Bucket: bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } },
        },
      }),
    );
    const warned = named(await diagnosis(t, service.url), 'no_default_retention');
    t.is(warned?.level, 'warning');
    t.regex(warned?.says ?? '', /governance, 1 days/);
  });

  test('an object keeps the mode that it was first locked with, and is raised in it', async (t) => {
    const dataDir = await tempFolder(t);
    const before = await startLocking(t, ceph, client, { dataDir, mode: 'governance' });
    const id = await before.api.preserve({ a: 'one' });
    await before.service.stop();
    const { bucket } = before;
    const after = await startLocking(t, ceph, client, { dataDir, bucket, mode: 'compliance' });
    const answer = await after.api.post(`/v1/packages/${id}/retention/extensions`, { days: 9, reason: 'more' });
    t.true(answer.status < 300, JSON.stringify(answer.body));
    await after.api.preserve({ b: 'two' });
    const until = await expiryOf(after.api, id);
    t.deepEqual((await after.locks()).map((lock) => [lock.until === until, lock.mode]).toSorted(), [
      [false, 'COMPLIANCE'],
      [true, 'GOVERNANCE'],
    ]);
    t.like(named(await diagnosis(t, after.service.url), 'lock_mode'), { level: 'note' });
  });

  test('a bucket without Object Lock is told, and no package is finalized in it unlocked', async (t) => {
    const bucket = await createBucket(ceph);
    const { service, api } = await startLocking(t, ceph, client, { bucket });
    const found = named(await diagnosis(t, service.url), 'object_lock');
    t.is(found?.level, 'failure');
    t.regex(found?.says ?? '', /was made without Object Lock/);
    const ready = await api.get('/readyz');
    t.true(
      ready.body.blob_store.findings.some((said: string) => /without Object Lock/.test(said)),
      JSON.stringify(ready.body),
    );
    const id = await api.create();
    await api.store(id, { a: 'bytes' });
    const refused = await api.post(`/v1/packages/${id}/finalize`);
    t.like(refused, { status: 503, body: { code: 'unavailable' } });
    const off = await startTestService({ env: s3Env(ceph, await createLockBucket(client)) });
    t.teardown(() => off.dispose());
    t.like(named(await diagnosis(t, off.url), 'object_lock'), { level: 'note' });
    await apiOf(off.url).preserve({ a: 'bytes' });
    t.is(named(await diagnosis(t, off.url), 'locks_behind'), undefined, 'nothing is locked there');
  });

  test('a probe leaves nothing in a bucket with Object Lock', async (t) => {
    const bucket = await createLockBucket(client);
    const report = await probeBackend(s3Options(ceph, bucket, { objectLock: 'governance' }));
    t.is(report.problem, null);
    t.like(report.lock, [
      { guarantee: 'object_lock', held: true },
      { guarantee: 'no_default_retention', held: true },
    ]);
    t.deepEqual(await versionsOf(client, bucket), []);
  });
}

function named(checks: readonly Check[], name: string): Check | undefined {
  return checks.find((check) => check.name === name);
}

async function diagnosis(t: ExecutionContext, url: string): Promise<Check[]> {
  const { status, body } = await apiOf(url).get('/v1/diagnosis');
  t.is(status, 200, JSON.stringify(body));
  return body.checks;
}

async function firstOutput(child: ChildProcess): Promise<string> {
  for await (const chunk of child.stdout ?? []) return String(chunk).trim();
  throw new Error('the process ended before it listened');
}
