import type { ExecutionContext } from 'ava';
import { type ObjectKey, receiptKey } from '../../../src/blobs/key-layout.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { openDeletion } from '../../../src/core/receipt.ts';
import { type PublicKey, readPublicKey } from '../../../src/core/signing-key.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { withRegistry } from '../../support/registry-content.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** What the service signs when a finalized package, or a file of one, is deleted. */
export function receiptsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  async function place(t: ExecutionContext): Promise<{ service: TestService; api: Api; id: string }> {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const rules = { retention_class: 'transient', file_rules: [{ path: 'raw/**', days: 2 }] };
    return { service, api, id: await api.preserve({ 'raw/a': 'one', 'raw/b': 'two', c: 'kept' }, rules) };
  }

  test('files and then the package: each deletion has a receipt that names what, who, why, the rule and the place', async (t) => {
    const { service, api, id } = await place(t);
    service.sleepDays(3);
    const removed = await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/a', 'raw/b'], reason: 'over' });
    t.is(removed.status, 200, JSON.stringify(removed.body));
    const keys = await keysOf(api);
    const first = openDeletion((await api.get(`/v1/packages/${id}/receipt`)).body, keys);
    const { manifest_digest, name, producer } = (await api.get(`/v1/packages/${id}`)).body;
    t.like(first.predicate, {
      action: 'files_deleted',
      package: { id, name, producer },
      manifest: { sha256: manifest_digest.slice(7) },
      actor: 'local',
      reason: 'over',
      rule: { retention_class: 'transient', file_rules: [{ path: 'raw/**', days: 2 }] },
      store_id: service.services.storeId(),
      subjects: 'files',
    });
    t.deepEqual(first.subject, [
      { name: 'raw/a', digest: { sha256: sha256('one').slice(7) } },
      { name: 'raw/b', digest: { sha256: sha256('two').slice(7) } },
    ]);

    service.sleepDays(8);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=expired`)).status, 200);
    const second = openDeletion((await api.get(`/v1/packages/${id}/receipt`)).body, keys);
    const { events } = (await api.get(`/v1/packages/${id}/retention`)).body;
    t.like(second.predicate, { action: 'package_deleted', reason: 'expired', subjects: 'manifest' });
    t.is(second.predicate.decision, events.at(-1).id);
    t.is(second.predicate.rule.expires_at, events.at(-1).expires_before);
    t.deepEqual(second.subject, [{ name: 'manifest.json', digest: { sha256: manifest_digest.slice(7) } }]);
    const again = await api.get(`/v1/packages/${id}/receipt?decision=${first.predicate.decision}`);
    t.deepEqual(openDeletion(again.body, keys), first, 'the first one is still there');

    const { items } = (await api.get(`/v1/audit?package_id=${id}`)).body;
    for (const { predicate } of [first, second]) {
      const proof = await api.get(`/v1/log/proof?event=${predicate.log.event}`);
      t.is(proof.status, 200);
      t.regex(proof.body, new RegExp(`^index ${predicate.log.index}$`, 'm'), 'where the log has it');
      t.is(items.find((each: { id: string }) => each.id === predicate.log.event).subject_id, predicate.decision);
    }
  });

  test('what nobody finalized, and what nobody deleted, has no receipt', async (t) => {
    const { api } = t.context;
    const kept = await api.preserve({ a: 'kept' });
    t.like(await api.get(`/v1/packages/${kept}/receipt`), { status: 404, body: { code: 'receipt_not_found' } });
    const open = await api.create();
    t.is((await api.call('DELETE', `/v1/packages/${open}?reason=r`)).status, 200);
    t.like(await api.get(`/v1/packages/${open}/receipt`), { status: 404, body: { code: 'receipt_not_found' } });
    t.is((await api.get(`/v1/packages/${kept}/receipt?decision=evt_0`)).status, 404);
  });

  test('a log that cannot go on holds up no deletion: the receipt comes when it can', async (t) => {
    const { service, api, id } = await place(t);
    const { auditLog } = service.services;
    const { keepUp } = auditLog;
    auditLog.keepUp = async () => {
      throw new Error('the log cannot go on');
    };
    service.sleepDays(10);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=expired`)).status, 200);
    t.like(await api.get(`/v1/packages/${id}/receipt`), { status: 503, body: { code: 'unavailable' } });
    auditLog.keepUp = keepUp;
    await recover(service.services);
    openDeletion((await api.get(`/v1/packages/${id}/receipt`)).body, await keysOf(api));
  });

  test('one that could not be written is written by recovery, and one that was changed is not given out', async (t) => {
    const { service, api, id } = await place(t);
    service.sleepDays(10);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=expired`)).status, 200);
    const { events } = (await api.get(`/v1/packages/${id}/retention`)).body;
    const key = receiptKey(id as PackageId, events.at(-1).id);
    const { objects } = service.services.blobs;
    await objects.remove({ key, versionId: null });
    await withRegistry(service.env, (db) => db('retention_events').update({ receipt_at: null }));
    await recover(service.services);
    t.truthy(await objects.stat({ key, versionId: null }));
    openDeletion((await api.get(`/v1/packages/${id}/receipt`)).body, await keysOf(api));
    await replace(service, key, '{}');
    t.like(await api.get(`/v1/packages/${id}/receipt`), { status: 500, body: { code: 'integrity_failure' } });
    await withRegistry(service.env, (db) => db('retention_events').update({ receipt_at: null }));
    await recover(service.services);
    t.is((await api.get(`/v1/packages/${id}/receipt`)).status, 200, 'what nobody signed is replaced');
  });
}

async function replace({ services }: TestService, key: ObjectKey, text: string): Promise<void> {
  const { objects } = services.blobs;
  await objects.remove({ key, versionId: null });
  await objects.write(
    key,
    (async function* () {
      yield Buffer.from(text);
    })(),
  );
}

async function keysOf(api: Api): Promise<PublicKey[]> {
  const { items } = (await api.get('/v1/keys')).body;
  return items.map(({ public_key }: { public_key: string }) => readPublicKey(public_key));
}
