import type { DownloadList, PlannedUpload } from '../../../src/api/types.ts';
import { digestOf } from '../../../src/core/digest.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import type { PackMember } from '../../../src/core/pack.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { planDownloads } from '../../../src/usecases/plan-downloads.ts';
import { registerFiles } from '../../../src/usecases/register-files.ts';
import type { Caller } from '../../../src/usecases/services.ts';
import type { Api } from '../../support/api.ts';
import { packOf, type TestPack } from '../../support/pack.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

export function packsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  /** A package with a file `path → text` for each. */
  async function packageWith(api: Api, files: Record<string, string>, fields = {}): Promise<string> {
    const id = await api.create(fields);
    await register(api, id, files);
    return id;
  }

  function register(api: Api, id: string, files: Record<string, string>) {
    const entries = Object.entries(files);
    return api.post(`/v1/packages/${id}/files`, {
      files: entries.map(([path, text]) => ({ path, digest: digestOf(text), size: Buffer.byteLength(text) })),
    });
  }

  const objectOf = ({ digest, size, members }: TestPack) => ({ digest, size, members });

  async function plan(api: Api, id: string, pack: TestPack): Promise<PlannedUpload> {
    const answer = await api.post(`/v1/packages/${id}/uploads`, { objects: [objectOf(pack)] });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return answer.body.uploads[0];
  }

  /** Plans, sends and commits. @returns what the commit answered */
  async function sendPack(api: Api, id: string, pack: TestPack) {
    const upload = await plan(api, id, pack);
    for (const part of upload.parts) {
      const sent = await api.send(part, pack.bytes.subarray(part.offset, part.offset + part.size));
      if (sent.status !== 200) throw new Error(`part: ${sent.status}`);
    }
    return api.post(`/v1/uploads/${upload.upload_id}/commit`);
  }

  async function states(api: Api, id: string): Promise<string[]> {
    return (await api.get(`/v1/packages/${id}/files`)).body.items.map((file: { state: string }) => file.state);
  }

  /** The files' texts, as `downloads` tells to get them. */
  async function download(list: Pick<DownloadList, 'objects'>): Promise<Record<string, string>> {
    const texts: Record<string, string> = {};
    for (const { url, headers, size, entries } of list.objects) {
      const answer = await fetch(url, { headers });
      const bytes = Buffer.from(await answer.arrayBuffer());
      if (bytes.length !== size) throw new Error(`${answer.status}: ${bytes.length} bytes of ${size}`);
      for (const entry of entries) {
        texts[entry.path] = bytes.subarray(entry.offset, entry.offset + entry.size).toString();
      }
    }
    return texts;
  }

  /** Texts that no other test has. */
  let count = 0;
  function texts(...names: string[]): Record<string, string> {
    return Object.fromEntries(names.map((name) => [name, `${name} ${++count} ${'x'.repeat(count * 37)}`]));
  }

  test('a pack stores all of its members; each file is read by range, all of them by one request', async (t) => {
    const { api } = t.context;
    const files = texts('a', 'b/c', 'b/d', 'e');
    const id = await packageWith(api, files);
    const pack = packOf(Object.values(files));
    const upload = await plan(api, id, pack);
    t.is(upload.state, 'open');
    t.is((await plan(api, id, pack)).upload_id, upload.upload_id, 'planned again it is the same upload');
    t.deepEqual(await states(api, id), ['missing', 'missing', 'missing', 'missing']);
    t.is((await sendPack(api, id, pack)).body.state, 'stored');
    t.is((await plan(api, id, pack)).state, 'stored');
    t.deepEqual(await states(api, id), ['stored', 'stored', 'stored', 'stored']);
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    for (const [path, text] of Object.entries(files)) {
      const read = await api.call('GET', `/v1/packages/${id}/files/${path}?redirect=true`, undefined);
      t.deepEqual([read.status, read.body], [200, text], 'a redirect could not give the range');
      const ranged = await api.call('GET', `/v1/packages/${id}/files/${path}`, undefined, { range: 'bytes=1-3' });
      t.deepEqual([ranged.status, ranged.body], [206, text.slice(1, 4)]);
    }
    const list: DownloadList = (await api.post(`/v1/packages/${id}/downloads`)).body;
    t.is(list.objects.length, 1, 'the pack is named once');
    t.is(list.objects[0]?.size, pack.size);
    t.deepEqual(await download(list), files);
    const [object] = list.objects;
    const span = `bytes=${object?.entries[1]?.offset}-${(object?.entries[1]?.offset ?? 0) + 2}`;
    const part = await fetch(object?.url as string, { headers: { ...object?.headers, range: span } });
    t.deepEqual([part.status, await part.text()], [206, (files['b/c'] as string).slice(0, 3)]);
  });

  test('blobs that are stored already need not be sent, and a pack is stored when all of its members are', async (t) => {
    const { api } = t.context;
    const files = texts('1', '2', '3');
    const first = await packageWith(api, files);
    t.is((await sendPack(api, first, packOf(Object.values(files)))).status, 200);
    const more = { ...files, ...texts('4') };
    const second = await api.create();
    const registered = (await register(api, second, more)).body.files as Array<{ path: string; state: string }>;
    t.deepEqual(
      registered.map(({ state }) => state),
      ['stored', 'stored', 'stored', 'missing'],
    );
    t.is((await plan(api, second, packOf([files['1'], files['3']] as string[]))).state, 'stored');
    t.is((await sendPack(api, second, packOf([files['2'], more['4']] as string[]))).body.state, 'stored');
    t.is((await api.post(`/v1/packages/${second}/finalize`)).status, 200);
    t.deepEqual(await download((await api.post(`/v1/packages/${second}/downloads`)).body), more);
  });

  const wrongBytes: Array<[string, (bytes: Buffer, second: PackMember) => void, string]> = [
    ['a member with other bytes', (bytes, { offset }) => bytes.write('?', offset), 'digest_mismatch'],
    ['a member under another name', (bytes, { offset }) => bytes.write('?', offset - 500), 'invalid_pack'],
    ['a member with other rights', (bytes, { offset }) => bytes.write('0000777', offset - 412), 'invalid_pack'],
    ['bytes between members', (bytes, { offset, size }) => bytes.write('?', offset + size), 'invalid_pack'],
  ];
  for (const [what, change, code] of wrongBytes) {
    test(`a pack with ${what} stores nothing and says which`, async (t) => {
      const { api } = t.context;
      const files = texts('x', 'y', 'z');
      const id = await packageWith(api, files);
      const right = packOf(Object.values(files));
      const bytes = Buffer.from(right.bytes);
      change(bytes, right.members[1] as PackMember);
      const answer = await sendPack(api, id, { ...right, bytes, digest: digestOf(bytes) });
      t.is(answer.status, 422);
      t.like(answer.body, { code, digest: right.members[1]?.digest, pack: digestOf(bytes) });
      t.deepEqual(await states(api, id), ['missing', 'missing', 'missing']);
      t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
      t.is((await sendPack(api, id, right)).body.state, 'stored', 'the right one is taken');
    });
  }

  const refused: Array<[string, (pack: TestPack) => { members: PackMember[]; size?: number }, string]> = [
    ['a member missing', ({ members }) => ({ members: members.slice(0, 2) }), 'invalid_pack'],
    ['a member twice', ({ members: [a, b] }) => ({ members: [a, b, b] as PackMember[] }), 'invalid_pack'],
    [
      'overlapping members',
      ({ members: [a, b, c] }) => ({ members: [a, { ...b, offset: 513 }, c] as PackMember[] }),
      'invalid_pack',
    ],
    [
      'a member that is no file of the package',
      ({ members: [a, b] }) => packOf(['a stranger', String(a?.digest), String(b?.digest)]),
      'object_not_registered',
    ],
    [
      'a malformed digest',
      ({ members }) => ({ members: [{ ...members[0], digest: 'md5:0' } as never] }),
      'invalid_digest',
    ],
  ];
  for (const [what, change, code] of refused) {
    test(`a plan of a pack with ${what} is refused`, async (t) => {
      const { api } = t.context;
      const files = texts('x', 'y', 'z');
      const id = await packageWith(api, files);
      const pack = packOf(Object.values(files));
      const object = { ...objectOf(pack), ...change(pack) };
      const { digest, size, members } = object;
      const answer = await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size, members }] });
      t.deepEqual([answer.status, answer.body.code], [422, code]);
      t.truthy(answer.body.digest);
    });
  }

  test('a blob appears once in a plan, whether loose or in packs', async (t) => {
    const { api } = t.context;
    const files = texts('x', 'y');
    const id = await packageWith(api, files);
    const [x, y] = Object.values(files) as [string, string];
    const loose = { digest: digestOf(x), size: x.length };
    for (const objects of [
      [loose, objectOf(packOf([x, y]))],
      [objectOf(packOf([x, y])), objectOf(packOf([y, x]))],
    ]) {
      const answer = await api.post(`/v1/packages/${id}/uploads`, { objects });
      t.deepEqual([answer.status, answer.body.code], [422, 'invalid_request']);
    }
  });

  test('the same digest with other members is another upload', async (t) => {
    const { api } = t.context;
    const files = texts('x', 'y');
    const id = await packageWith(api, files);
    const pack = packOf(Object.values(files));
    const upload = await plan(api, id, pack);
    const turned = packOf(Object.values(files).toReversed());
    const other = await plan(api, id, { ...turned, digest: pack.digest });
    t.not(other.upload_id, upload.upload_id);
    const commit = await api.post(`/v1/uploads/${upload.upload_id}/commit`);
    t.deepEqual([commit.status, commit.body.code], [409, 'upload_abandoned'], 'the first one has ended');
  });

  test('packs of one content, sent at once by several producers, keep one object', async (t) => {
    const { api } = t.context;
    const files = texts('p', 'q', 'r');
    const pack = packOf(Object.values(files));
    const ids = await Promise.all(['p1', 'p2', 'p3'].map((producer) => packageWith(api, files, { producer })));
    // Registered before any of them was stored: each has to send its own.
    const answers = await Promise.all(ids.map((id) => sendPack(api, id, pack)));
    t.deepEqual(
      answers.map(({ body }) => body.state),
      ['stored', 'stored', 'stored'],
    );
    const urls = new Set<string>();
    for (const id of ids) {
      t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
      const list: DownloadList = (await api.post(`/v1/packages/${id}/downloads`)).body;
      t.deepEqual(await download(list), files);
      for (const { url } of list.objects) urls.add(new URL(url).pathname);
    }
    t.is(urls.size, 1);
  });

  test('a caller that may not read all of a pack gets signatures only for its own ranges', async (t) => {
    const { api, service } = t.context;
    const files = texts('mine 1', 'mine 2', 'secret', 'mine 3');
    const id = await packageWith(api, files, { producer: 'alice' });
    t.is((await sendPack(api, id, packOf(Object.values(files)))).status, 200);
    // Mallory has bytes of its own that stand in Alice's pack as well, and sent them to prove it.
    const { secret, ...own } = files;
    const theirs = await packageWith(api, own, { producer: 'mallory-packs' });
    const mallory: Caller = { actor: 'mallory', reads: { producers: ['mallory-packs'] }, scopes: SCOPES };
    const request = async () => {
      const page = { after: null, limit: 100 };
      const { downloads } = await planDownloads(service.services, mallory, theirs as PackageId, page);
      return downloads.map(({ request, ...rest }) => ({ ...rest, ...request })) as never as DownloadList['objects'];
    };
    t.deepEqual(await download({ objects: await request() }), own);
    for (const { url, headers } of await request()) {
      t.truthy(headers.range);
      t.is((await fetch(url)).status, 403, 'without its Range');
      t.is((await fetch(url, { headers: { range: 'bytes=0-99999' } })).status, 403, 'with another');
    }
    const [alice] = (await api.post(`/v1/packages/${id}/downloads`)).body.objects;
    t.falsy(alice.headers.range, 'who may read all of it gets all of it');
    t.deepEqual(
      (
        await registerFiles(service.services, mallory, theirs as PackageId, [
          { path: 'guess' as never, digest: digestOf(secret as string), size: (secret as string).length },
        ])
      ).map(({ proven }) => proven),
      [false],
    );
  });
}
