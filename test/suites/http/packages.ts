import { apiOf, sha256 } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

export function packagesSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  test('a package goes from created to finalized, and its manifest lists every file', async (t) => {
    const { api } = t.context;
    const id = await api.create({ subject: 's', metadata: { run_id: 'r1', nested: { n: 1 } } });
    const created = (await api.get(`/v1/packages/${id}`)).body;
    t.like(created, { status: 'created', file_count: 0, manifest_digest: null, finalized_at: null });
    t.is(Date.parse(created.retention.expires_at) - Date.parse(created.created_at), 90 * 86_400_000);

    await api.store(id, { 'b.txt': 'two', 'a/ä ö.txt': 'one', empty: '' });
    t.like((await api.get(`/v1/packages/${id}`)).body, { status: 'uploading', file_count: 3, total_size: 6 });

    const finalized = await api.post(`/v1/packages/${id}/finalize`, { file_count: 3, total_size: 6 });
    t.is(finalized.status, 200);
    t.is(finalized.body.status, 'finalized');

    const response = await fetch(`${t.context.service.url}/v1/packages/${id}/manifest`);
    const text = await response.text();
    t.is(sha256(text), finalized.body.manifest_digest);
    t.is(response.headers.get('etag'), `"${finalized.body.manifest_digest}"`);
    const manifest = JSON.parse(text);
    t.is(manifest.schema, 'artifact-store/manifest/v1');
    t.deepEqual(
      manifest.files.map((file: { path: string; sha256: string; size: number }) => [
        file.path,
        `sha256:${file.sha256}`,
        file.size,
      ]),
      [
        ['a/ä ö.txt', sha256('one'), 3],
        ['b.txt', sha256('two'), 3],
        ['empty', sha256(''), 0],
      ],
    );
    t.like(manifest.package, {
      id,
      name: 'a run',
      producer: 'tests',
      subject: 's',
      metadata: { run_id: 'r1', nested: { n: 1 } },
    });

    const again = await api.post(`/v1/packages/${id}/finalize`);
    t.deepEqual(again.body, finalized.body);
    const sums = await api.get(`/v1/packages/${id}/manifest?format=sha256sum`);
    t.is(
      sums.body,
      `${sha256('one').slice(7)}  a/ä ö.txt\n${sha256('two').slice(7)}  b.txt\n${sha256('').slice(7)}  empty\n`,
    );
  });

  test('the same (producer, external_id) gives the same package, until it fails or is deleted', async (t) => {
    const { api } = t.context;
    const fields = { name: 'n', producer: 'ext', external_id: 'run-1' };
    const first = await api.post('/v1/packages', fields);
    t.is(first.status, 201);
    const second = await api.post('/v1/packages', { ...fields, name: 'other' });
    t.is(second.status, 200);
    t.is(second.body.id, first.body.id);
    t.is(second.body.name, 'n');
    const other = await api.post('/v1/packages', { ...fields, producer: 'ext2' });
    t.is(other.status, 201);

    t.is((await api.post(`/v1/packages/${first.body.id}/fail`, { reason: 'broken' })).body.status, 'failed');
    const third = await api.post('/v1/packages', fields);
    t.is(third.status, 201);
    t.not(third.body.id, first.body.id);
    t.is((await api.call('DELETE', `/v1/packages/${third.body.id}?reason=gone`)).status, 200);
    t.is((await api.post('/v1/packages', fields)).status, 201);
  });

  test('twenty creations of one external id at once make one package', async (t) => {
    const { api } = t.context;
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api.post('/v1/packages', { name: 'n', producer: 'race', external_id: 'x' })),
    );
    t.is(new Set(answers.map((answer) => answer.body.id)).size, 1);
    t.is(answers.filter((answer) => answer.status === 201).length, 1);
  });

  test('a page of packages with much metadata is shorter, and no package is left out', async (t) => {
    const { api } = t.context;
    const producer = 'much-metadata';
    const made: string[] = [];
    for (const size of [1, 200_000, 200_000, 1, 250_000, 250_000, 250_000, 250_000, 250_000, 1]) {
      made.push(await api.create({ producer, metadata: { a: 'x'.repeat(size) } }));
    }
    const seen: string[] = [];
    const pages: number[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await api.get(`/v1/packages?producer=${producer}&limit=9${cursor}`);
      seen.push(...body.items.map((item: { id: string }) => item.id));
      pages.push(body.items.length);
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    t.deepEqual(seen, made.toReversed());
    t.deepEqual(pages, [5, 5], 'a megabyte each');
    const filtered = await api.get(`/v1/packages?producer=${producer}&metadata.a=x&limit=2`);
    t.is(filtered.body.items.length, 2);
    t.not(filtered.body.next_cursor, null);
  });

  test('lists page by cursor, newest first, and filter by columns and metadata', async (t) => {
    const { api } = t.context;
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.push(
        await api.create({ producer: 'listed', subject: `s${n % 2}`, metadata: { n, group: { even: n % 2 === 0 } } }),
      );
    }
    const newest = ids.toReversed();
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const page = (await api.get(`/v1/packages?producer=listed&limit=2${cursor}`)).body;
      seen.push(...page.items.map((item: { id: string }) => item.id));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${page.next_cursor}`;
    }
    t.deepEqual(seen, newest);
    const idsOf = async (query: string) =>
      (await api.get(`/v1/packages?producer=listed&${query}`)).body.items.map((item: { id: string }) => item.id);
    t.deepEqual(
      await idsOf('subject=s1'),
      newest.filter((_, i) => (4 - i) % 2 === 1),
    );
    t.deepEqual(await idsOf('metadata.n=3'), [ids[3]]);
    t.deepEqual(await idsOf('metadata.group.even=true&metadata.n=2'), [ids[2]]);
    t.deepEqual(await idsOf('status=finalized'), []);
    const middle = (await api.get(`/v1/packages/${ids[2]}`)).body.created_at;
    const after = await idsOf(`created_after=${middle}`);
    t.true(after.every((id: string) => id > (ids[2] as string)));
    await api.call('DELETE', `/v1/packages/${ids[0]}?reason=x`);
    t.false((await idsOf('limit=100')).includes(ids[0]));
    t.deepEqual(await idsOf('status=deleted'), [ids[0]]);
  });

  test('a cursor of another list, or one that was altered, is refused', async (t) => {
    const { api } = t.context;
    await api.create({ producer: 'cursor' });
    await api.create({ producer: 'cursor' });
    const { next_cursor } = (await api.get('/v1/packages?producer=cursor&limit=1')).body;
    for (const url of [
      `/v1/audit?cursor=${next_cursor}`,
      `/v1/packages?cursor=${next_cursor.startsWith('x') ? 'y' : 'x'}${next_cursor.slice(1)}`,
      `/v1/packages?cursor=${next_cursor}A`,
      `/v1/packages?cursor=${next_cursor}!`,
      '/v1/packages?cursor=',
    ]) {
      const answer = await api.get(url);
      t.is(answer.status, 422, url);
      t.is(answer.body.code, 'invalid_cursor');
    }
  });

  test('deleting: never finalized at once, finalized only when eligible, and a tombstone stays', async (t) => {
    const { service, api } = t.context;
    const young = await api.preserve({ a: 'deletable' });
    const refused = await api.call('DELETE', `/v1/packages/${young}`, { reason: 'space' });
    t.is(refused.status, 409);
    t.is(refused.body.code, 'retention_active');
    t.truthy(Date.parse(refused.body.expires_at));
    t.is((await api.call('DELETE', `/v1/packages/${young}`)).status, 422, 'a reason is needed');

    const open = await api.create();
    t.is((await api.call('DELETE', `/v1/packages/${open}`, { reason: 'mistake' })).body.status, 'deleted');
    t.is((await api.call('DELETE', `/v1/packages/${open}`, { reason: 'again' })).body.reason, 'mistake');
    t.is((await api.post(`/v1/packages/${open}/finalize`)).body.code, 'package_deleted');
    t.is((await api.get(`/v1/packages/${open}/files`)).status, 410);

    const forEver = await api.preserve({ a: 'deletable' }, { retention_class: 'permanent-record' });
    t.is((await api.call('DELETE', `/v1/packages/${forEver}?reason=x`)).body.code, 'retention_active');
    const other = await startTestService();
    const api2 = apiOf(other.url);
    const old = await api2.preserve({ a: 'deletable' });
    other.sleepDays(91);
    t.is((await api2.get('/v1/retention/eligible')).body.items[0].package_id, old);
    t.is((await api2.call('DELETE', `/v1/packages/${old}`, { reason: 'time' })).body.status, 'deleted');
    t.is((await api2.get(`/v1/packages/${old}`)).body.status, 'deleted');
    t.is((await api2.get(`/v1/packages/${old}/files/a`)).status, 410);
    t.is((await api2.get(`/v1/packages/${old}/manifest`)).status, 410);
    await other.dispose();
    t.truthy(service);
  });

  test('finalizing refuses missing files, wrong counts and empty packages, and names what is missing', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'package_empty');
    const files = Array.from({ length: 150 }, (_, n) => ({
      path: `f${String(n).padStart(3, '0')}`,
      digest: sha256(`m${n}`),
      size: 4,
    }));
    await api.post(`/v1/packages/${id}/files`, { files });
    const missing = await api.post(`/v1/packages/${id}/finalize`);
    t.is(missing.status, 409);
    t.is(missing.body.code, 'files_missing');
    t.deepEqual(
      missing.body.paths,
      files.slice(0, 100).map((file) => file.path),
    );
    const other = await api.create();
    await api.store(other, { a: 'x' });
    const wrong = await api.post(`/v1/packages/${other}/finalize`, { file_count: 2 });
    t.is(wrong.body.code, 'count_mismatch');
    t.is((await api.get(`/v1/packages/${other}`)).body.status, 'uploading', 'nothing is sealed by a refusal');
  });

  test('finalizing twenty times at once gives one manifest and one audit event', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    await api.store(id, Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}`, `content ${n}`])));
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.post(`/v1/packages/${id}/finalize`)));
    t.true(
      answers.every((answer) => answer.status === 200),
      JSON.stringify(answers.find((answer) => answer.status !== 200)?.body),
    );
    t.is(new Set(answers.map((answer) => answer.body.manifest_digest)).size, 1);
    const events = (await api.get(`/v1/audit?package_id=${id}&action=package.finalized`)).body.items;
    t.is(events.length, 1);
  });

  test('nothing changes in a finalized package', async (t) => {
    const { api } = t.context;
    const id = await api.preserve({ a: 'sealed' });
    const file = { path: 'b', digest: sha256('b'), size: 1 };
    for (const answer of [
      await api.post(`/v1/packages/${id}/files`, { files: [file] }),
      await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest: sha256('sealed'), size: 6 }] }),
      await api.call('PUT', `/v1/packages/${id}/files/b`, 'b'),
      await api.call('DELETE', `/v1/packages/${id}/files/a`),
      await api.post(`/v1/packages/${id}/fail`, { reason: 'x' }),
    ]) {
      t.is(answer.status, 409);
      t.is(answer.body.code, 'package_sealed');
    }
  });

  test('the link is ready to post and carries no bytes', async (t) => {
    const { api, service } = t.context;
    const id = await api.preserve(
      { a: 'bytes that stay here' },
      { metadata: { run_id: 'r', result_status: 'pass', target_profile_ref: 'tp' } },
    );
    const { body } = await api.get(`/v1/packages/${id}/link?author=me&task_id=T1`);
    t.is(body.package_id, id);
    t.is(body.url, `${service.url}/v1/packages/${id}`);
    t.like(body.event, { event_type: 'artifact_link', author: 'me', task_id: 'T1' });
    t.like(body.event.detail, {
      producer: 'tests',
      package_id: id,
      run_id: 'r',
      target_profile_ref: 'tp',
      manifest_digest: body.manifest_digest,
      artifact_store_api_url: body.url,
    });
    t.false(JSON.stringify(body).includes('bytes that stay here'));
  });

  test('metadata keeps every member, and filters are bounded', async (t) => {
    const { api } = t.context;
    const sent = '{"name":"n","producer":"odd","metadata":{"__proto__":{"x":1},"constructor":"c"}}';
    const answer = await fetch(`${t.context.service.url}/v1/packages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: sent,
    });
    t.regex(await answer.text(), /"metadata":\{"__proto__":\{"x":1\},"constructor":"c"\}/);
    t.is((await api.get('/v1/packages?metadata.constructor=c')).body.items.length, 1);
    // JSON.parse would take the second name for the first: see src/core/parse-json.ts.
    for (const [metadata, kept] of [
      ['{"h":[],"\\\\":0}', '{"\\\\":0,"h":[]}'],
      ['{"h":1,"\\"":2}', '{"\\"":2,"h":1}'],
    ]) {
      const body = `{"name":"n","producer":"odd","metadata":${metadata}}`;
      const { id } = (await api.call('POST', '/v1/packages', body, { 'content-type': 'application/json' })).body;
      const shown = await fetch(`${t.context.service.url}/v1/packages/${id}`);
      t.true((await shown.text()).includes(`"metadata":${kept}`));
    }
    const many = Array.from({ length: 9 }, (_, n) => `metadata.k${n}=1`).join('&');
    t.is((await api.get(`/v1/packages?${many}`)).body.code, 'invalid_request');
    t.is((await api.get('/v1/packages?__proto__=1')).body.code, 'invalid_request');
    t.is((await api.get('/v1/packages?producer=%00')).body.code, 'invalid_request');
    const big = await api.call('POST', '/v1/packages', '{"name":"n","producer":"p","metadata":{"a":1e400}}', {
      'content-type': 'application/json',
    });
    t.is(big.body.code, 'invalid_metadata');
  });
}
