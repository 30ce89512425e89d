import { text } from 'node:stream/consumers';
import type { BlobStore } from '../../../src/blobs/blob-store.ts';
import { canonicalJson } from '../../../src/core/canonical-json.ts';
import { StoreError } from '../../../src/core/errors.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { apiOf } from '../../support/api.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** Decisions on how long a package is kept stand in storage, beside its manifest, before they are acknowledged (invariant 9). */
export function decisionsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  test('what is acknowledged stands in storage, each decision in an object of its own', async (t) => {
    const { api, service } = t.context;
    const id = await api.create({ retention_class: 'transient' });
    await api.store(id, { a: 'kept' });
    t.deepEqual(await decisionsOf(service, id), []);
    const { retention, manifest_digest, stored_size } = (await api.post(`/v1/packages/${id}/finalize`)).body;
    const common = { package_id: id, actor: 'local', schema: 'artifact-store/decision/v1' };
    const finalized = {
      ...common,
      action: 'finalized',
      reason: null,
      expires_at: retention.expires_at,
      retention_days: 7,
      created_by: 'local',
      manifest_digest,
      stored_size,
    };
    const seen = async () => (await decisionsOf(service, id)).map(({ id: _, at: __, ...rest }) => rest);
    t.deepEqual(await seen(), [finalized]);

    const { expires_at } = (await api.post(`/v1/packages/${id}/retention/extensions`, { days: 1, reason: 'audit' }))
      .body;
    const extended = { ...common, action: 'extended', reason: 'audit', expires_at };
    t.deepEqual(await seen(), [finalized, extended]);

    const hold = (await api.post(`/v1/packages/${id}/holds`, { reason: 'disputed', reference: 'CASE-17' })).body;
    const held = { ...common, action: 'held', reason: 'disputed', hold: { id: hold.id, reference: 'CASE-17' } };
    t.deepEqual(await seen(), [finalized, extended, held]);
    const of = { reason: 'settled' };
    t.is((await api.post(`/v1/packages/${id}/holds/${hold.id}/release`, of)).status, 200);
    const released = { ...held, action: 'released', reason: 'settled' };
    t.deepEqual(await seen(), [finalized, extended, held, released]);

    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=early`)).status, 409);
    t.is((await seen()).length, 4, 'what was refused is no decision');
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=expired`)).status, 200);
    const all = await decisionsOf(service, id);
    t.like(all[4], { action: 'deleted', reason: 'expired', expires_at });
    const { events } = (await api.get(`/v1/packages/${id}/retention`)).body;
    const told = events.slice(1).map(({ action, at }: { action: string; at: string }) => [action, at]);
    t.deepEqual(
      all.map(({ action, at }) => [action, at]),
      told,
      'the same, at the same times, as in the registry',
    );
  });

  test('a new decision is in storage when it is acknowledged, however many were there before an upgrade', async (t) => {
    const { api, service } = t.context;
    const id = await api.preserve({ a: 'old' });
    const old = { package_id: id as PackageId, action: 'extended' as const, at: 1, actor: 'local', reason: 'before' };
    await service.services.registry.transaction(async ({ retention }) => {
      for (let n = 0; n < 250; n += 1) {
        const event = { ...old, id: `evt_0_${n}`, hold_id: null, expires_before: 1, expires_after: 2 };
        await retention.addEvent(event, { toWrite: true, receipt: null });
      }
    });
    t.is((await api.post(`/v1/packages/${id}/retention/extensions`, { days: 1, reason: 'new' })).status, 200);
    const told = await decisionsOf(service, id);
    t.is(told.length, 252);
    t.true(told.some(({ reason }) => reason === 'new'));
  });

  test('what never was finalized leaves nothing but its holds and extensions', async (t) => {
    const { api, service } = t.context;
    const id = await api.create();
    const hold = (await api.post(`/v1/packages/${id}/holds`, { reason: 'early' })).body;
    t.is((await api.post(`/v1/packages/${id}/holds/${hold.id}/release`, { reason: 'over' })).status, 200);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=unwanted`)).status, 200);
    t.deepEqual(
      (await decisionsOf(service, id)).map(({ action }) => action),
      ['held', 'released'],
    );
  });

  test('a decision that storage cannot be told of is no success, and is told by recovery', async (t) => {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const id = await api.preserve({ a: 'kept' });
    const open = await api.create();
    await api.store(open, { b: 'kept' });
    const restore = refuseDecisions(service.services.blobs);
    const extension = await api.post(`/v1/packages/${id}/retention/extensions`, { days: 1, reason: 'audit' });
    t.like(extension, { status: 500, body: { code: 'decision_unwritten', package_id: id } });
    const hold = await api.post(`/v1/packages/${id}/holds`, { reason: 'disputed' });
    t.like(hold, { status: 500, body: { code: 'decision_unwritten' } });
    t.like(await api.post(`/v1/packages/${open}/finalize`), { status: 503, body: { code: 'unavailable' } });
    // It is harmless to ask for that again, and is no success yet.
    t.like(await api.post(`/v1/packages/${open}/finalize`), { status: 503, body: { code: 'unavailable' } });
    t.like((await api.get(`/v1/packages/${id}/retention`)).body, { held: true }, 'the registry has it');
    t.deepEqual(
      (await decisionsOf(service, id)).map(({ action }) => action),
      ['finalized'],
    );

    restore();
    t.is((await api.post(`/v1/packages/${open}/finalize`)).status, 200);
    t.deepEqual(
      (await decisionsOf(service, open)).map(({ action }) => action),
      ['finalized'],
    );
    await recover(service.services);
    t.deepEqual(
      (await decisionsOf(service, id)).map(({ action }) => action),
      ['finalized', 'extended', 'held'],
    );
    t.deepEqual(await service.services.registry.read.retention.listUnwritten(9), []);
  });
}

interface Told {
  reason: string | null;
  id: string;
  at: string;
  action: string;
}

/** What storage has, in the order in which it was decided. */
async function decisionsOf({ services: { blobs } }: TestService, packageId: string): Promise<Told[]> {
  const found: Told[] = [];
  for await (const { key } of blobs.objects.list(`packages/${packageId}/decisions/`)) {
    const json = await text(await blobs.objects.open({ key, versionId: null }));
    const told = JSON.parse(json) as Told;
    if (json !== canonicalJson({ ...told }) || !key.endsWith(`/${told.id}.json`)) throw new Error(`${key}: ${json}`);
    found.push(told);
  }
  return found;
}

/** Storage takes everything but decisions. @returns ends that */
function refuseDecisions(blobs: BlobStore): () => void {
  const { objects } = blobs;
  const { write } = objects;
  objects.write = async (key, bytes) => {
    if (key.includes('/decisions/')) throw new StoreError('unavailable', 'The storage could not be reached.');
    return write.call(objects, key, bytes);
  };
  return () => {
    objects.write = write;
  };
}
