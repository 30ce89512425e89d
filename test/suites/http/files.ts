import { request } from 'node:http';
import { sha256 } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

export function filesSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  const file = (path: string, content = path, more: object = {}) => ({
    path,
    digest: sha256(content),
    size: Buffer.byteLength(content),
    ...more,
  });

  /** Sends the address exactly as it is: URL parsers resolve dots. */
  function putRaw(base: string, path: string): Promise<number> {
    const { hostname, port } = new URL(base);
    return new Promise((resolve, reject) => {
      const sending = request({ hostname, port, path, method: 'PUT' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      sending.on('error', reject);
      sending.end('x');
    });
  }

  test('registering reports what is missing, and repeating it is not an error', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const first = await api.post(`/v1/packages/${id}/files`, { files: [file('a'), file('empty', '')] });
    t.deepEqual(
      first.body.files.map((entry: { path: string; state: string }) => [entry.path, entry.state]),
      [
        ['a', 'missing'],
        ['empty', 'stored'],
      ],
    );
    const again = await api.post(`/v1/packages/${id}/files`, { files: [file('a'), file('empty', '')] });
    t.deepEqual(again.body, first.body);
    t.like((await api.get(`/v1/packages/${id}`)).body, { file_count: 2, total_size: 1 });
  });

  test('a path with another digest is refused, and nothing of its batch is registered, unless it may replace', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    await api.post(`/v1/packages/${id}/files`, { files: [file('a', 'one')] });
    const refused = await api.post(`/v1/packages/${id}/files`, { files: [file('b'), file('a', 'two!')] });
    t.is(refused.status, 409);
    t.like(refused.body, { code: 'duplicate_path', path: 'a' });
    t.is((await api.get(`/v1/packages/${id}/files`)).body.items.length, 1);
    const replaced = await api.post(`/v1/packages/${id}/files`, { files: [file('a', 'two!', { replace: true })] });
    t.is(replaced.status, 200);
    t.like((await api.get(`/v1/packages/${id}`)).body, { file_count: 1, total_size: 4 });
  });

  const CONFLICTS: Array<[string, string[], string[]]> = [
    ['a file where a folder is', ['a/b'], ['a']],
    ['a folder where a file is', ['a'], ['a/b/c']],
    ['two paths equal after NFC', ['é'], ['e\u0301']],
    ['folder and file equal after NFC', ['é'], ['e\u0301/x']],
  ];
  for (const [what, standing, coming] of CONFLICTS) {
    test(`${what}: refused against the package and inside a batch`, async (t) => {
      const { api } = t.context;
      const id = await api.create();
      await api.post(`/v1/packages/${id}/files`, { files: standing.map((path) => file(path, 'x')) });
      const later = await api.post(`/v1/packages/${id}/files`, {
        files: [file('fine'), ...coming.map((path) => file(path, 'y'))],
      });
      t.is(later.status, 409);
      t.like(later.body, { code: 'path_conflict', path: coming[0], other_path: standing[0] });
      t.is((await api.get(`/v1/packages/${id}/files`)).body.items.length, standing.length, 'nothing half registered');
      const other = await api.create();
      const together = await api.post(`/v1/packages/${other}/files`, {
        files: [...standing, ...coming].map((path) => file(path, 'z')),
      });
      t.is(together.body.code, 'path_conflict');
    });
  }

  test('names that only begin alike do not conflict', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const paths = ['a', 'a.b', 'a-b/c', 'a b', 'ab/c', 'a0', 'a\\b'];
    t.is((await api.post(`/v1/packages/${id}/files`, { files: paths.map((path) => file(path)) })).status, 200);
    const listed = (await api.get(`/v1/packages/${id}/files`)).body.items.map((entry: { path: string }) => entry.path);
    t.deepEqual(
      listed,
      paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
  });

  test('if batches with conflicting paths race, one wins', async (t) => {
    const { api } = t.context;
    for (const pair of [
      ['é', 'e\u0301'],
      ['d', 'd/e'],
    ]) {
      const id = await api.create();
      const answers = await Promise.all(
        pair.map((path) => api.post(`/v1/packages/${id}/files`, { files: [file(path as string)] })),
      );
      t.deepEqual(answers.map((answer) => answer.status).toSorted(), [200, 409]);
      t.is((await api.get(`/v1/packages/${id}`)).body.file_count, 1);
    }
  });

  const BAD_FILES: Array<[string, unknown, string]> = [
    ['an absolute path', { ...file('a'), path: '/a' }, 'invalid_path'],
    ['a path with ..', { ...file('a'), path: 'x/../a' }, 'invalid_path'],
    ['an empty path', { ...file('a'), path: '' }, 'invalid_path'],
    ['NUL in a path', { ...file('a'), path: 'a\u0000' }, 'invalid_path'],
    ['a control character', { ...file('a'), path: 'a\u001b[31m' }, 'invalid_path'],
    ['a lone surrogate', { ...file('a'), path: 'a\ud800' }, 'invalid_path'],
    ['a path that is too long', { ...file('a'), path: `${'a/'.repeat(600)}a` }, 'invalid_path'],
    ['a segment that is too long', { ...file('a'), path: 'a'.repeat(256) }, 'invalid_path'],
    ['an upper-case digest', { ...file('a'), digest: sha256('a').toUpperCase() }, 'invalid_digest'],
    ['a negative size', { ...file('a'), size: -1 }, 'invalid_request'],
    ['a fractional size', { ...file('a'), size: 1.5 }, 'invalid_request'],
    ['the digest of nothing with a size', { ...file('a'), digest: sha256('') }, 'size_mismatch'],
    ['no bytes with the digest of something', { ...file('a'), size: 0 }, 'size_mismatch'],
    ['an unknown field', { ...file('a'), colour: 'red' }, 'invalid_request'],
    ['a media type that is none', { ...file('a'), media_type: 'text\r\nx: y' }, 'invalid_request'],
    ['no digest', { path: 'a', size: 1 }, 'invalid_request'],
  ];
  for (const [what, bad, code] of BAD_FILES) {
    test(`registering ${what} is refused with ${code}, and nothing is registered`, async (t) => {
      const { api } = t.context;
      const id = await api.create();
      const answer = await api.post(`/v1/packages/${id}/files`, { files: [file('good'), bad] });
      t.is(answer.status, 422);
      t.is(answer.body.code, code);
      t.true(typeof answer.body.detail === 'string' && answer.body.request_id !== undefined);
      t.is((await api.get(`/v1/packages/${id}`)).body.file_count, 0);
    });
  }

  test('a body that is not UTF-8 is refused, not repaired', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const [before, after] = JSON.stringify({ files: [file('X')] }).split('"X"');
    const bytes = Buffer.concat([Buffer.from(`${before}"`), Buffer.from([0xff, 0xfe]), Buffer.from(`"${after}`)]);
    const answer = await api.call('POST', `/v1/packages/${id}/files`, bytes, { 'content-type': 'application/json' });
    t.is(answer.status, 400);
    t.is(answer.body.code, 'invalid_json');
  });

  test('PUT stores the bytes as they arrive and checks the digest, and GET returns them', async (t) => {
    const { api, service } = t.context;
    const id = await api.create();
    const url = `/v1/packages/${id}/files/${encodeURIComponent('dir with blank')}/${encodeURIComponent('ä?#%2F.txt')}`;
    const put = await api.call('PUT', url, 'content', { 'content-type': 'text/plain' });
    t.is(put.status, 201);
    t.like(put.body, {
      path: 'dir with blank/ä?#%2F.txt',
      digest: sha256('content'),
      size: 7,
      media_type: 'text/plain',
      state: 'stored',
    });
    const got = await fetch(service.url + url);
    t.is(await got.text(), 'content');
    t.is(got.headers.get('etag'), `"${sha256('content')}"`);
    t.is(got.headers.get('content-type'), 'text/plain');
    t.is(got.headers.get('x-content-type-options'), 'nosniff');
    t.regex(got.headers.get('content-disposition') ?? '', /^attachment; .*filename\*=UTF-8''%C3%A4%3F%23%252F\.txt$/);
    t.regex(got.headers.get('content-security-policy') ?? '', /sandbox/);
    t.is(
      got.headers.get('repr-digest'),
      `sha-256=:${Buffer.from(sha256('content').slice(7), 'hex').toString('base64')}:`,
    );

    const wrong = await api.call('PUT', `/v1/packages/${id}/files/w?digest=${sha256('other')}`, 'content');
    t.is(wrong.status, 422);
    t.like(wrong.body, { code: 'digest_mismatch', expected_digest: sha256('other'), actual_digest: sha256('content') });
    const header = await api.call('PUT', `/v1/packages/${id}/files/w`, 'content', {
      'repr-digest': `sha-256=:${Buffer.from(sha256('other').slice(7), 'hex').toString('base64')}:`,
    });
    t.is(header.body.code, 'digest_mismatch');
    t.is((await api.get(`/v1/packages/${id}/files/w`)).body.code, 'file_not_found');
    t.is((await api.call('PUT', url, 'else')).body.code, 'duplicate_path');
    t.is((await api.call('PUT', `${url}?replace=true`, 'else')).status, 201);
    t.is(
      (await api.call('PUT', `/v1/packages/${id}/files/${encodeURIComponent('dir with blank')}`, 'x')).body.code,
      'path_conflict',
    );
    t.is((await api.call('PUT', `/v1/packages/${id}/files/empty`, '')).body.state, 'stored');
    for (const path of ['a/../b', 'a/%2e%2e/b', 'a//b', '%2Fa', 'a/'])
      t.is(await putRaw(service.url, `/v1/packages/${id}/files/${path}`), 422, path);
    t.is((await api.call('PUT', `/v1/packages/${id}/files/%ff`, 'x')).body.code, 'invalid_path');
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
  });

  test('a PUT whose body is cut short leaves nothing', async (t) => {
    const { api, service } = t.context;
    const id = await api.create();
    await new Promise<void>((resolve) => {
      const sending = request(`${service.url}/v1/packages/${id}/files/cut`, {
        method: 'PUT',
        headers: { 'content-length': 1000 },
      });
      sending.on('error', () => resolve());
      sending.on('close', () => resolve());
      sending.write('only this', () => sending.destroy());
    });
    t.is((await api.get(`/v1/packages/${id}/files/cut`)).status, 404);
    t.is((await api.call('PUT', `/v1/packages/${id}/files/cut`, 'whole')).status, 201);
  });

  test('GET: ranges, conditions, HEAD', async (t) => {
    const { api, service } = t.context;
    const id = await api.preserve({ f: '0123456789', empty: '' });
    const get = (headers: Record<string, string>, method = 'GET', path = 'f') =>
      fetch(`${service.url}/v1/packages/${id}/files/${path}`, { method, headers });
    for (const [range, text, content] of [
      ['bytes=0-3', '0123', 'bytes 0-3/10'],
      ['bytes=8-', '89', 'bytes 8-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=5-100', '56789', 'bytes 5-9/10'],
      ['bytes=-100', '0123456789', 'bytes 0-9/10'],
    ]) {
      const answer = await get({ range: range as string });
      t.is(answer.status, 206);
      t.is(await answer.text(), text as string);
      t.is(answer.headers.get('content-range'), content as string);
    }
    for (const range of ['bytes=10-', 'bytes=-0']) {
      const answer = await get({ range });
      t.is(answer.status, 416, range);
      t.is(answer.headers.get('content-range'), 'bytes */10');
      t.is(((await answer.json()) as { code: string }).code, 'range_not_satisfiable');
    }
    for (const range of ['bytes=5-2', 'bytes=a-b', 'bytes=0-1,3-4', 'bytes=-']) {
      const answer = await get({ range });
      t.is(answer.status, 400, range);
      t.is(((await answer.json()) as { code: string }).code, 'bad_range');
    }
    t.is((await get({ range: 'lines=1-2' })).status, 200, 'a unit that is not known is ignored');
    t.is((await get({ range: 'bytes=0-1' }, 'HEAD')).status, 200, 'a range is for GET');
    const beyond = await get({ range: 'bytes=10-' });
    t.is(beyond.headers.get('etag'), null, 'a problem has no ETag of the file');
    const etag = `"${sha256('0123456789')}"`;
    t.is((await get({ 'if-none-match': etag })).status, 304);
    t.is((await get({ 'if-none-match': '"x", *' })).status, 304);
    t.is((await get({ 'if-match': '"x"' })).status, 412);
    t.is((await get({ range: 'bytes=0-1', 'if-range': '"x"' })).status, 200);
    t.is((await get({ range: 'bytes=0-1', 'if-range': etag })).status, 206);
    const head = await get({}, 'HEAD');
    t.is(head.status, 200);
    t.is(head.headers.get('content-length'), '10');
    t.is(await head.text(), '');
    const empty = await get({}, 'GET', 'empty');
    t.is(empty.status, 200);
    t.is(empty.headers.get('content-length'), '0');
  });

  test('a file whose bytes have not arrived is reported as missing', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    await api.post(`/v1/packages/${id}/files`, { files: [file('a', 'never sent')] });
    const answer = await api.get(`/v1/packages/${id}/files/a`);
    t.is(answer.status, 409);
    t.like(answer.body, { code: 'files_missing', path: 'a' });
  });

  test('files can be removed from a package that is not finalized', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    await api.store(id, { a: 'one', b: 'two!' });
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/a`)).status, 204);
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/a`)).body.code, 'file_not_found');
    t.like((await api.get(`/v1/packages/${id}`)).body, { file_count: 1, total_size: 4 });
  });

  test('file lists page at the cursor, in the order of bytes', async (t) => {
    const { api } = t.context;
    const paths = ['\u{10000}', '\uffff', 'b', 'a/1', 'a/2', 'Z'];
    const id = await api.preserve(Object.fromEntries(paths.map((path) => [path, path])));
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await api.get(`/v1/packages/${id}/files?limit=2${cursor}`);
      seen.push(...body.items.map((item: { path: string }) => item.path));
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    t.deepEqual(seen, ['Z', 'a/1', 'a/2', 'b', '\uffff', '\u{10000}']);
  });

  test('a fragment or an encoded body is not a whole file', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const fragment = await api.call('PUT', `/v1/packages/${id}/files/f`, '56789', { 'content-range': 'bytes 5-9/10' });
    t.is(fragment.status, 400);
    const encoded = await api.call('PUT', `/v1/packages/${id}/files/f`, 'x', { 'content-encoding': 'gzip' });
    t.is(encoded.status, 415);
    const json = await api.call('POST', '/v1/packages', 'x', {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    });
    t.is(json.status, 415);
    t.is((await api.get(`/v1/packages/${id}/files`)).body.items.length, 0);
  });

  test('registering the same bytes again keeps the fields that the request omits', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const said = { media_type: 'text/plain', mtime: '2026-01-02T03:04:05.123456789Z', executable: true };
    await api.post(`/v1/packages/${id}/files`, { files: [file('a', 'same', said)] });
    await api.post(`/v1/packages/${id}/files`, { files: [file('a', 'same')] });
    await api.call('PUT', `/v1/packages/${id}/files/a`, Buffer.from('same'));
    t.like((await api.get(`/v1/packages/${id}/files`)).body.items[0], { ...said, state: 'stored' });
  });

  test('mtimes keep nanoseconds and become UTC; times that cannot be stored are refused', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const put = (mtime: string) => api.post(`/v1/packages/${id}/files`, { files: [file('a', 'x', { mtime })] });
    t.is((await put('2026-01-01T00:30:00.123456789+01:00')).status, 200);
    t.is((await api.get(`/v1/packages/${id}/files`)).body.items[0].mtime, '2025-12-31T23:30:00.123456789Z');
    for (const mtime of [
      '9999-12-31T23:59:59-01:00',
      '0000-01-01T00:00:00+01:00',
      `2026-01-01T00:00:00.${'1'.repeat(10)}Z`,
      '2026-02-30T00:00:00Z',
      'now',
    ]) {
      t.is((await put(mtime)).status, 422, mtime);
    }
  });

  test('sizes that no storage takes are refused, and counts stay exact', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const huge = await api.post(`/v1/packages/${id}/files`, {
      files: [{ ...file('a'), size: Number.MAX_SAFE_INTEGER }],
    });
    t.is(huge.body.code, 'size_mismatch');
    const size = 5 * 1024 ** 4;
    const files = Array.from({ length: 900 }, (_, n) => ({ path: `f${n}`, digest: sha256(`f${n}`), size }));
    t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
    const more = files.map((entry) => ({ ...entry, path: `more-${entry.path}` }));
    t.is((await api.post(`/v1/packages/${id}/files`, { files: more })).body.code, 'size_mismatch');
    t.like((await api.get(`/v1/packages/${id}`)).body, { file_count: 900, total_size: 900 * size });
  });

  test('a thousand paths of five hundred folders cost little', async (t) => {
    const { api } = t.context;
    const id = await api.create();
    const files = Array.from({ length: 1_000 }, (_, n) => {
      const path = `${String(n).padStart(4, '0')}/${'d/'.repeat(500)}f`;
      return { path, digest: sha256('deep'), size: 4 };
    });
    t.is((await api.post(`/v1/packages/${id}/files`, { files })).status, 200);
    const inside = await api.post(`/v1/packages/${id}/files`, { files: [file(`0500/${'d/'.repeat(499)}d`)] });
    t.is(inside.body.code, 'path_conflict');
  });
}
