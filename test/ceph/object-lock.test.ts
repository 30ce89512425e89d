import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import test, { type ExecutionContext } from 'ava';
import type { ObjectRef } from '../../src/blobs/blob-store.ts';
import { digestOf } from '../../src/core/digest.ts';
import { LOCK_MODES, type LockMode } from '../../src/core/object-lock.ts';
import { lockBehind } from '../../src/usecases/lock-behind.ts';
import { CEPH } from '../support/ceph.ts';
import { runCli } from '../support/cli-child.ts';
import { fixityNow } from '../support/fixity.ts';
import {
  expiryOf,
  hideAll,
  type LockPlace,
  relock,
  type SeenLock,
  startLocking,
  versionsOf,
} from '../support/object-lock.ts';
import { preservePacked } from '../support/packed-package.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';
import { s3Client } from '../support/s3-server.ts';
import { statesOf, strayObject, sweepOf } from '../support/sweep.ts';
import { tempFolder } from '../support/temp.ts';

/** What packages need, storage itself keeps: in a bucket with Object Lock, by each of its two modes. */
const ceph = await required('Object Lock', CEPH);
const postgres = ceph && (await required('Object Lock', POSTGRES));
if (ceph !== null && postgres !== null) {
  test.after.always('Ceph ends', () => ceph.stop());
  test.after.always('PostgreSQL ends', () => postgres.close());
  const client = s3Client(ceph);
  test.after.always('the client ends', () => client.destroy());

  // Here on PostgreSQL, and what goes wrong (object-lock-recovery.test.ts) on SQLite.
  const start = async (t: ExecutionContext, mode: LockMode = 'governance'): Promise<LockPlace> => {
    const ARTIFACT_STORE_DATABASE_URL = await postgres.createDatabase();
    return startLocking(t, ceph, client, { mode, env: { ARTIFACT_STORE_DATABASE_URL } });
  };

  for (const mode of LOCK_MODES) {
    test(`all that a package needs is locked until its expiry, and a plain DELETE loses no byte: ${mode}`, async (t) => {
      const { service, api, bucket, locks } = await start(t, mode);
      const packed = { 'a/1': 'one', 'a/2': 'two' };
      const id = await preservePacked(api, [packed]);
      await api.preserve({ loose: 'alone' }, { retention_class: 'permanent-record' });
      const until = await expiryOf(api, id);
      const own = [...(await locks()).filter((lock) => lock.until === until), ...(await locks(`packages/${id}/`))];
      t.is(own.length, 4, 'the pack, the manifest, the attestation, the decision');
      for (const lock of own) t.like(lock, { until, mode: mode.toUpperCase(), held: false }, lock.key);
      const others = [...(await locks()), ...(await locks('packages/'))].filter(({ held }) => held);
      t.is(others.length, 4, 'what never ends is held');
      t.true(others.every((lock) => lock.until === null));
      for (const { key: Key, versionId: VersionId } of [...own, ...others]) {
        const removing = client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }));
        await t.throwsAsync(removing, { name: 'AccessDenied' }, Key);
      }

      t.true((await hideAll(client, bucket)) >= 8);
      const folder = join(await tempFolder(t), 'copy');
      const pulled = await runCli(['pull', id, folder, '--url', service.url]);
      t.is(pulled.code, 0, pulled.stderr);
      for (const [path, text] of Object.entries(packed)) t.is(await readFile(join(folder, path), 'utf8'), text);
      const verified = await runCli(['verify', id, '--url', service.url]);
      t.is(verified.code, 0, verified.stderr + verified.stdout);
      t.is((await api.get(`/v1/packages/${id}/manifest`)).status, 200);
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    });
  }

  test('an object is locked for the package that needs it longest, and never less long', async (t) => {
    const { service, api, locks } = await start(t);
    const short = await api.preserve({ a: 'shared' }, { retention_class: 'transient' });
    const first = await expiryOf(api, short);
    t.like(await locks(), [{ until: first }]);
    const long = await preservePacked(api, [{ a: 'shared', b: 'its own' }], { retention_class: 'summary-evidence' });
    const second = await expiryOf(api, long);
    t.true(second > first);
    t.deepEqual(untils(await locks()), [second, second], 'the old object too, and the pack for its longest member');

    const extended = await api.post(`/v1/packages/${short}/retention/extensions`, { days: 1_000, reason: 'more' });
    t.true(extended.status < 300, JSON.stringify(extended.body));
    const third = await expiryOf(api, short);
    t.deepEqual(untils(await locks()), [third, third]);
    t.true(
      (await locks(`packages/${short}/`)).every(({ until }) => until === third),
      'manifest and decisions',
    );
    t.is((await locks(`packages/${short}/`)).length, 4);
    t.true((await locks(`packages/${long}/`)).every(({ until }) => until === second));

    service.sleepDays(1_008);
    t.is((await api.call('DELETE', `/v1/packages/${short}?reason=over`)).status, 200);
    t.is((await api.call('DELETE', `/v1/packages/${long}?reason=over`)).status, 200);
    t.deepEqual(untils(await locks()), [third, third]);
    await api.preserve({ a: 'shared' }, { retention_class: 'transient' });
    t.true(
      untils(await locks()).every((until) => until >= third),
      'what is locked longer stays so',
    );
  });

  test('objects are held as long as one package is that needs them', async (t) => {
    const { service, api, locks } = await start(t, 'compliance');
    const [one, two] = [await api.preserve({ a: 'shared' }), await api.preserve({ a: 'shared', b: 'own' })];
    const hold = async (id: string): Promise<string> =>
      (await api.post(`/v1/packages/${id}/holds`, { reason: 'disputed' })).body.id;
    const release = async (id: string, holdId: string): Promise<void> => {
      const answer = await api.post(`/v1/packages/${id}/holds/${holdId}/release`, { reason: 'settled' });
      t.is(answer.status, 200, JSON.stringify(answer.body));
    };
    const held = async (prefix?: string): Promise<number> => (await locks(prefix)).filter((lock) => lock.held).length;
    const first = await hold(one);
    t.deepEqual([await held(), await held(`packages/${one}/`), await held(`packages/${two}/`)], [1, 4, 0]);
    const second = await hold(two);
    t.deepEqual([await held(), await held(`packages/${two}/`)], [2, 4]);
    await release(one, first);
    t.deepEqual([await held(), await held(`packages/${one}/`), await held(`packages/${two}/`)], [2, 0, 4]);
    await release(two, second);
    t.deepEqual([await held(), await held('packages/')], [0, 0]);
    t.is(await service.services.registry.read.locks.countBehind(9), 0);

    // One is held in the moment in which storage is told that the other is not.
    const third = await hold(one);
    const backend = service.services.blobs.locks;
    if (backend === null) throw new Error('it locks nothing');
    const { hold: tell } = backend;
    let fourth: string | null = null;
    backend.hold = async (ref, on) => {
      if (!on && ref.key.startsWith('objects/') && fourth === null) {
        fourth = '';
        fourth = await hold(two);
      }
      await tell(ref, on);
    };
    await release(one, third);
    backend.hold = tell;
    t.truthy(fourth);
    await lockBehind(service.services);
    t.deepEqual([await held(), await held(`packages/${two}/`)], [2, 6], 'the record follows storage');
    t.is(await service.services.registry.read.locks.countBehind(9), 0);
    await release(two, fourth ?? '');
    t.deepEqual([await held(), await held('packages/')], [0, 0]);
  });

  test('a sweep leaves what is locked, and really frees it when the lock is over', async (t) => {
    const { service, api, bucket, locks } = await start(t);
    const packed = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`f${n}`, `${n} `.repeat(3_000)]));
    const alone = await api.preserve({ alone: 'over soon' }, { retention_class: 'transient' });
    const [lock] = await locks();
    const pack = await preservePacked(api, [packed], { retention_class: 'transient' });
    const kept = await api.preserve({ f0: packed.f0 ?? '' }, { retention_class: 'transient' });
    service.sleepDays(8);
    for (const id of [alone, pack]) t.is((await api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
    service.sleepDays(-8);
    t.like((await sweepOf(api)).report, { sparse: { count: 0 } }, 'a locked pack is not written anew');
    t.like((await sweepOf(api, { apply: true })).report, { unneeded: { count: 1 }, locked: { count: 1, bytes: 9 } });
    t.like((await sweepOf(api, { apply: true })).report, { locked: { count: 1 }, due: { count: 0 } });
    t.deepEqual(await statesOf(service), ['condemned', 'live']);

    // For the registry's clock the lock is over, and storage refuses. That keeps nothing else.
    service.sleepDays(8);
    const stray = await strayObject(service, Buffer.from('of nobody'));
    await fixityNow(api);
    const options = { apply: true, max_rewrite: 0 };
    t.like((await sweepOf(api, options)).report, { due: { count: 1 }, locked: { count: 1 }, young: { count: 0 } });
    t.deepEqual(await statesOf(service), ['live', 'removing']);
    t.deepEqual(await versionsOf(client, bucket, stray), [], 'what is not locked goes');
    t.is((await versionsOf(client, bucket, lock?.key)).length, 1);
    t.like((await sweepOf(api, options)).report, { locked: { count: 1 }, freed: { count: 0 } });

    // In the future when it arrives, however busy the machine is.
    const until = Date.now() + 5_000;
    await relock(client, bucket, lock, until);
    while (Date.now() <= until + 1_000) await sleep(100);
    t.like((await sweepOf(api, options)).report, { locked: { count: 0 }, freed: { count: 1, bytes: 9 } });
    t.deepEqual(await versionsOf(client, bucket, lock?.key), [], 'its version is gone, and no mark is left');
    t.is((await api.get(`/v1/packages/${kept}/files/f0?redirect=false`)).body, packed.f0);
  });

  test('what is written in the place of others is locked for as long as its longest member', async (t) => {
    const { service, api, locks } = await start(t);
    const all = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`f${n}`, `${n} `.repeat(3_000)]));
    const dead = await preservePacked(api, [all], { retention_class: 'transient' });
    const id = await api.create({ retention_class: 'transient' });
    await api.store(id, { f0: all.f0 ?? '', f1: all.f1 ?? '' });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    const [{ until: before } = { until: null }] = await locks();
    service.sleepDays(8);
    t.is((await api.call('DELETE', `/v1/packages/${dead}?reason=over`)).status, 200);
    // Nothing locks the pack any more, as far as the registry knows; what is left of it is needed again, longer.
    const extension = { days: 30, reason: 'more' };
    const { locks: backend } = service.services.blobs;
    const kept = backend && { ...backend };
    const down = async (): Promise<never> => {
      throw new Error('nobody answers');
    };
    Object.assign(backend ?? {}, { retain: down });
    t.is((await api.post(`/v1/packages/${id}/retention/extensions`, extension)).body.code, 'decision_unwritten');
    const { report } = await sweepOf(api, { apply: true });
    t.like(report, { rewritten: { count: 1 } });
    Object.assign(backend ?? {}, kept);
    await lockBehind(service.services);
    const until = await expiryOf(api, id);
    t.deepEqual(untils(await locks()), [before, until].map(Number).toSorted(ascending));
    t.is(await service.services.registry.read.locks.countBehind(9), 0);
  });

  test('storage that takes no locks for a while is told later; until then nothing is acknowledged', async (t) => {
    const { service, api, locks } = await start(t);
    const backend = service.services.blobs.locks;
    if (backend === null) throw new Error('it locks nothing');
    const { retain, hold } = backend;
    const down = async (): Promise<never> => {
      throw new Error('nobody answers');
    };
    Object.assign(backend, { retain: down, hold: down });
    const id = await api.create();
    await api.store(id, { a: 'bytes' });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 500);
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'finalized', 'the decision stands');
    const held = await api.post(`/v1/packages/${id}/holds`, { reason: 'disputed' });
    t.like(held, { status: 500, body: { code: 'decision_unwritten' } });
    t.is(await service.services.registry.read.locks.countBehind(9), 1);
    const doctor = await api.get('/v1/diagnosis');
    t.true(
      doctor.body.checks.some(({ name }: { name: string }) => name === 'locks_behind'),
      JSON.stringify(doctor.body),
    );
    t.like(await locks(), [{ until: null, held: false }]);

    const other = await api.create();
    await api.store(other, { b: 'of another' });
    t.is((await api.post(`/v1/packages/${other}/finalize`)).status, 500);
    // Storage answers again, but for what one package needs.
    const hex = digestOf('bytes').slice('sha256:'.length);
    const first = (await locks()).find(({ key }) => key.includes(hex));
    Object.assign(backend, {
      hold,
      retain: (ref: ObjectRef, until: number) => (ref.key === first?.key ? down() : retain(ref, until)),
    });
    await t.throwsAsync(lockBehind(service.services), { message: 'nobody answers' });
    const untold = (await locks()).filter(({ until }) => until === null);
    t.deepEqual(
      untold.map(({ key }) => key),
      [first?.key],
      'it keeps no other',
    );
    t.is(await service.services.registry.read.locks.countBehind(9), 1);

    Object.assign(backend, { retain, hold });
    await lockBehind(service.services);
    t.deepEqual(
      (await locks()).map(({ until }) => until).toSorted(),
      [await expiryOf(api, id), await expiryOf(api, other)].toSorted(),
    );
    t.is((await locks()).filter(({ held }) => held).length, 1);
    t.is(await service.services.registry.read.locks.countBehind(9), 0);
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
  });
}

function untils(locks: readonly SeenLock[]): number[] {
  return locks.map(({ until }) => Number(until)).toSorted(ascending);
}

function ascending(a: number, b: number): number {
  return a - b;
}
