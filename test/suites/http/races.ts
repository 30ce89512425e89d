import { parsePackageId } from '../../../src/core/ids.ts';
import { parseLogicalPath } from '../../../src/core/logical-path.ts';
import type { ReadTables } from '../../../src/registry/read-tables.ts';
import { planDownloads } from '../../../src/usecases/plan-downloads.ts';
import { SYSTEM } from '../../../src/usecases/services.ts';
import { sha256 } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const AT_ONCE = 12;

/** Requests that meet. Each pair ends as if one had come after the other. */
export function racesSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  test('one digest planned many times at once has one upload', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const objects = Array.from({ length: 20 }, (_, n) => ({ digest: sha256(`object ${n}`), size: 9 }));
    const files = objects.map((object, n) => ({ path: `f${n}`, ...object }));
    t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
    const plans = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, n) =>
        api.post(`/v1/packages/${id}/uploads`, { objects: n % 2 ? objects : objects.toReversed() }),
      ),
    );
    t.deepEqual([...new Set(plans.map((plan) => plan.status))], [200]);
    for (const { digest } of objects) {
      const uploads: Array<{ digest: string; upload_id: string }> = plans.flatMap((plan) => plan.body.uploads);
      t.is(new Set(uploads.filter((upload) => upload.digest === digest).map((upload) => upload.upload_id)).size, 1);
    }
  });

  test('a file that is removed while its download is planned is not there: that is no damage', async (t) => {
    const { service, api } = t.context;
    const { registry } = service.services;
    const id = await api.create();
    await api.store(id, { f: 'there, and then not' });
    const files: ReadTables['files'] = {
      ...registry.read.files,
      locate: async (...asked) => {
        await api.call('DELETE', `/v1/packages/${id}/files/f`);
        return registry.read.files.locate(...asked);
      },
    };
    const services = { ...service.services, registry: { ...registry, read: { ...registry.read, files } } };
    const planned = planDownloads(services, SYSTEM, parsePackageId(id), { paths: [parseLogicalPath('f')] });
    await t.throwsAsync(planned, { code: 'file_not_found' });
  });

  test('one batch registered in opposite orders at once is registered once', async (t) => {
    const { api } = t.context;
    for (let round = 0; round < 4; round++) {
      const id = await api.create();
      const files = Array.from({ length: 100 }, (_, n) => ({ path: `f${n}`, digest: sha256(`x${n}`), size: 3 }));
      const answers = await Promise.all(
        Array.from({ length: 4 }, (_, n) =>
          api.post(`/v1/packages/${id}/files`, { files: n % 2 ? files : files.toReversed() }),
        ),
      );
      t.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
      t.like((await api.get(`/v1/packages/${id}`)).body, { file_count: 100, total_size: 300 });
    }
  });

  test('a package is superseded once: other requests are refused or get the same revision', async (t) => {
    const { api } = t.context;
    const fields = { name: 'n', producer: 'superseded', external_id: 'run' };
    const old = await api.preserve({ a: 'superseded' }, fields);
    const revisions = await Promise.all(
      Array.from({ length: AT_ONCE }, () => api.post('/v1/packages', { ...fields, supersedes: old })),
    );
    t.deepEqual(revisions.map((answer) => answer.status).toSorted(), [...Array(AT_ONCE - 1).fill(200), 201]);
    t.is(new Set(revisions.map((answer) => answer.body.id)).size, 1);

    const nameless = await api.preserve({ a: 'superseded' });
    const others = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, n) =>
        api.post('/v1/packages', { name: `revision ${n}`, producer: 'tests', supersedes: nameless }),
      ),
    );
    t.deepEqual(others.map((answer) => answer.status).toSorted(), [201, ...Array(AT_ONCE - 1).fill(409)]);
  });

  test('an external id that a failing package releases refers to one package at any time', async (t) => {
    const { api } = t.context;
    const fields = { name: 'n', producer: 'given back', external_id: 'run' };
    for (let round = 0; round < 5; round++) {
      const { body } = await api.post('/v1/packages', fields);
      const [failed, ...created] = await Promise.all([
        api.post(`/v1/packages/${body.id}/fail`, { reason: 'raced' }),
        ...Array.from({ length: 6 }, () => api.post('/v1/packages', fields)),
      ]);
      t.is(failed?.status, 200);
      t.true(created.every((answer) => answer.status === 200 || answer.status === 201));
      const living = (await api.get('/v1/packages?producer=given%20back')).body.items.filter(
        (item: { status: string }) => item.status === 'created',
      );
      t.true(living.length <= 1);
    }
  });

  test('a file replaced while its package is finalized is in the manifest, or refused', async (t) => {
    const { api } = t.context;
    for (let round = 0; round < 6; round++) {
      const id = await api.create();
      await api.store(id, { a: `first ${round}`, b: 'other' });
      const [finalized, put] = await Promise.all([
        api.post(`/v1/packages/${id}/finalize`),
        api.call('PUT', `/v1/packages/${id}/files/a?replace=true`, `second ${round}`),
      ]);
      t.is(finalized.status, 200);
      t.true(put.status === 201 || put.body.code === 'package_sealed', JSON.stringify(put.body));
      const content = put.status === 201 ? `second ${round}` : `first ${round}`;
      const { files } = (await api.get(`/v1/packages/${id}/manifest`)).body;
      t.is(files[0].sha256, sha256(content).slice(7));
      t.is((await api.get(`/v1/packages/${id}/files/a`)).body, content);
    }
  });

  test('a file registered while its bytes are committed is never left without them', async (t) => {
    const { api } = t.context;
    for (let round = 0; round < 6; round++) {
      const id = await api.create();
      const [digest, size] = [sha256(`bytes ${round}`), 7];
      await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'a', digest, size }] });
      const { uploads } = (await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size }] })).body;
      await api.send(uploads[0].parts[0], Buffer.from(`bytes ${round}`));
      const [committed, registered] = await Promise.all([
        api.post(`/v1/uploads/${uploads[0].upload_id}/commit`),
        api.post(`/v1/packages/${id}/files`, { files: [{ path: 'b', digest, size }] }),
      ]);
      t.deepEqual([committed.status, registered.status], [200, 200]);
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    }
  });
}
