import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { blobKey, decisionKey, manifestKey, type ObjectKey } from '../../../src/blobs/key-layout.ts';
import { digestOf } from '../../../src/core/digest.ts';
import { StoreError } from '../../../src/core/errors.ts';
import { newId, type PackageId, type UploadId } from '../../../src/core/ids.ts';
import type { SweepReport } from '../../../src/core/sweep-report.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { fixityNow } from '../../support/fixity.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { bytesOf, keysOf, secondObject, statesOf, strayObject, sweepOf } from '../../support/sweep.ts';

/** What nothing needs goes, and nothing else does (invariant 6). */
export function sweepSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  /** A service of the test's own: what others leave behind is in no count. */
  async function place(
    t: ExecutionContext,
    env: Record<string, string> = {},
  ): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService({ env });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  test('bytes of a deleted package: listed, condemned, kept for their grace, removed', async (t) => {
    const { service, api } = await place(t);
    const kept = await api.preserve({ a: 'kept' });
    const id = await api.preserve({ a: 'kept', b: 'not needed soon' }, { retention_class: 'transient' });
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
    const keys = await keysOf(service);

    const listed = await sweepOf(api);
    t.like(listed.report, {
      unneeded: { count: 1, bytes: 15 },
      due: { count: 0 },
      freed: { count: 0 },
      missing: { count: 0 },
    });
    t.deepEqual(await statesOf(service), ['live', 'live'], 'a list changes nothing');

    const first = await sweepOf(api, { apply: true });
    t.like(first.report, { unneeded: { count: 1, bytes: 15 }, waiting: { count: 1, bytes: 15 }, freed: { count: 0 } });
    t.deepEqual(await statesOf(service), ['condemned', 'live']);
    const early = await sweepOf(api, { apply: true });
    t.like(early.report, { unneeded: { count: 0 }, waiting: { count: 1 }, freed: { count: 0 } });
    t.deepEqual(await keysOf(service), keys, 'nothing is removed before its time');

    service.sleepDays(2);
    t.like((await sweepOf(api)).report, { due: { count: 1, bytes: 15 }, waiting: { count: 0 }, freed: { count: 0 } });
    const last = await sweepOf(api, { apply: true });
    t.like(last.report, { due: { count: 1, bytes: 15 }, freed: { count: 1, bytes: 15 }, waiting: { count: 0 } });
    t.deepEqual(await statesOf(service), ['gone', 'live']);
    t.is((await keysOf(service)).length, keys.length - 1);
    t.is((await api.get(`/v1/packages/${kept}/files/a?redirect=false`)).body, 'kept');
    t.like((await sweepOf(api, { apply: true })).report, emptyAmounts);

    const { events } = await auditOf(api);
    t.deepEqual(
      events
        .filter(({ action }: { action: string }) => action.startsWith('object.'))
        .map(({ action }: { action: string }) => action),
      ['object.condemned', 'object.removed'],
    );
    // What is gone must be sent again, and is then there as before.
    const again = await api.preserve({ b: 'not needed soon' });
    t.is((await api.get(`/v1/packages/${again}/files/b?redirect=false`)).body, 'not needed soon');
  });

  test('whoever needs condemned bytes keeps them: registered by a digest that is known, or sent again', async (t) => {
    const { service, api } = await place(t);
    const files = { a: 'first', b: 'second' };
    const one = await api.preserve(files, { retention_class: 'transient' });
    // A package that is open, and so may prove them to another one, until it fails.
    service.sleepDays(9);
    await api.call('DELETE', `/v1/packages/${one}?reason=over`);
    t.is((await sweepOf(api, { apply: true })).report.unneeded.count, 2);
    const two = await api.preserve(files);
    t.deepEqual(await statesOf(service), ['live', 'live'], 'they live again');
    service.sleepDays(2);
    t.like((await sweepOf(api, { apply: true })).report, {
      unneeded: { count: 0 },
      due: { count: 0 },
      freed: { count: 0 },
    });
    for (const [path, bytes] of Object.entries(files)) {
      t.is((await api.get(`/v1/packages/${two}/files/${path}?redirect=false`)).body, bytes);
    }
  });

  test('a file that is registered, and has no bytes yet, keeps what is there: neither condemned nor removed', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ a: 'wanted' }, { retention_class: 'transient' });
    service.sleepDays(9);
    await api.call('DELETE', `/v1/packages/${id}?reason=over`);
    await sweepOf(api, { apply: true });
    const open = await api.create();
    const file = { path: 'a', digest: digestOf('wanted'), size: 6 };
    t.is((await api.post(`/v1/packages/${open}/files`, { files: [file] })).status, 200);
    service.sleepDays(2);
    t.is((await sweepOf(api, { apply: true })).report.freed.count, 0);
    t.deepEqual(await statesOf(service), ['live']);
  });

  test('of bytes that stand in two objects one is freed, however many sweep at once', async (t) => {
    const { service, api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    const id = await api.preserve({ a: 'twice' });
    const second = await secondObject(service, 'twice');
    t.deepEqual(await statesOf(service), ['live', 'live']);
    await Promise.all(Array.from({ length: 4 }, () => sweepOf(api, { apply: true })));
    // Longer than URLs are good that were signed for either.
    service.sleepDays(1);
    await Promise.all(Array.from({ length: 4 }, () => sweepOf(api, { apply: true })));
    t.deepEqual((await statesOf(service)).toSorted(), ['gone', 'live']);
    t.is((await keysOf(service)).length, 1);
    t.is((await api.get(`/v1/packages/${id}/files/a?redirect=false`)).body, 'twice');
    t.is((await api.post(`/v1/packages/${id}/downloads`, { paths: ['a'] })).status, 200);
    t.truthy(second);
  });

  test('what the registry does not know goes after its grace; what nobody here wrote, and what a file needs, stays', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'known' });
    const open = await api.create();
    const file = { path: 'a', digest: sha256('missing'), size: 7 };
    await api.post(`/v1/packages/${open}/files`, { files: [file] });
    const { objects } = service.services.blobs;
    const own = (await keysOf(service)).length;
    const unknown = await strayObject(service, randomBytes(10));
    const second = await strayObject(service, Buffer.from('known'));
    const wanted = await strayObject(service, Buffer.from('missing'));
    const foreign = ['objects/readme.txt', 'objects/sha256/ab/cd/not-a-digest.upl_1', 'theirs/file.bin'] as ObjectKey[];
    for (const key of foreign) await objects.write(key, bytesOf(Buffer.from(`of somebody else: ${key}`)));

    t.like((await sweepOf(api, { apply: true })).report, {
      young: { count: 3 },
      unknown: { count: 0 },
      freed: { count: 0 },
    });
    service.sleepDays(2);
    const kept = { unknown: { count: 0 }, unknown_kept: { count: 3 }, freed: { count: 0 } };
    t.like(
      (await sweepOf(api, { apply: true })).report,
      kept,
      'it may be a pack that mended what nobody has read since',
    );
    await fixityNow(api);
    t.like((await sweepOf(api)).report, {
      unknown: { count: 1, bytes: 10 },
      unknown_kept: { count: 2 },
      freed: { count: 0 },
    });
    t.like((await sweepOf(api, { apply: true })).report, { unknown: { count: 1 }, freed: { count: 1, bytes: 10 } });
    const left = await keysOf(service, '');
    t.false(left.includes(unknown));
    t.true(left.includes(second), 'a registry that is gone may have known that the other one is damaged');
    t.true([wanted, ...foreign].every((key) => left.includes(key)));
    t.is((await keysOf(service)).length, own + 4, 'beside theirs');
  });

  test('what uploads left goes; uploads under way keep what they have', async (t) => {
    const { service, api } = await place(t);
    const bytes = Buffer.from('a part of it');
    const [open, given] = [await planned(api, bytes), await planned(api, Buffer.from('another part'))];
    t.is((await api.call('DELETE', `/v1/uploads/${given.upload_id}`)).status, 200);
    // As where a registry that completed it was replaced by an older one, in which it was given up.
    const { objects } = service.services.blobs;
    const late = blobKey(digestOf('another part'), given.upload_id as UploadId);
    await objects.write(late, bytesOf(Buffer.from('another part')));
    const early = blobKey(digestOf(bytes), open.upload_id as UploadId);
    await objects.write(early, bytesOf(bytes));
    service.sleepDays(0.5);
    t.like((await sweepOf(api, { apply: true })).report, { young: { count: 2 }, freed: { count: 0 } });
    // Before the open one expires.
    const { body } = await api.get(`/v1/uploads/${open.upload_id}`);
    t.is(body.state, 'open');
    await service.services.registry.transaction(async ({ uploads }) => {
      await uploads.endLeases(0);
    });
    service.sleepDays(0.6);
    const waiting = { unknown_kept: { count: 1, bytes: 12 }, leftovers: { count: 0 }, freed: { count: 0 } };
    t.like((await sweepOf(api, { apply: true })).report, waiting, 'a file of an open package may be made of it');
    const { package_id } = (await api.get(`/v1/uploads/${given.upload_id}`)).body;
    t.is((await api.call('DELETE', `/v1/packages/${package_id}?reason=over`)).status, 200);
    const { report } = await sweepOf(api, { apply: true });
    t.like(report, { unknown: { count: 1, bytes: 12 }, leftovers: { count: 0 }, freed: { count: 1 } });
    t.deepEqual(await keysOf(service), [early]);
  });

  test('the object of an upload that was given up stays where a file has lost its bytes: a registry that is gone completed it', async (t) => {
    const { service, api } = await place(t);
    const { objects } = service.services.blobs;
    const bytes = Buffer.from('completed by a registry that is gone');
    const { upload_id } = await planned(api, bytes);
    t.is((await api.call('DELETE', `/v1/uploads/${upload_id}`)).status, 200);
    await api.preserve({ a: bytes });
    const [key = ''] = await keysOf(service);
    const only = blobKey(digestOf(bytes), upload_id as UploadId);
    await objects.write(only, bytesOf(bytes));
    await objects.remove({ key: key as ObjectKey, versionId: null });
    service.sleepDays(2);
    t.like((await sweepOf(api, { apply: true })).report, {
      missing: { count: 1 },
      unknown_kept: { count: 1, bytes: bytes.length },
      leftovers: { count: 0 },
      freed: { count: 0 },
    });
    t.deepEqual(await keysOf(service), [only]);
  });

  test('what storage does not have is told, and is lost; while a file needs it, nothing unknown goes', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ a: 'it was here' });
    const [key = ''] = await keysOf(service);
    const unknown = await strayObject(service, randomBytes(10));
    await fixityNow(api);
    await service.services.blobs.objects.remove({ key: key as ObjectKey, versionId: null });
    service.sleepDays(2);
    t.like((await sweepOf(api)).report, { missing: { count: 1, bytes: 11 }, unknown: { count: 1 } });
    t.deepEqual(await statesOf(service), ['live'], 'a list changes nothing');
    t.like((await sweepOf(api, { apply: true })).report, {
      missing: { count: 1 },
      unknown: { count: 0 },
      unknown_kept: { count: 1 },
      freed: { count: 0 },
    });
    t.deepEqual(await statesOf(service), ['lost']);
    t.true((await keysOf(service)).includes(unknown));
    await api.preserve({ a: 'it was here' });
    t.is((await api.get(`/v1/packages/${id}/files/a?redirect=false`)).body, 'it was here');
    t.like((await sweepOf(api, { apply: true })).report, {
      missing: { count: 0 },
      unknown: { count: 1 },
      freed: { count: 1 },
    });
  });

  test('a registry that is older than the store removes nothing, whatever is asked', async (t) => {
    const { service, api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    const id = await api.preserve({ a: 'over' }, { retention_class: 'transient' });
    service.sleepDays(9);
    await api.call('DELETE', `/v1/packages/${id}?reason=over`);
    const { objects } = service.services.blobs;
    const unheard = newId('pkg', Date.now()) as PackageId;
    await objects.write(manifestKey(unheard), bytesOf(Buffer.from('{}')));
    const before = await keysOf(service, '');
    t.deepEqual((await sweepOf(api)).report.unknown_packages, [unheard]);
    for (const reconcile of [false, true]) {
      const sweep = await sweepOf(api, { apply: true, reconcile });
      t.like(sweep, { state: 'failed', error: { code: 'registry_older' } });
      t.regex(sweep.error?.detail ?? '', new RegExp(`does not know \\(${unheard}\\).*nothing was removed.*backup`));
    }
    t.deepEqual(await keysOf(service, ''), before);
    t.deepEqual(await statesOf(service), ['live']);
    await objects.remove({ key: manifestKey(unheard), versionId: null });

    // A hold that a restored registry has forgotten.
    await objects.write(decisionKey(id as PackageId, newId('evt', Date.now())), bytesOf(Buffer.from('{}')));
    const refused = await sweepOf(api, { apply: true });
    t.like(refused, { state: 'failed', error: { code: 'registry_older' } });
    t.regex(refused.error?.detail ?? '', /make those decisions again and then run `sweep --reconcile`/);
    t.is((await sweepOf(api, { reconcile: true })).state, 'done');
    t.like((await sweepOf(api, { apply: true })).report, { unneeded: { count: 1 } });
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 1 } });
  });

  test('storage that fails in the middle leaves nothing half done: the next sweep ends it', async (t) => {
    const { service, api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    const id = await api.preserve({ a: 'over', b: 'over too' }, { retention_class: 'transient' });
    service.sleepDays(9);
    await api.call('DELETE', `/v1/packages/${id}?reason=over`);
    await sweepOf(api, { apply: true });
    const { objects } = service.services.blobs;
    const { removeMany } = objects;
    objects.removeMany = async () => {
      throw new Error('something that only the log is told');
    };
    const internal = { code: 'internal', detail: 'The service failed; its log says why.' };
    t.like(await sweepOf(api, { apply: true }), { state: 'failed', error: internal });
    objects.removeMany = async () => {
      throw new StoreError('unavailable', 'storage is away');
    };
    const away = { code: 'unavailable', detail: 'storage is away' };
    t.like(await sweepOf(api, { apply: true }), { state: 'failed', error: away });
    objects.removeMany = removeMany;
    t.deepEqual(await statesOf(service), ['removing', 'removing']);
    // What is being removed counts no more: its bytes must be sent.
    const again = await api.preserve({ a: 'over' });
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 2, bytes: 12 } });
    t.deepEqual((await statesOf(service)).toSorted(), ['gone', 'gone', 'live']);
    t.is((await keysOf(service)).length, 1);
    t.is((await api.get(`/v1/packages/${again}/files/a?redirect=false`)).body, 'over');
  });

  test('sweeps are listed, the newest first; one that does not exist is not found', async (t) => {
    const { api } = await place(t);
    const [one, two] = [await sweepOf(api), await sweepOf(api, { apply: true })];
    const { items } = (await api.get('/v1/operations/sweeps')).body;
    t.deepEqual(
      items.map(({ id }: { id: string }) => id),
      [two.id, one.id],
    );
    t.like(items[0], { state: 'done', apply: true, reconcile: false, asked_by: 'local', error: null });
    const missing = await api.get('/v1/operations/sweeps/swp_1');
    t.like(missing, { status: 404, body: { code: 'sweep_not_found' } });
    t.is((await api.post('/v1/operations/sweeps', { aply: true })).status, 422);
  });

  test('pushes, deletions and sweeps at once: no finalized package loses a byte, and what nothing needs is gone', async (t) => {
    const { service, api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    const contents = Array.from({ length: 6 }, (_, n) => `content ${n}`);
    const living: string[] = [];
    let pushing = true;
    const push = async (seed: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const chosen = contents.filter((_, n) => (seed * 7 + round * 5 + n) % 3 > 0);
        const files = Object.fromEntries(chosen.map((content, n) => [`f${n}`, content]));
        const fields = { name: `${seed} ${round}`, retention_class: 'transient' };
        const id = await api.create(fields);
        // Bytes may go between the look and the seal: whoever pushes sends them again.
        for (let tries = 1; ; tries += 1) {
          await api.store(id, files);
          const { status, body } = await api.post(`/v1/packages/${id}/finalize`);
          if (status === 200) break;
          if (body.code !== 'files_missing' || tries === 5) throw new Error(`${status} ${JSON.stringify(body)}`);
        }
        living.push(id);
        if (round % 3 < 2) {
          const oldest = living.shift() as string;
          const { registry } = service.services;
          await registry.transaction(({ packages }) => packages.update(oldest as PackageId, { expires_at: 1 }));
          t.is((await api.call('DELETE', `/v1/packages/${oldest}?reason=over`)).status, 200);
        }
      }
    };
    const sweepAlways = async (): Promise<void> => {
      while (pushing) t.like(await sweepOf(api, { apply: true }), { state: 'done' });
    };
    const sweepers = [sweepAlways(), sweepAlways()];
    await Promise.all([1, 2, 3].map(push));
    pushing = false;
    await Promise.all(sweepers);
    for (const id of living) {
      const files = (await api.get(`/v1/packages/${id}/files`)).body.items;
      for (const { path, digest } of files) {
        const { status, body } = await api.get(`/v1/packages/${id}/files/${path}?redirect=false`);
        t.is(status, 200, JSON.stringify(body));
        t.is(digestOf(body), digest);
      }
    }
    await sweepOf(api, { apply: true });
    const { report } = await sweepOf(api, { apply: true });
    t.like(report, { unneeded: { count: 0 }, waiting: { count: 0 }, missing: { count: 0 }, unknown: { count: 0 } });
    const held = (await statesOf(service)).filter((state) => state !== 'gone');
    t.is(held.length, (await keysOf(service)).length, 'storage and registry are equal');
    t.true(held.every((state) => state === 'live'));
  });

  test('a URL is good no longer than what it names stays, however long it takes to sign it', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ a: 'read' });
    const { files, blobs, now } = service.services.registry.read;
    const { objects } = service.services.blobs;
    const [{ locate: locateFiles }, { locate: locateBlob }, { signDownload }] = [files, blobs, objects];
    const lifetime = service.services.limits.url_lifetime * 1_000;
    files.locate = async (...asked) => {
      const found = await locateFiles(...asked);
      service.sleepDays(1 / 48);
      return found;
    };
    blobs.locate = async (digest) => {
      const found = await locateBlob(digest);
      service.sleepDays(1 / 48);
      return found;
    };
    const signed: number[] = [];
    objects.signDownload = (ref, options) => {
      signed.push(options.expiresAt);
      return signDownload(ref, options);
    };
    let until = (await now()) + lifetime;
    const { body } = await api.post(`/v1/packages/${id}/downloads`, { paths: ['a'] });
    const [first] = body.objects;
    t.true(Date.parse(first.expires_at) < until + 60_000, first.expires_at);
    if (service.services.blobs.kind !== 's3') return;
    until = (await now()) + lifetime;
    await api.get(`/v1/packages/${id}/files/a?redirect=true`);
    t.is(signed.length, 2);
    t.true((signed[1] as number) < until + 60_000);
  });

  test('a sweep ends with its service', async (t) => {
    const service = await startTestService();
    const api = apiOf(service.url);
    const { dataDir } = service;
    t.teardown(() => rm(dataDir, { recursive: true, force: true }));
    const { objects } = service.services.blobs;
    const { list } = objects;
    const listing = Promise.withResolvers<void>();
    objects.list = async function* (prefix) {
      listing.resolve();
      await sleep(200);
      yield* list(prefix);
    };
    const { body } = await api.post('/v1/operations/sweeps', { apply: true });
    await listing.promise;
    await service.stop();
    const next = await startTestService({ dataDir });
    t.teardown(() => next.dispose());
    const { state } = (await apiOf(next.url).get(`/v1/operations/sweeps/${body.id}`)).body;
    t.is(state, 'failed', 'it says that it did not end');
  });
}

const ROUNDS = 9;

const emptyAmounts: Partial<Record<keyof SweepReport, object>> = {
  unneeded: { count: 0 },
  waiting: { count: 0 },
  due: { count: 0 },
  unknown: { count: 0 },
  leftovers: { count: 0 },
  freed: { count: 0 },
};

async function auditOf(api: Api): Promise<{ events: Array<{ action: string }> }> {
  return { events: (await api.get('/v1/audit?limit=1000')).body.items };
}

async function planned(api: Api, bytes: Buffer): Promise<{ upload_id: string }> {
  const id = await api.create();
  const object = { digest: digestOf(bytes), size: bytes.length };
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'a', ...object }] });
  const { uploads } = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body;
  return uploads[0];
}
