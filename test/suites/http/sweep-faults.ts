import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { OBJECTS_PREFIX, type ObjectKey, STORE_KEY } from '../../../src/blobs/key-layout.ts';
import { type StoreId, storeBytes } from '../../../src/core/store-identity.ts';
import { sweepWhenDue } from '../../../src/usecases/sweep.ts';
import { type Api, apiOf } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { bytesOf, keysOf, statesOf, sweepOf, sweepsEnded } from '../../support/sweep.ts';

/** What a sweep must not get wrong when others, or storage, do something in the middle of it. */
export function sweepFaultsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  async function place(
    t: ExecutionContext,
    env: Record<string, string> = {},
  ): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService({ env });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  /** A deleted package of these files. */
  async function deleted(service: TestService, api: Api, files: Record<string, string>): Promise<void> {
    const id = await api.preserve(files, { retention_class: 'transient' });
    service.sleepDays(9);
    const { status, body } = await api.call('DELETE', `/v1/packages/${id}?reason=over`);
    if (status !== 200) throw new Error(JSON.stringify(body));
  }

  test('what is lost and not needed is told once, and goes after its grace', async (t) => {
    const { service, api } = await place(t);
    await deleted(service, api, { a: 'it was here' });
    const [key = ''] = await keysOf(service);
    await service.services.blobs.objects.remove({ key: key as ObjectKey, versionId: null });
    t.like((await sweepOf(api, { apply: true })).report, { missing: { count: 1 }, unneeded: { count: 0 } });
    for (let times = 0; times < 3; times += 1) {
      t.like((await sweepOf(api, { apply: true })).report, {
        missing: { count: 0 },
        unneeded: { count: 0 },
        due: { count: 0 },
      });
    }
    t.deepEqual(await statesOf(service), ['lost']);
    service.sleepDays(2);
    t.like((await sweepOf(api)).report, { due: { count: 1, bytes: 0 }, waiting: { count: 0 } });
    const last = await sweepOf(api, { apply: true });
    t.like(last.report, { due: { count: 1, bytes: 0 }, freed: { count: 1, bytes: 0 } });
    t.deepEqual(await statesOf(service), ['gone']);
    t.deepEqual(await objectEvents(api), ['object.lost', 'object.removed']);
  });

  test('what is pushed while the store is walked is not told as missing', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'before' });
    const { objects } = service.services.blobs;
    const { list } = objects;
    let pushes = 0;
    objects.list = async function* (prefix) {
      const listed = [];
      for await (const object of list(prefix)) listed.push(object);
      if (prefix === OBJECTS_PREFIX) await api.preserve({ a: `during walk ${++pushes}` });
      yield* listed;
    };
    for (const apply of [false, true]) {
      t.like((await sweepOf(api, { apply })).report, { missing: { count: 0, bytes: 0 } });
    }
    objects.list = list;
    t.is(pushes, 2);
    t.deepEqual(await statesOf(service), ['live', 'live', 'live']);
    t.deepEqual(await objectEvents(api), []);
  });

  test('what two sweeps remove at once is freed once', async (t) => {
    const { service, api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    await deleted(service, api, { a: 'over', b: 'over too' });
    await sweepOf(api, { apply: true });
    const { objects } = service.services.blobs;
    const { removeMany } = objects;
    const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    objects.removeMany = async (refs) => {
      objects.removeMany = removeMany;
      reached.resolve();
      await goOn.promise;
      return removeMany(refs);
    };
    const { body: frozen } = await api.post('/v1/operations/sweeps', { apply: true });
    await reached.promise;
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 2, bytes: 12 } });
    goOn.resolve();
    t.like((await sweepsEnded(api, frozen.id)).report, { due: { count: 2 }, freed: { count: 0, bytes: 0 } });
    t.deepEqual(await statesOf(service), ['gone', 'gone']);
  });

  test('a sweep that walks for long is heard of; the schedule begins no other one meanwhile', async (t) => {
    const { service, api } = await place(t);
    const { blobs, registry } = service.services;
    const { list } = blobs.objects;
    const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    blobs.objects.list = async function* (prefix) {
      reached.resolve();
      await goOn.promise;
      yield* list(prefix);
    };
    await sweepWhenDue(service.services, 1);
    await reached.promise;
    const [running] = await registry.read.sweeps.list(9, 0);
    t.like(running, { state: 'running', apply: true });
    for (let seenAt = running?.seen_at ?? 0; seenAt === running?.seen_at; await sleep(50)) {
      const { seen_at } = (await registry.read.sweeps.list(1, 0))[0] ?? running;
      seenAt = seen_at;
    }
    service.sleepDays(0.0001);
    await sweepWhenDue(service.services, 1);
    t.is((await registry.read.sweeps.list(9, 0)).length, 1);
    goOn.resolve();
    t.is((await sweepsEnded(api, running?.id ?? '')).state, 'done');
    await sweepWhenDue(service.services, 1);
    t.is((await registry.read.sweeps.list(9, 0)).length, 2);
    blobs.objects.list = list;
  });

  test('a store that says meanwhile that it is another’s is not swept', async (t) => {
    const { service, api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    await deleted(service, api, { a: 'over' });
    await sweepOf(api, { apply: true });
    const { objects } = service.services.blobs;
    const mark = { key: STORE_KEY, versionId: null };
    const before = await keysOf(service);
    const refused = { state: 'failed', error: { code: 'foreign_store' }, report: { freed: { count: 0 } } };
    await objects.remove(mark);
    t.like(await sweepOf(api, { apply: true }), refused);
    const other = `sto_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}` as StoreId;
    await objects.write(STORE_KEY, bytesOf(storeBytes(other)));
    for (const apply of [false, true]) t.like(await sweepOf(api, { apply }), refused);
    t.deepEqual(await keysOf(service), before);
    t.deepEqual(await statesOf(service), ['condemned']);
    await objects.remove(mark);
    await objects.write(STORE_KEY, bytesOf(storeBytes(service.services.storeId() as StoreId)));
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 1 } });
  });

  test('bytes of a package that failed are freed, which is no damage', async (t) => {
    const { api } = await place(t, { ARTIFACT_STORE_SWEEP_GRACE: '0s' });
    await api.preserve({ a: 'of two' });
    const id = await api.create();
    await api.store(id, { a: 'of two', b: 'of this one' });
    t.is((await api.post(`/v1/packages/${id}/fail`, { reason: 'broken off' })).status, 200);
    const statesOfFiles = async (): Promise<string[]> =>
      (await api.get(`/v1/packages/${id}/files`)).body.items.map(({ state }: { state: string }) => state);
    t.deepEqual(await statesOfFiles(), ['stored', 'stored']);
    await sweepOf(api, { apply: true });
    t.is((await api.get(`/v1/packages/${id}/files/b?redirect=false`)).body, 'of this one', 'condemned');
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 1 } });
    t.deepEqual(await statesOfFiles(), ['stored', 'missing']);
    t.is((await api.get(`/v1/packages/${id}/files/a?redirect=false`)).body, 'of two');
    const freed = { status: 409, body: { code: 'package_failed', path: 'b' } };
    t.like(await api.get(`/v1/packages/${id}/files/b?redirect=false`), freed);
    t.like(await api.post(`/v1/packages/${id}/downloads`, { paths: ['b'] }), freed);
    const whole = await api.post(`/v1/packages/${id}/downloads`, {});
    t.is(whole.status, 200);
    t.is(whole.body.objects.length, 1);
    t.false((await objectEvents(api)).includes('object.damaged'));
  });
}

/** The actions of all events of objects, in order. */
async function objectEvents(api: Api): Promise<string[]> {
  const { items } = (await api.get('/v1/audit?limit=1000')).body;
  return items.map(({ action }: { action: string }) => action).filter((action: string) => action.startsWith('object.'));
}
