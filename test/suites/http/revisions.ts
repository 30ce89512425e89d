import { rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { Package } from '../../../src/api/types.ts';
import type { Api } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const CLASSES = join(tmpdir(), `artifact-store-classes-${process.pid}.json`);
await writeFile(CLASSES, JSON.stringify({ scratch: 0 }));
process.on('exit', () => rmSync(CLASSES, { force: true }));

/** Packages of this class may be deleted as soon as they are finalized. */
const SCRATCH = { name: 'n', retention_class: 'scratch' };

/** Revisions: what an external id names, and what supersedes what, whatever ends when. */
export function revisionsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService, { env: { ARTIFACT_STORE_RETENTION_CLASSES: CLASSES } });

  test('an external id names the finalized package until its revision is finalized', async (t) => {
    const { api } = t.context;
    const fields = { name: 'n', producer: 'rev', external_id: 'run' };
    const old = await api.preserve({ a: '1' }, fields);
    const revision = await api.post('/v1/packages', { ...fields, supersedes: old });
    t.is(revision.status, 201);
    t.like(revision.body, { supersedes: old, external_id: 'run' });
    t.is(await supersededBy(api, old), null);
    t.is((await api.post('/v1/packages', fields)).body.id, old);
    const again = await api.post('/v1/packages', { ...fields, supersedes: old });
    t.like(again, { status: 200, body: { id: revision.body.id } }, 'a retry continues');

    await api.store(revision.body.id, { a: '2' });
    t.is(await supersededBy(api, old), null);
    t.is((await api.post(`/v1/packages/${revision.body.id}/finalize`)).status, 200);
    t.is(await supersededBy(api, old), revision.body.id);
    t.is((await api.post('/v1/packages', fields)).body.id, revision.body.id);
    const late = await api.post('/v1/packages', { ...fields, supersedes: old });
    t.like(late, { status: 200, body: { id: revision.body.id } }, 'a retry that comes late too');
  });

  test('a second open revision is refused, and the message names the first one', async (t) => {
    const { api } = t.context;
    const fields = { name: 'n', producer: 'second' };
    for (const named of [{ external_id: 'run' }, {}]) {
      const old = await api.preserve({ a: '1' }, { ...fields, ...named });
      const first = (await api.post('/v1/packages', { ...fields, ...named, supersedes: old })).body.id;
      const same = await api.post('/v1/packages', { ...fields, ...named, supersedes: old });
      t.like(same, { status: 200, body: { id: first } });
      const other = { ...fields, name: 'another', external_id: 'another', supersedes: old };
      t.like(await api.post('/v1/packages', other), {
        status: 409,
        body: { code: 'already_superseded', package_id: first },
      });
      t.is((await api.post(`/v1/packages/${first}/fail`, { reason: 'x' })).status, 200);
      t.is(
        (await api.post('/v1/packages', { ...fields, ...named, supersedes: old })).status,
        201,
        'one that failed is none',
      );
    }
  });

  test('only finalized packages can be revised, by their producer, under their external id', async (t) => {
    const { api } = t.context;
    const fields = { name: 'n', producer: 'rules', external_id: 'run' };
    const open = await api.create(fields);
    const refused = await api.post('/v1/packages', { ...fields, supersedes: open });
    t.like(refused, { status: 422, body: { code: 'invalid_supersedes' } });
    await api.store(open, { a: '1' });
    await api.post(`/v1/packages/${open}/finalize`);
    const foreign = await api.post('/v1/packages', { name: 'n', producer: 'another', supersedes: open });
    t.like(foreign, { status: 422, body: { code: 'invalid_supersedes' } });
    const renamed = await api.post('/v1/packages', { ...fields, external_id: 'another', supersedes: open });
    t.like(renamed, { status: 422, body: { code: 'invalid_supersedes' } });
  });

  for (const [which, named] of [
    ['an external id', { external_id: 'failed' }],
    ['none', {}],
  ] as const) {
    test(`deleting a revision that failed takes nothing from the one after it, with ${which}`, async (t) => {
      const { api } = t.context;
      const fields = { name: 'n', producer: `failed, ${which}`, ...named };
      const a = await api.preserve({ a: '1' }, fields);
      const b = (await api.post('/v1/packages', { ...fields, supersedes: a })).body.id;
      await api.post(`/v1/packages/${b}/fail`, { reason: 'x' });
      const c = (await api.post('/v1/packages', { ...fields, supersedes: a })).body.id;
      await api.store(c, { a: '2' });
      t.is((await api.post(`/v1/packages/${c}/finalize`)).status, 200);
      t.is((await api.call('DELETE', `/v1/packages/${b}?reason=x`)).status, 200);
      t.is(await supersededBy(api, a), c);
      const second = await api.post('/v1/packages', { ...fields, name: 'another', external_id: 'x', supersedes: a });
      t.is(second.body.code, 'already_superseded');
    });
  }

  test('when the newest of a chain is deleted, the nearest existing one is current again', async (t) => {
    const { api } = t.context;
    const fields = { ...SCRATCH, producer: 'chain', external_id: 'run' };
    const a = await api.preserve({ a: '1' }, fields);
    const b = await api.preserve({ a: '2' }, { ...fields, supersedes: a });
    const c = await api.preserve({ a: '3' }, { ...fields, supersedes: b });
    const remove = (id: string) => api.call('DELETE', `/v1/packages/${id}?reason=x`);
    t.is((await remove(b)).status, 200);
    t.is((await api.post('/v1/packages', fields)).body.id, c);
    // A revision of what is deleted before it is finalized comes after what lives.
    const d = (await api.post('/v1/packages', { ...fields, supersedes: c })).body.id;
    t.is((await remove(c)).status, 200);
    t.is((await api.post('/v1/packages', fields)).body.id, a);
    await api.store(d, { a: '4' });
    t.is((await api.post(`/v1/packages/${d}/finalize`)).status, 200);
    t.is((await api.post('/v1/packages', fields)).body.id, d);
    t.is((await remove(d)).status, 200);
    t.is((await api.post('/v1/packages', fields)).body.id, a);
    t.is(await supersededBy(api, a), null);
  });

  test('in any order of creations, finalizations, failures and deletions, an external id refers to at most one current package', async (t) => {
    t.timeout(300_000);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { minLength: 3, maxLength: 16 }), async (steps) => {
        run += 1;
        const producer = `property ${run}`;
        const ids: string[] = [];
        for (const step of steps) {
          await take(t, t.context.api, producer, ids, step);
          await assertChains(t, t.context.api, producer);
        }
      }),
      { numRuns: 40 },
    );
  });
}

type Step = { act: 'create' | 'revise' | 'finalize' | 'fail' | 'delete'; which: number; external: boolean };

const STEP: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom('create', 'revise', 'revise', 'finalize', 'finalize', 'finalize', 'fail', 'delete', 'delete'),
  // Mostly one of the newest.
  which: fc.oneof(fc.constantFrom(0, 1), fc.nat(6)),
  external: fc.boolean(),
});

/** What is refused is refused with a reason, never a failure of the service. */
async function take(t: ExecutionContext, api: Api, producer: string, ids: string[], step: Step): Promise<void> {
  const target = ids.at(-1 - step.which);
  const fields = { ...SCRATCH, producer, ...(step.external ? { external_id: 'x' } : {}) };
  const request = async () => {
    if (step.act === 'create') return api.post('/v1/packages', fields);
    if (target === undefined) return null;
    if (step.act === 'revise') return api.post('/v1/packages', { ...fields, supersedes: target });
    if (step.act === 'fail') return api.post(`/v1/packages/${target}/fail`, { reason: 'x' });
    if (step.act === 'delete') return api.call('DELETE', `/v1/packages/${target}?reason=x`);
    await api.call('PUT', `/v1/packages/${target}/files/f`, 'the bytes');
    return api.post(`/v1/packages/${target}/finalize`);
  };
  const answer = await request();
  if (answer === null) return;
  t.true(answer.status < 500, `${step.act}: ${JSON.stringify(answer.body)}`);
  if (answer.status === 201) ids.push(answer.body.id);
}

async function assertChains(t: ExecutionContext, api: Api, producer: string): Promise<void> {
  const list = async (query: string): Promise<Package[]> =>
    (await api.get(`/v1/packages?limit=1000&producer=${encodeURIComponent(producer)}${query}`)).body.items;
  const all = [...(await list('')), ...(await list('&status=deleted'))];
  const byId = new Map(all.map((pkg) => [pkg.id, pkg]));
  const current = all.filter(
    (pkg) => pkg.external_id === 'x' && pkg.status === 'finalized' && pkg.superseded_by === null,
  );
  t.true(current.length <= 1, `current: ${current.map(({ id }) => id)}`);
  const open = all.filter((pkg) => pkg.external_id === 'x' && ['created', 'uploading'].includes(pkg.status));
  t.true(open.length <= 1, `open: ${open.map(({ id }) => id)}`);
  for (const pkg of all) {
    if (pkg.superseded_by === null) continue;
    const by = byId.get(pkg.superseded_by);
    t.is(by?.supersedes, pkg.id);
    t.not(by?.finalized_at, null, `${pkg.id} is superseded by ${pkg.superseded_by}, which never was finalized`);
    // What is superseded by nothing that lives, directly or not, is current itself.
    let living = by;
    while (living !== undefined && living.status !== 'finalized') living = byId.get(living.superseded_by ?? '');
    if (pkg.status === 'finalized') t.truthy(living, `${pkg.id} is hidden by nothing that lives`);
  }
}

async function supersededBy(api: Api, id: string): Promise<string | null> {
  return (await api.get(`/v1/packages/${id}`)).body.superseded_by;
}
