import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import type { ObjectKey } from '../../../src/blobs/key-layout.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { readArchive } from '../../../src/usecases/read-archive.ts';
import { SYSTEM } from '../../../src/usecases/services.ts';
import { apiOf, sha256 } from '../../support/api.ts';
import { ARCHIVED, archiveUrl, download, preserved } from '../../support/archives.ts';
import { metricsOf } from '../../support/metrics.ts';
import { packInto, preservePacked } from '../../support/packed-package.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { ADMIN_TOKEN, clientWith } from '../../support/tokens.ts';

const FORMATS = ['tar', 'tar.zst', 'zip'];

export function archivesSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  for (const format of ['tar', 'zip']) {
    test(`${format}: any range is that slice of the whole, and the answer says what it is`, async (t) => {
      const { api, service } = t.context;
      const id = await preserved(api, ARCHIVED, { name: 'Läufe/"4711"' });
      // Before anything is known of its members: a zip file's end needs the CRC-32 of all.
      const end = await download(archiveUrl(service.url, id, `format=${format}`), { range: 'bytes=-3000' });
      const url = archiveUrl(service.url, id, `format=${format}`);
      const whole = await download(url);
      t.is(Number(whole.headers['content-length']), whole.bytes.length);
      t.is(whole.headers['accept-ranges'], 'bytes');
      t.regex(whole.headers.etag as string, /^"archive-[0-9a-f]{64}"$/);
      t.is(
        whole.headers['content-disposition'],
        `attachment; filename="L_ufe__4711_.${format}"; filename*=UTF-8''L%C3%A4ufe__4711_.${format}`,
      );
      t.true(end.bytes.equals(whole.bytes.subarray(-3_000)), 'the end');
      const size = whole.bytes.length;
      await fc.assert(
        fc.asyncProperty(fc.nat(size - 1), fc.nat(200_000), async (from, length) => {
          const last = Math.min(from + length, size - 1);
          const came = await download(url, {
            range: `bytes=${from}-${last}`,
            'if-range': whole.headers.etag as string,
          });
          t.is(came.status, 206);
          t.is(came.headers['content-range'], `bytes ${from}-${last}/${size}`);
          t.true(came.bytes.equals(whole.bytes.subarray(from, last + 1)), `${from}-${last}`);
        }),
        { numRuns: 25 },
      );
      const { headers } = whole;
      t.is((await download(url, { 'if-none-match': headers.etag as string })).status, 304);
      t.is((await download(url, { 'if-match': '"another"' })).status, 412);
      t.is((await download(url, { range: 'bytes=0-1', 'if-range': '"another"' })).status, 200);
      t.is((await download(url, { range: `bytes=${size}-` })).status, 416);
      const head = await download(url, {}, 'HEAD');
      t.deepEqual([head.headers['content-length'], head.headers.etag], [String(size), headers.etag]);
      t.not((await download(`${url}&names=portable`)).headers.etag, headers.etag);
    });
  }

  test('tar.zst: the same tar, without length and ranges', async (t) => {
    const { api, service } = t.context;
    const id = await preserved(api);
    const tar = await download(archiveUrl(service.url, id));
    const url = archiveUrl(service.url, id, 'format=tar.zst');
    const came = await download(url, { range: 'bytes=0-1' });
    t.is(came.status, 200);
    t.deepEqual([came.headers['content-length'], came.headers['accept-ranges']], [undefined, 'none']);
    t.is(came.headers['content-type'], 'application/zstd');
    t.true(zstdDecompressSync(came.bytes).equals(tar.bytes));
    t.true(came.bytes.length < tar.bytes.length / 10);
    t.regex(came.headers.etag as string, /^W\/"/);
    t.is((await download(url, { 'if-none-match': came.headers.etag as string })).status, 304);
    t.is((await download(url, { 'if-match': came.headers.etag as string })).status, 412, 'a weak one is none here');
  });

  test('a glob chooses files; what chooses none, or is no glob, says so', async (t) => {
    const { api, service } = t.context;
    const id = await preserved(api);
    const some = await download(archiveUrl(service.url, id, `path=${encodeURIComponent('{a/**,tools/*.sh}')}`));
    const names = [...some.bytes.toString('latin1').matchAll(/([a-z/. ]+)\0+0000(?:644|755)\0/g)].map(
      ([, name]) => name,
    );
    t.deepEqual(names, ['a/b/c.txt', 'a/empty', 'a/same as c', 'tools/run.sh']);
    const none = await api.get(`/v1/packages/${id}/archive?path=*.xml`);
    t.is(none.status, 404);
    t.is(none.body.code, 'file_not_found');
    for (const query of ['path=', 'path=%5Ba', 'format=rar', 'names=short', 'format=zip&format=tar']) {
      t.is((await api.get(`/v1/packages/${id}/archive?${query}`)).status, 422, query);
    }
  });

  test('of a package that is not finalized, is deleted, or may not be read there is no archive', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url, ADMIN_TOKEN);
    const open = await api.create();
    await api.store(open, ARCHIVED);
    t.is((await api.get(`/v1/packages/${open}/archive`)).body.code, 'package_not_finalized');
    await api.call('DELETE', `/v1/packages/${open}?reason=r`);
    const deleted = await api.get(`/v1/packages/${open}/archive`);
    t.deepEqual([deleted.status, deleted.body.code], [410, 'package_deleted']);
    const id = await preserved(api, ARCHIVED, { producer: 'alice' });
    const reads = { scopes: ['packages:read' as const] };
    const [alice, bob] = [
      await clientWith(service.url, api, { ...reads, producers: ['alice'] }),
      await clientWith(service.url, api, { ...reads, producers: ['bob'] }),
    ];
    t.is((await alice.get(`/v1/packages/${id}/archive`)).status, 200);
    const refused = await bob.get(`/v1/packages/${id}/archive`);
    t.deepEqual([refused.status, refused.body.code], [404, 'package_not_found']);
    const writer = await clientWith(service.url, api, { scopes: ['packages:write'] });
    t.is((await writer.get(`/v1/packages/${id}/archive`)).status, 403);
  });

  test('names=portable gives names that Windows can hold, and the archive lists them', async (t) => {
    const { api, service } = t.context;
    const files = {
      'a:b.txt': Buffer.from('colon'),
      'artifact-store-notes.json': Buffer.from('its own'),
      'aux/x': Buffer.from('device'),
      README: Buffer.from('upper'),
      readme: Buffer.from('lower'),
    };
    const id = await preserved(api, files);
    const { bytes } = await download(archiveUrl(service.url, id, 'names=portable'));
    const members = membersOf(bytes);
    t.deepEqual(Object.keys(members), [
      'artifact-store-notes~2.json',
      'README',
      'a_b.txt',
      'artifact-store-notes.json',
      '_aux/x',
      'readme~2',
    ]);
    t.is(members['readme~2']?.toString(), 'lower');
    t.deepEqual(JSON.parse(String(members['artifact-store-notes~2.json'])), {
      schema: 'artifact-store/archive-notes/v1',
      package: id,
      removed: [],
      renamed: [
        { path: 'a:b.txt', name: 'a_b.txt' },
        { path: 'aux/x', name: '_aux/x' },
        { path: 'readme', name: 'readme~2' },
      ],
    });
    const plain = await preserved(api, { 'a.txt': Buffer.from('a') });
    const same = await download(archiveUrl(service.url, plain, 'names=portable'));
    t.true(same.bytes.equals((await download(archiveUrl(service.url, plain))).bytes), 'nothing to say, nothing in it');
  });

  test('a file that was removed from its package is not in the archive, which says so', async (t) => {
    const { api, service } = t.context;
    const files = { 'raw/a.log': Buffer.from('raw'), 'report.md': Buffer.from('summary') };
    const id = await preserved(api, files, { file_rules: [{ path: 'raw/**', days: 0 }] });
    const before = await download(archiveUrl(service.url, id));
    const removed = await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/a.log'], reason: 'over' });
    t.is(removed.status, 200);
    const after = await download(archiveUrl(service.url, id));
    t.not(after.headers.etag, before.headers.etag);
    const members = membersOf(after.bytes);
    t.deepEqual(Object.keys(members), ['artifact-store-notes.json', 'report.md']);
    t.like(JSON.parse(String(members['artifact-store-notes.json'])), { removed: ['raw/a.log'], renamed: [] });
    const gone = await api.get(`/v1/packages/${id}/archive?path=raw/**`);
    t.deepEqual([gone.status, gone.body.code], [410, 'file_deleted']);
    const resumed = await download(archiveUrl(service.url, id), {
      range: 'bytes=10-',
      'if-range': before.headers.etag as string,
    });
    t.is(resumed.status, 200, 'what it had begun is another archive now');
  });

  test('a file that is removed while the archive is read breaks it off: what follows would be another archive', async (t) => {
    const { api, service } = t.context;
    const files = { a: Buffer.from('a'), 'raw/b': Buffer.from('b'), c: Buffer.from('c') };
    const id = await preserved(api, files, { file_rules: [{ path: 'raw/**', days: 0 }] });
    const request = { kind: 'tar', names: 'exact', glob: undefined } as const;
    const archive = await readArchive(service.services, SYSTEM, id as PackageId, request);
    const { size, bytes } = await archive.prepare();
    await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/b'], reason: 'over' });
    const never = new AbortController().signal;
    for (const offset of [0, size - 1_500]) {
      const reading = Readable.from(bytes({ offset, size: size - offset }, never)).toArray();
      t.is((await t.throwsAsync<Error & { code: string }>(reading))?.code, 'file_deleted', `from ${offset}`);
    }
  });

  test.serial('thousands of small files in packs are read by a few requests to storage', async (t) => {
    const { api, service } = t.context;
    const many = (from: number) =>
      Object.fromEntries(
        Array.from({ length: 1_500 }, (_, nth) => [`f/${nth * 2 + from}`, `content ${nth * 2 + from}`]),
      );
    // Neighbours by name are in different packs.
    const id = await preservePacked(api, [many(0), many(1)]);
    const opened = async () =>
      (await metricsOf(api)).get('artifact_store_storage_seconds_count{operation="open"}') ?? Number.NaN;
    const before = await opened();
    const { bytes } = await download(archiveUrl(service.url, id, 'format=zip'));
    t.true(bytes.includes('content 2999'));
    t.true((await opened()) - before <= 12, String((await opened()) - before));
  });

  for (const format of FORMATS) {
    test(`${format}: of a damaged or missing file the archive breaks off, and it is reported`, async (t) => {
      const { api, service } = t.context;
      const { registry, blobs } = service.services;
      const small = Buffer.from(`${format} small`);
      const large = Buffer.alloc(2_000_000, `${format} large`);
      const damages = [
        ['a member of a pack', small, (bytes: Buffer) => flipped(bytes, bytes.indexOf(small))],
        ['a large file', large, (bytes: Buffer) => flipped(bytes, bytes.length - 1)],
        ['an object that is gone', large, () => null],
      ] as const;
      // More than is put together before the answer begins.
      const first = Buffer.alloc(1_500_000, `${format} first`);
      for (const [what, content, change] of damages) {
        const bad = Buffer.concat([content, Buffer.from(what)]);
        const last = `${format} last ${what}`;
        const id = await api.create();
        await api.store(id, { first, ...(content === small ? {} : { m: bad }), z: last });
        await packInto(api, id, {
          [content === small ? 'm' : 'n']: content === small ? bad : `${what} ${format}`,
          o: `o ${what}`,
        });
        await api.post(`/v1/packages/${id}/finalize`);
        const location = await registry.read.blobs.locate(sha256(bad) as never);
        const ref = { key: location?.key as ObjectKey, versionId: null };
        const changed = change(await buffer(await blobs.objects.open(ref)));
        await blobs.objects.remove(ref);
        if (changed !== null) await blobs.objects.write(ref.key, Readable.from([changed]));
        const came = await download(archiveUrl(service.url, id, `format=${format}`));
        t.is(came.status, 200, what);
        t.false(came.whole, what);
        if (format === 'tar.zst') t.throws(() => zstdDecompressSync(came.bytes), undefined, what);
        else t.true(came.bytes.length < Number(came.headers['content-length']), what);
        t.false(came.bytes.includes(last), what);
        const events = (await api.get(`/v1/audit?action=object.damaged&package_id=${id}`)).body.items;
        t.is(events.length, 1, what);
        t.is(events[0].detail.path, 'm', what);
      }
      t.true(((await metricsOf(api)).get('artifact_store_damaged_total') ?? 0) >= damages.length);
    });
  }

  function flipped(bytes: Buffer, at: number): Buffer {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    return changed;
  }
}

/** The members of a tar file without extended headers, by their names. */
function membersOf(tar: Buffer): Record<string, Buffer> {
  const members: Record<string, Buffer> = {};
  for (let at = 0; tar[at] !== 0; ) {
    const name = tar.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8);
    members[name] = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members;
}
