import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import type { PlannedUpload } from '../../../src/api/types.ts';
import { StoreError } from '../../../src/core/errors.ts';
import type { PackMember } from '../../../src/core/pack.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { fixityNow } from '../../support/fixity.ts';
import { metricsFrom, metricsOf, nonZero } from '../../support/metrics.ts';
import { packOf } from '../../support/pack.ts';
import { preservePacked } from '../../support/packed-package.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { sweepOf } from '../../support/sweep.ts';

/** What /metrics tells an operator of, on any pair. */
export function metricsSuite(startTestService: StartTestService): void {
  async function start(t: ExecutionContext): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  /** An upload whose parts have come, and are not what was planned. */
  async function commitWrongPack(t: ExecutionContext, api: Api): Promise<void> {
    const id = await api.create();
    const right = packOf(['one', 'two', 'three']);
    const bytes = Buffer.from(right.bytes);
    bytes.write('?', (right.members[1] as PackMember).offset);
    const files = right.members.map(({ digest, size }) => ({ path: digest, digest, size }));
    t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
    const { size, members } = right;
    const object = { digest: sha256(bytes), size, members };
    const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body
      .uploads as PlannedUpload[];
    t.is((await api.send((upload as PlannedUpload).parts[0] as PlannedUpload['parts'][number], bytes)).status, 200);
    t.is((await api.post(`/v1/uploads/${upload?.upload_id}/commit`)).body.code, 'digest_mismatch');
  }

  async function planOnly(t: ExecutionContext, api: Api): Promise<PlannedUpload> {
    const id = await api.create();
    const object = { digest: sha256('never sent'), size: 10 };
    t.is((await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'a', ...object }] })).status, 200);
    return (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads[0];
  }

  test('packages by status with their bytes, open uploads, commits by result, bytes verified and sent', async (t) => {
    const { api } = await start(t);
    const large = randomBytes(5_000);
    const id = await api.preserve({ a: 'hello', b: large, again: 'hello' });
    const pack = { one: 'the first', two: 'the second' };
    await preservePacked(api, [pack]);
    await api.create();
    const failed = await api.create();
    await api.post(`/v1/packages/${failed}/fail`, { reason: 'given up' });
    const { parts } = await planOnly(t, api);
    const refused = await api.send(parts[0] as PlannedUpload['parts'][number], Buffer.from('other text'));
    t.true(refused.status >= 400 && refused.status < 500);
    const file = { path: 'late', digest: sha256('late'), size: 4 };
    t.is((await api.post(`/v1/packages/${id}/files`, { files: [file] })).body.code, 'package_sealed');
    await commitWrongPack(t, api);
    const url = `/v1/packages/${id}/files/b?redirect=false`;
    t.is((await api.get(url)).status, 200);
    t.is((await api.call('GET', url, undefined, { range: 'bytes=10-109' })).status, 206);
    t.is((await api.call('HEAD', url)).status, 200);
    t.is((await api.get(`/v1/packages/${id}/files/none`)).status, 404);
    const manifest = (await api.get(`/v1/packages/${id}`)).body.manifest_digest;
    const { headers } = await api.get(`/v1/packages/${id}/manifest`);
    t.is(headers.get('etag'), `"${manifest}"`);
    const sent = 5_000 + 100 + Number(headers.get('content-length'));

    const metrics = await metricsFrom(api, 'artifact_store_sent_bytes_total', sent);
    t.is(metrics.get('artifact_store_sent_bytes_total'), sent);
    t.deepEqual(nonZero(metrics, 'artifact_store_packages'), {
      '{status="created"}': 1,
      '{status="uploading"}': 2,
      '{status="finalized"}': 2,
      '{status="failed"}': 1,
    });
    t.deepEqual(nonZero(metrics, 'artifact_store_package_bytes'), {
      '{status="uploading"}': 10 + 'onetwothree'.length,
      '{status="finalized"}': 5_010 + 'the firstthe second'.length,
    });
    const stored = (await api.get('/v1/packages?limit=100')).body.items.map((pkg: { stored_size: number | null }) =>
      Number(pkg.stored_size),
    );
    t.is(
      metrics.get('artifact_store_package_stored_bytes{status="finalized"}'),
      stored.reduce((sum: number, size: number) => sum + size, 0),
    );
    t.deepEqual(nonZero(metrics, 'artifact_store_uploads'), { '{state="open"}': 1 });
    t.deepEqual(nonZero(metrics, 'artifact_store_commits_total'), {
      '{result="committed"}': 3,
      '{result="digest_mismatch"}': 1,
    });
    t.deepEqual(nonZero(metrics, 'artifact_store_verified_bytes_total'), {
      '{how="bound"}': 5_005,
      '{how="read"}': packOf(Object.values(pack)).size,
    });
    for (const operation of ['read', 'transaction'])
      t.true((metrics.get(`artifact_store_registry_seconds_count{operation="${operation}"}`) ?? 0) > 0);
    const storage = (operation: string) =>
      metrics.get(`artifact_store_storage_seconds_count{operation="${operation}"}`) ?? 0;
    t.is(storage('create'), 5, 'each upload that was planned');
    t.is(storage('complete'), 4, 'each that was committed');
    t.is(storage('list_parts'), 4);
    t.is(storage('drop'), 1, 'the one that failed');
    t.deepEqual(nonZero(metrics, 'artifact_store_registry_errors_total'), {});
    t.deepEqual(nonZero(metrics, 'artifact_store_storage_errors_total'), {}, 'a refusal is no error');
  });

  test('deleted packages, sweeps by result, what they condemn and free, and when one last ended well', async (t) => {
    const { service, api } = await start(t);
    const id = await api.preserve({ a: 'not needed soon' }, { retention_class: 'transient' });
    await api.preserve({ a: 'kept' });
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
    await sweepOf(api);
    await sweepOf(api, { apply: true });
    service.sleepDays(2);
    const last = await sweepOf(api, { apply: true });
    t.like(last, { state: 'done', report: { freed: { count: 1, bytes: 15 } } });
    const { objects } = service.services.blobs;
    const { list } = objects;
    objects.list = () => {
      throw new StoreError('unavailable', 'Storage does not answer.');
    };
    t.is((await sweepOf(api, { apply: true })).state, 'failed');
    objects.list = list;

    const metrics = await metricsOf(api);
    t.deepEqual(nonZero(metrics, 'artifact_store_sweeps_total'), { '{result="done"}': 3, '{result="failed"}': 1 });
    t.is(metrics.get('artifact_store_freed_objects_total'), 1);
    t.is(metrics.get('artifact_store_freed_bytes_total'), 15);
    t.is(metrics.get('artifact_store_condemned_objects'), 0);
    t.is(
      metrics.get('artifact_store_sweep_last_success_timestamp_seconds'),
      Date.parse(last.ended_at as string) / 1_000,
      'not when one failed',
    );
    t.deepEqual(nonZero(metrics, 'artifact_store_packages'), { '{status="finalized"}': 1, '{status="deleted"}': 1 });
    t.is(metrics.get('artifact_store_background_runs_total{work="sweep",result="done"}'), 4);
  });

  test('what recovery ended, and what it has to try again', async (t) => {
    const { service, api } = await start(t);
    await planOnly(t, api);
    await planOnly(t, api);
    service.sleepDays(8);
    const { uploads } = service.services.blobs;
    const { abort } = uploads;
    const refused: string[] = [];
    uploads.abort = async (upload) => {
      if (refused.length > 0) return abort(upload);
      refused.push(upload.id);
      throw new StoreError('unavailable', 'Storage does not answer.');
    };
    await recover(service.services);
    await recover(service.services);
    const metrics = await metricsOf(api);
    t.deepEqual(nonZero(metrics, 'artifact_store_recovered_total'), {
      '{what="expiry",result="done"}': 2,
      '{what="abort",result="done"}': 2,
      '{what="abort",result="failed"}': 1,
    });
    t.deepEqual(nonZero(metrics, 'artifact_store_uploads'), {});
    t.true((metrics.get('artifact_store_background_runs_total{work="recovery",result="done"}') ?? 0) >= 1);
  });

  test('what fixity checks read, and how long ago', async (t) => {
    const { api } = await start(t);
    t.false((await metricsOf(api)).has('artifact_store_fixity_oldest_seen_timestamp_seconds'), 'there is no object');
    const before = Date.now();
    const id = await api.preserve({ a: 'hello' });
    t.is((await fixityNow(api, { package_id: id })).state, 'done');
    const sizeOf = async (what: string) =>
      Number((await api.get(`/v1/packages/${id}/${what}`)).headers.get('content-length'));
    const beside = (await sizeOf('manifest')) + (await sizeOf('attestation'));
    const metrics = await metricsOf(api);
    t.deepEqual(nonZero(metrics, 'artifact_store_fixity_checked_objects_total'), { '{result="good"}': 3 });
    t.is(metrics.get('artifact_store_fixity_checked_bytes_total'), 'hello'.length + beside);
    t.is(metrics.get('artifact_store_background_runs_total{work="fixity_run",result="done"}'), 1);
    t.true((metrics.get('artifact_store_counted_timestamp_seconds') ?? 0) * 1_000 <= before, 'once a minute at most');
    t.is(metrics.get('artifact_store_packages{status="finalized"}'), 0, 'as they were counted');
  });
}
