import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import { OBJECTS_PREFIX, type ObjectKey } from '../../../src/blobs/key-layout.ts';
import { digestOf } from '../../../src/core/digest.ts';
import { StoreError } from '../../../src/core/errors.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { parseLogicalPath } from '../../../src/core/logical-path.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { planDownloads } from '../../../src/usecases/plan-downloads.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { registerFiles } from '../../../src/usecases/register-files.ts';
import type { Caller } from '../../../src/usecases/services.ts';
import { apiOf, sha256 } from '../../support/api.ts';
import { usualOrLong } from '../../support/long.ts';
import { preservePacked } from '../../support/packed-package.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { sweepOf } from '../../support/sweep.ts';
import { tempFolder } from '../../support/temp.ts';

const RAW = [{ path: 'raw/**', days: 30 }];
const FILES = { 'raw/a.log': 'raw a', 'raw/b.log': 'raw b', 'report.md': 'summary' };
const LONG = { retention_class: 'summary-evidence', file_rules: RAW };

/** Files that need not be kept as long as their package. */
export function fileRulesSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  /** A service of the test's own: its time moves, and what others leave behind is in no count. */
  async function place(t: ExecutionContext, env: Record<string, string> = {}) {
    const service = await startTestService({ env: { ARTIFACT_STORE_SWEEP_GRACE: '0s', ...env } });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  test('rules of the request and of the class are kept with the package, whatever the class says later', async (t) => {
    const file = join(await tempFolder(t), 'classes.json');
    const classes = { runs: { days: 365, files: [{ path: 'raw/**', days: 30 }] }, plain: 3 };
    await writeFile(file, JSON.stringify(classes));
    const { service, api } = await place(t, { ARTIFACT_STORE_RETENTION_CLASSES: file });
    const told = (await api.get('/v1/retention/classes')).body.items;
    t.deepEqual(
      told.filter(({ name }: { name: string }) => name === 'runs' || name === 'plain'),
      [
        { name: 'plain', days: 3, default: false },
        { name: 'runs', days: 365, files: RAW, default: false },
      ],
    );
    const own = [{ path: '*.tmp', days: 1 }, ...RAW];
    const created = await api.post('/v1/packages', {
      name: 'n',
      producer: 'p',
      retention_class: 'runs',
      file_rules: own,
    });
    t.is(created.status, 201);
    t.deepEqual(created.body.file_rules, [...RAW, { path: '*.tmp', days: 1 }], 'each once');
    t.deepEqual((await api.get(`/v1/packages/${created.body.id}`)).body.file_rules, created.body.file_rules);
    await service.services.registry.transaction(({ retention }) =>
      retention.syncClasses({ runs: 365, 'raw-evidence': 90 }),
    );
    t.deepEqual((await api.get(`/v1/packages/${created.body.id}`)).body.file_rules, created.body.file_rules);
    const later = await api.create({ retention_class: 'runs' });
    t.deepEqual((await api.get(`/v1/packages/${later}`)).body.file_rules, []);
    const plain = await api.create();
    t.deepEqual((await api.get(`/v1/packages/${plain}`)).body.file_rules, []);
  });

  test('what is no rule is refused, and names what is wrong', async (t) => {
    const { api } = t.context;
    const make = (file_rules: unknown) => api.post('/v1/packages', { name: 'n', producer: 'p', file_rules });
    for (const path of [
      '+(a|b)',
      'a//b',
      '/a',
      '../a',
      'a\\b',
      '{a,{b,c}}',
      `{${'a,'.repeat(70)}b}`,
      '[',
      '[[:alpha:]]',
    ]) {
      const { status, body } = await make([{ path, days: 1 }]);
      t.is(status, 422, path);
      t.is(body.code, 'invalid_file_rule');
      t.true(body.detail.includes(JSON.stringify(path.slice(0, 100))), body.detail);
    }
    for (const rules of [
      [{ path: '', days: 1 }],
      [{ path: 'a', days: -1 }],
      [{ path: 'a', days: 0.5 }],
      [{ path: 'a' }],
    ]) {
      t.like(await make(rules), { status: 422, body: { code: 'invalid_request' } });
    }
    const many = (count: number) => Array.from({ length: count }, (_, n) => ({ path: `${n}`, days: n }));
    t.is((await make(many(51))).status, 422);
    t.is((await make(many(50))).status, 201);
  });

  test('a file goes when its time is over, not before; its row, the manifest and the counts stay', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve(FILES, LONG);
    const before = (await api.get(`/v1/packages/${id}`)).body;
    const manifest = (await api.get(`/v1/packages/${id}/manifest`)).body;
    const sums = (await api.get(`/v1/packages/${id}/manifest?format=sha256sum`)).body;
    service.sleepDays(29);
    const due = new Date(Date.parse(before.finalized_at) + 30 * 86_400_000).toISOString();
    const early = await api.call('DELETE', `/v1/packages/${id}/files/raw/a.log?reason=over`);
    t.like(early, { status: 409, body: { code: 'retention_active', path: 'raw/a.log', expires_at: due } });
    t.deepEqual((await api.get('/v1/retention/eligible')).body.items, []);

    service.sleepDays(2);
    t.like((await api.get('/v1/retention/eligible')).body, {
      items: [{ package_id: id, reason: 'files_expired', expires_at: due, files: { count: 2, bytes: 10 } }],
      next_cursor: null,
    });
    t.like(await api.call('DELETE', `/v1/packages/${id}/files/raw/a.log`), {
      status: 422,
      body: { code: 'invalid_request', errors: [{ field: 'reason', message: 'is required' }] },
    });
    const kept = await api.call('DELETE', `/v1/packages/${id}/files/report.md?reason=over`);
    t.like(kept, { status: 409, body: { code: 'retention_active', path: 'report.md', expires_at: null } });
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/none?reason=over`)).body.code, 'file_not_found');
    for (let again = 0; again < 2; again += 1)
      t.is((await api.call('DELETE', `/v1/packages/${id}/files/raw/a.log?reason=over`)).status, 204);

    for (const query of ['', '?redirect=true']) {
      const read = await api.get(`/v1/packages/${id}/files/raw/a.log${query}`);
      t.like(read, {
        status: 410,
        body: { code: 'file_deleted', path: 'raw/a.log', deleted_by: 'local', reason: 'over' },
      });
    }
    const listed = (await api.get(`/v1/packages/${id}/files`)).body.items;
    t.like(listed[0], { path: 'raw/a.log', digest: sha256('raw a'), size: 5, state: 'deleted' });
    t.true(Math.abs(Date.parse(listed[0].deleted_at) - Date.parse(before.finalized_at) - 31 * 86_400_000) < 600_000);
    t.like(listed[1], { path: 'raw/b.log', state: 'stored', deleted_at: null });
    t.deepEqual((await api.get(`/v1/packages/${id}/files?deleted=true`)).body.items, listed.slice(0, 1));

    const paths = (answer: { body: { objects: Array<{ entries: Array<{ path: string }> }> } }) =>
      answer.body.objects.flatMap(({ entries }) => entries.map(({ path }) => path)).toSorted();
    t.deepEqual(paths(await api.post(`/v1/packages/${id}/downloads`, {})), ['raw/b.log', 'report.md']);
    t.like(await api.post(`/v1/packages/${id}/downloads`, { paths: ['report.md', 'raw/a.log'] }), {
      status: 410,
      body: { code: 'file_deleted', path: 'raw/a.log' },
    });

    const after = (await api.get(`/v1/packages/${id}`)).body;
    t.deepEqual(after, { ...before, deleted_file_count: 1 });
    t.deepEqual((await api.get(`/v1/packages/${id}/manifest`)).body, manifest);
    t.is((await api.get(`/v1/packages/${id}/manifest?format=sha256sum`)).body, sums);
    t.is((await api.post(`/v1/packages/${id}/finalize`, { file_count: 3 })).status, 200);
    t.like((await api.get('/v1/retention/eligible')).body.items, [{ files: { count: 1, bytes: 5 } }]);
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/raw/b.log`, { reason: 'over' })).status, 204);
    t.deepEqual((await api.get('/v1/retention/eligible')).body.items, []);
  });

  test('the decision stands in storage, in the history and in the audit before it is acknowledged', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve(FILES, LONG);
    service.sleepDays(31);
    const removed = await api.post(`/v1/packages/${id}/file-deletions`, {
      paths: ['raw/b.log', 'raw/a.log', 'raw/b.log'],
      reason: 'over',
    });
    t.like(removed, { status: 200, body: { package_id: id, files: 2, bytes: 10, already_deleted: 0 } });
    const [finalized, deleted, ...more] = await decisionsOf(service, id);
    t.like(finalized, { action: 'finalized', file_rules: RAW });
    t.like(deleted, { action: 'files_deleted', actor: 'local', reason: 'over', paths: ['raw/a.log', 'raw/b.log'] });
    t.false('expires_at' in (deleted as object));
    t.deepEqual(more, []);
    const { events } = (await api.get(`/v1/packages/${id}/retention`)).body;
    t.like(events.at(-1), { id: deleted?.id, action: 'files_deleted', reason: 'over' });
    const audit = (await api.get(`/v1/audit?package_id=${id}&action=package.files_deleted`)).body.items;
    t.is(audit.length, 1);
    t.like(audit[0], { subject_id: deleted?.id, reason: 'over', detail: { files: 2, bytes: 10 } });
    t.like((await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/a.log'], reason: 'again' })).body, {
      files: 0,
      already_deleted: 1,
    });
    t.is((await decisionsOf(service, id)).length, 2, 'what removes nothing is no decision');
  });

  test('storage that cannot be told: not acknowledged, and made good by recovery or by asking again', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve(FILES, LONG);
    service.sleepDays(31);
    const { objects } = service.services.blobs;
    const { write } = objects;
    objects.write = async () => {
      throw new StoreError('unavailable', 'Storage is away.');
    };
    const ask = () => api.call('DELETE', `/v1/packages/${id}/files/raw/a.log?reason=over`);
    t.is((await ask()).status, 503);
    objects.write = write;
    t.is((await decisionsOf(service, id)).length, 1);
    t.is((await ask()).status, 204);
    t.like((await decisionsOf(service, id))[1], { action: 'files_deleted', paths: ['raw/a.log'] });
    objects.write = async () => {
      throw new StoreError('unavailable', 'Storage is away.');
    };
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/raw/b.log?reason=over`)).status, 503);
    objects.write = write;
    await recover(service.services, new AbortController().signal);
    t.like((await decisionsOf(service, id))[2], { action: 'files_deleted', paths: ['raw/b.log'] });
  });

  test('which rule wins: a hold, an extension, the most days, the package itself', async (t) => {
    const { service, api } = await place(t);
    const file_rules = [...RAW, { path: '**/*.log', days: 60 }, { path: 'report.md', days: 4_000 }];
    const id = await api.preserve({ ...FILES, 'raw/c.bin': 'raw c' }, { ...LONG, file_rules });
    const remove = (path: string) => api.call('DELETE', `/v1/packages/${id}/files/${path}?reason=over`);
    service.sleepDays(31);
    t.is((await remove('raw/a.log')).body.code, 'retention_active', 'of several rules the one with the most days');
    const hold = (await api.post(`/v1/packages/${id}/holds`, { reason: 'disputed' })).body;
    t.like(await remove('raw/c.bin'), { status: 409, body: { code: 'held' } });
    t.deepEqual((await api.get('/v1/retention/eligible')).body.items, []);
    await api.post(`/v1/packages/${id}/holds/${hold.id}/release`, { reason: 'settled' });
    t.like((await api.get('/v1/retention/eligible')).body.items, [{ files: { count: 1 } }]);

    const extended = await api.post(`/v1/packages/${id}/retention/extensions`, { days: 10, reason: 'audit' });
    const until = extended.body.expires_at;
    t.like(await remove('raw/c.bin'), { status: 409, body: { code: 'retention_active', expires_at: until } });
    t.deepEqual((await api.get('/v1/retention/eligible')).body.items, []);
    service.sleepDays(345);
    t.like((await api.get('/v1/retention/eligible')).body.items, [{ package_id: id, reason: 'expired', files: null }]);
    t.is((await remove('report.md')).status, 204, 'no file is kept longer than its package');
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
    t.is((await remove('raw/c.bin')).body.code, 'package_deleted');
    t.deepEqual((await api.get('/v1/retention/eligible')).body.items, []);
  });

  test('all of the files or none, and the message says which may not', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve(FILES, LONG);
    const ask = (paths: string[], more = {}) =>
      api.post(`/v1/packages/${id}/file-deletions`, { paths, reason: 'over', ...more });
    service.sleepDays(31);
    const refused = await ask(Object.keys(FILES));
    t.like(refused, { status: 409, body: { code: 'retention_active', paths: ['report.md'] } });
    t.is((await ask(['raw/a.log', 'none'])).body.code, 'file_not_found');
    t.like((await ask(['raw/a.log', 'raw/b.log'], { check: true })).body, { files: 2, bytes: 10 });
    t.is((await api.get(`/v1/packages/${id}`)).body.deleted_file_count, 0, 'to ask removes nothing');
    t.is((await ask([])).status, 422);
    const open = await api.create({ file_rules: RAW });
    await api.store(open, FILES);
    const unfinished = await api.post(`/v1/packages/${open}/file-deletions`, { paths: ['raw/a.log'], reason: 'over' });
    t.is(unfinished.body.code, 'package_not_finalized');
    t.is(
      (await api.call('DELETE', `/v1/packages/${open}/files/raw/a.log`)).status,
      204,
      'of an open one it is as before',
    );
    t.is((await api.call('GET', `/v1/packages/${open}/files/raw/a.log`)).status, 404);
    t.is((await api.get(`/v1/packages/${open}`)).body.deleted_file_count, 0);
  });

  test('a removed file proves nothing any more, to whoever cannot prove its bytes otherwise (invariant 7)', async (t) => {
    const { service, api } = await place(t);
    const [alone, twice] = ['seen once', 'seen twice'];
    const id = await api.preserve({ 'raw/a': alone, 'raw/b': twice, b: twice }, LONG);
    const asks = async (content: string) => {
      const open = await api.create();
      const { body } = await api.post(`/v1/packages/${open}/files`, {
        files: [{ path: 'x', digest: sha256(content), size: content.length }],
      });
      return body.files[0].state;
    };
    t.is(await asks(alone), 'stored');
    service.sleepDays(31);
    // What the packages above need, they prove to others too: they are gone first.
    await endOpen(service);
    const removed = await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/a', 'raw/b'], reason: 'over' });
    t.is(removed.status, 200);
    t.is(await asks(alone), 'missing');
    t.is(await asks(twice), 'stored', 'another file of the package has these bytes');
  });

  test('of a pack with a removed file, a whole-pack URL is for those alone who may read all of it', async (t) => {
    const { service, api } = await place(t);
    const all = { 'raw/a': randomBytes(900), b: randomBytes(900) };
    const id = await preservePacked(api, [all], { ...LONG, producer: 'alice' });
    const alice: Caller = { actor: 'alice', reads: { producers: ['alice'] }, scopes: SCOPES };
    const asked = async () => {
      const page = { after: null, limit: 10 };
      const { downloads } = await planDownloads(service.services, alice, id as PackageId, page);
      return downloads.map(({ size, entries }) => [size, entries.length]);
    };
    const [[whole, files] = []] = await asked();
    t.is(files, 2);
    service.sleepDays(31);
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/raw/a?reason=over`)).status, 204);
    t.deepEqual(await asked(), [[900, 1]]);
    t.true((whole as number) > 2_000);
  });

  test('a sweep frees what removed files alone needed, writes a pack anew for the rest, and nothing else', async (t) => {
    const { service, api } = await place(t);
    const rest = { 'report/1': randomBytes(1_000), 'report/2': randomBytes(1_000) };
    const raw = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`raw/${n}`, randomBytes(1_000)]));
    const loose = { 'raw/loose': 'loose and needed by nobody', 'raw/shared': 'loose and shared' };
    const packed = await preservePacked(api, [{ ...raw, ...rest }], LONG);
    const id = await api.preserve(loose, LONG);
    const other = await api.preserve({ x: 'loose and shared', y: raw['raw/5'] as Buffer });
    service.sleepDays(31);
    const before = (await keysOf(service)).length;
    t.like((await sweepOf(api, { apply: true })).report, { unneeded: { count: 0 }, rewritten: { count: 0 } });
    t.is(
      (await api.post(`/v1/packages/${packed}/file-deletions`, { paths: Object.keys(raw), reason: 'over' })).status,
      200,
    );
    t.is(
      (await api.post(`/v1/packages/${id}/file-deletions`, { paths: Object.keys(loose), reason: 'over' })).status,
      200,
    );

    const { report } = await sweepOf(api, { apply: true });
    t.like(report, { sparse: { count: 1 }, rewritten: { count: 1 } });
    service.sleepDays(1);
    await sweepOf(api, { apply: true });
    const left = await keysOf(service);
    t.is(left.length, before - 1, 'the loose one is gone, and there is another pack');
    t.false(left.some((key) => key.includes(digestOf(loose['raw/loose']).slice(7))));
    for (const [path, bytes] of Object.entries(rest)) await assertReads(t, service, packed, path, bytes);
    await assertReads(t, service, other, 'x', Buffer.from('loose and shared'));
    await assertReads(t, service, other, 'y', raw['raw/5'] as Buffer);
    t.is((await api.get(`/v1/packages/${packed}/files/raw/5`)).status, 410, 'although its bytes are there');
    let stored = 0;
    for await (const { size } of service.services.blobs.objects.list(OBJECTS_PREFIX)) stored += size;
    t.true(stored < 6_500, `${stored} bytes: three of eight kilobytes, in a tar`);
  });

  test('whoever registers the same bytes while they are removed and swept either has them or must send them', async (t) => {
    const { service, api } = await place(t);
    for (let round = 0; round < usualOrLong(2, 6); round += 1) {
      const contents = Array.from({ length: 12 }, (_, n) => `raced ${round} ${n}`);
      const files = Object.fromEntries(contents.map((content, n) => [`raw/${n}`, content]));
      const id = await api.preserve(files, LONG);
      service.sleepDays(31);
      const takers = await Promise.all(Array.from({ length: 3 }, () => api.create()));
      const remove = api.post(`/v1/packages/${id}/file-deletions`, { paths: Object.keys(files), reason: 'over' });
      const sweeps = Array.from({ length: 3 }, () => sweepOf(api, { apply: true }));
      const wanted = contents.map((content, n) => ({ path: `${n}`, digest: sha256(content), size: content.length }));
      const answers = await Promise.all(
        takers.map((taker) => api.post(`/v1/packages/${taker}/files`, { files: wanted })),
      );
      t.is((await remove).status, 200);
      await Promise.all(sweeps);
      t.true(answers.every(({ status }) => status === 200));
      await sweepOf(api, { apply: true });
      for (const [n, taker] of takers.entries()) {
        const said = answers[n]?.body.files as Array<{ path: string; state: string }>;
        for (const { path } of said.filter(({ state }) => state === 'stored'))
          await assertReads(t, service, taker, path, Buffer.from(contents[Number(path)] as string));
        await api.store(taker, Object.fromEntries(contents.map((content, at) => [`${at}`, content])));
        t.is((await api.post(`/v1/packages/${taker}/finalize`)).status, 200);
        for (const [at, content] of contents.entries())
          await assertReads(t, service, taker, `${at}`, Buffer.from(content));
      }
    }
  });

  test('a right that was seen a moment before the file is removed and swept counts for nothing lost', async (t) => {
    const { service, api } = await place(t);
    const content = 'seen, then removed';
    const id = await api.preserve({ 'raw/a': content }, LONG);
    service.sleepDays(31);
    const taker = (await api.create()) as PackageId;
    const { registry } = service.services;
    let removed = false;
    // Between the look for a right and the lock of the blob, which only PostgreSQL lets others use.
    const between: typeof registry.transaction = (work) =>
      registry.transaction((tables) =>
        work({
          ...tables,
          files: {
            ...tables.files,
            provableBy: async (...args) => {
              const seen = await tables.files.provableBy(...args);
              if (registry.kind === 'postgres' && !removed) {
                removed = true;
                t.is(seen.size, 1);
                t.is((await api.call('DELETE', `/v1/packages/${id}/files/raw/a?reason=over`)).status, 204);
                for (let sweep = 0; sweep < 2; sweep += 1) await sweepOf(api, { apply: true });
              }
              return seen;
            },
          },
        }),
      );
    const services = { ...service.services, registry: { ...registry, read: registry.read, transaction: between } };
    const caller: Caller = { actor: 'local', reads: { all: true }, scopes: SCOPES };
    const digest = digestOf(content);
    const input = { path: parseLogicalPath('a'), digest, size: content.length };
    const [file] = await registerFiles(services, caller, taker, [input]);
    const state = (await api.get(`/v1/packages/${taker}/files`)).body.items[0].state;
    if (registry.kind === 'postgres') t.is(state, 'missing', 'its bytes are gone: they must be sent');
    else t.true(file?.proven);
    await api.store(taker, { a: content });
    t.is((await api.post(`/v1/packages/${taker}/finalize`)).status, 200);
    await assertReads(t, service, taker, 'a', Buffer.from(content));
  });

  test('a hold, an extension and a removal that race: what was acknowledged first counts', async (t) => {
    const { service, api } = await place(t);
    for (let round = 0; round < 5; round += 1) {
      const id = await api.preserve(FILES, LONG);
      service.sleepDays(31);
      const [hold, removal] = await Promise.all([
        api.post(`/v1/packages/${id}/holds`, { reason: 'disputed' }),
        api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/a.log', 'raw/b.log'], reason: 'over' }),
      ]);
      t.is(hold.status, 201);
      const { events } = (await api.get(`/v1/packages/${id}/retention`)).body;
      const order = events.map(({ action }: { action: string }) => action).slice(2);
      t.deepEqual(order, removal.status === 200 ? ['files_deleted', 'held'] : ['held']);
      t.is((await api.get(`/v1/packages/${id}`)).body.deleted_file_count, removal.status === 200 ? 2 : 0);
    }
  });

  test('the list of what may be let go is paged in one order, packages and files', async (t) => {
    const { service, api } = await place(t);
    const made: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      made.push(await api.preserve({ 'raw/a': `p${n}`, b: `q${n}` }, LONG));
      made.push(await api.preserve({ a: `r${n}` }, { retention_class: 'transient' }));
    }
    service.sleepDays(40);
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await api.get(`/v1/retention/eligible?limit=3${cursor}`);
      seen.push(...body.items.map(({ package_id }: { package_id: string }) => package_id));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
    }
    t.deepEqual(seen.toSorted(), made.toSorted());
    t.deepEqual(seen, [...made.filter((_, n) => n % 2 === 1), ...made.filter((_, n) => n % 2 === 0)]);
  });
}

/** Packages that are not finalized fail: what they were registered with proves nothing then. */
async function endOpen({ services }: TestService): Promise<void> {
  await services.registry.transaction(async ({ packages }) => {
    const open = await packages.list({}, { all: true }, 100);
    for (const { id, status } of open) if (status !== 'finalized') await packages.update(id, { status: 'failed' });
  });
}

async function decisionsOf({ services }: TestService, id: string): Promise<Array<Record<string, unknown>>> {
  const keys: ObjectKey[] = [];
  for await (const { key } of services.blobs.objects.list(`packages/${id}/decisions/`)) keys.push(key);
  const open = async (key: ObjectKey) => text(await services.blobs.objects.open({ key, versionId: null }));
  return Promise.all(keys.toSorted().map(async (key) => JSON.parse(await open(key))));
}

async function assertReads(t: ExecutionContext, { url }: TestService, id: string, path: string, bytes: Buffer) {
  const answer = await fetch(`${url}/v1/packages/${id}/files/${path}?redirect=false`);
  t.is(answer.status, 200, path);
  t.is(digestOf(Buffer.from(await answer.arrayBuffer())), digestOf(bytes), path);
}

async function keysOf({ services }: TestService): Promise<ObjectKey[]> {
  const keys: ObjectKey[] = [];
  for await (const { key } of services.blobs.objects.list('objects/')) keys.push(key);
  return keys;
}
