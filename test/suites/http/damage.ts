import { randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { manifestKey, type ObjectKey } from '../../../src/blobs/key-layout.ts';
import { openLog } from '../../../src/log.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { preserveEncoded } from '../../support/encoded-upload.ts';
import { framedBlob, framedPack, type TestFrame } from '../../support/frames.ts';
import { preservePacked } from '../../support/packed-package.ts';
import type { StartTestService, TestService } from '../../support/service.ts';

interface Damaged {
  service: TestService;
  api: Api;
  /** Changes the object that holds this content. */
  spoil(content: string | Uint8Array, change: (bytes: Buffer) => Buffer | null): Promise<void>;
  spoilManifest(id: string, change: (bytes: Buffer) => Buffer): Promise<void>;
  /** What was logged as damage. */
  logged(): Array<Record<string, unknown>>;
}

const LARGE = 9_000_000;

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] as number) ^ 1;
  return changed;
}

/** Reads as curl does: what came, and whether it ended as it should. */
function download(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; announced: number; bytes: Buffer; whole: boolean }> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers }, (answer) => {
      const pieces: Buffer[] = [];
      const announced = Number(answer.headers['content-length']);
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('error', () => {});
      answer.on('close', () => {
        const bytes = Buffer.concat(pieces);
        resolve({ status: answer.statusCode ?? 0, announced, bytes, whole: answer.complete });
      });
    }).on('error', reject);
  });
}

/** The service never gives out, as if they were right, bytes that it can know to be wrong. */
export function damageSuite(startTestService: StartTestService): void {
  async function start(t: ExecutionContext): Promise<Damaged> {
    const lines: Array<Record<string, unknown>> = [];
    const log = openLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
    const service = await startTestService({ log });
    t.teardown(() => service.dispose());
    const { blobs, registry } = service.services;
    /** As a disk that fails does it, or somebody with access to storage. */
    const change = async (key: ObjectKey, to: (bytes: Buffer) => Buffer | null): Promise<void> => {
      const ref = { key, versionId: null };
      const bytes = to(await buffer(await blobs.objects.open(ref)));
      await blobs.objects.remove(ref);
      if (bytes !== null) await blobs.objects.write(key, Readable.from([bytes]));
    };
    return {
      service,
      api: apiOf(service.url),
      async spoil(content, to) {
        const location = await registry.read.blobs.locate(sha256(content) as never);
        await change(location?.key as ObjectKey, to);
      },
      spoilManifest: (id, to) => change(manifestKey(id as never), to),
      logged: () => lines.filter(({ msg }) => msg === 'stored bytes are damaged'),
    };
  }

  /** Each detection is logged, counted and audited, with what was asked for and both digests. */
  async function assertTold(t: ExecutionContext, { api, logged }: Damaged, expected: Array<Record<string, unknown>>) {
    const events = (await api.get('/v1/audit?action=object.damaged')).body.items;
    t.is(events.length, expected.length);
    t.is(logged().length, expected.length);
    for (const [index, { package_id, ...detail }] of expected.entries()) {
      // Whoever has a signed URL is nobody in particular.
      const actor = package_id === null ? 'artifact-store' : 'local';
      t.like(events[index], { action: 'object.damaged', actor, package_id, detail });
      t.like(logged()[index], { level: 50, package_id, ...detail });
    }
    const { body } = await api.get('/metrics');
    t.is(Number(/^artifact_store_damaged_total (\d+)$/m.exec(body)?.[1]), expected.length);
  }

  test.serial('a small file with a changed byte gets 500, and none of its bytes are sent', async (t) => {
    const damaged = await start(t);
    const { api } = damaged;
    const id = await api.preserve({ 'a/b.txt': 'what was stored' });
    t.is((await api.get(`/v1/packages/${id}/files/a/b.txt`)).body, 'what was stored');
    await damaged.spoil('what was stored', (bytes) => flipped(bytes, 3));
    const { status, body, headers } = await api.get(`/v1/packages/${id}/files/a/b.txt`);
    t.is(status, 500);
    const digests = { expected_digest: sha256('what was stored'), actual_digest: sha256('whau was stored') };
    t.like(body, { code: 'integrity_failure', path: 'a/b.txt', ...digests });
    t.deepEqual([headers.get('etag'), headers.get('repr-digest'), headers.get('accept-ranges')], [null, null, null]);
    await assertTold(t, damaged, [{ package_id: id, path: 'a/b.txt', ...digests }]);
  });

  for (const [what, change, actual] of [
    ['whose first byte changed', (bytes: Buffer) => flipped(bytes, 0), (bytes: Buffer) => sha256(flipped(bytes, 0))],
    [
      'whose last byte changed',
      (bytes: Buffer) => flipped(bytes, LARGE - 1),
      (bytes: Buffer) => sha256(flipped(bytes, LARGE - 1)),
    ],
    ['that lost its last byte', (bytes: Buffer) => bytes.subarray(1), () => null],
    ['that is gone', () => null, () => null],
  ] as const) {
    test.serial(`a large file ${what} never ends as if it were right`, async (t) => {
      const damaged = await start(t);
      const { api, service } = damaged;
      const bytes = randomBytes(LARGE);
      const id = await api.preserve({ 'big.bin': bytes });
      const url = `${service.url}/v1/packages/${id}/files/big.bin?redirect=false`;
      t.is(sha256((await download(url)).bytes), sha256(bytes));
      await damaged.spoil(bytes, change);
      const came = await download(url);
      if (came.status === 200) {
        t.is(came.announced, LARGE);
        t.false(came.whole, 'the connection broke off');
        t.true(came.bytes.length < LARGE);
      } else t.is(came.status, 500);
      t.is(actual(bytes) !== null, came.status === 200, 'a loss shows before anything is sent');
      const digests = { expected_digest: sha256(bytes), actual_digest: actual(bytes) };
      await assertTold(t, damaged, [{ package_id: id, path: 'big.bin', ...digests }]);
    });
  }

  test.serial('a changed member of a pack gets 500, and its neighbours are served', async (t) => {
    const damaged = await start(t);
    const { api } = damaged;
    const id = await preservePacked(api, [{ one: 'the first', two: 'the second', three: 'the third' }]);
    await damaged.spoil('the second', (bytes) => flipped(bytes, bytes.indexOf('the second')));
    t.is((await api.get(`/v1/packages/${id}/files/two`)).body.code, 'integrity_failure');
    t.is((await api.get(`/v1/packages/${id}/files/one`)).body, 'the first');
    t.is((await api.get(`/v1/packages/${id}/files/three`)).body, 'the third');
    await assertTold(t, damaged, [{ package_id: id, path: 'two', expected_digest: sha256('the second') }]);
  });

  test.serial(
    'a frame that changed: its files are answered with 500, whole and by range; the others are served',
    async (t) => {
      const damaged = await start(t);
      const { api, service } = damaged;
      const files = { one: 'the first '.repeat(50), two: 'the second '.repeat(50), three: 'the third '.repeat(50) };
      const pack = framedPack(Object.values(files), [1, 1, 1]);
      const id = await preserveEncoded(api, files, [pack]);
      const [first, second] = pack.frames as [TestFrame, TestFrame, TestFrame];
      await damaged.spoil(files.one, (bytes) => flipped(bytes, first.bytes.length + (second.bytes.length >> 1)));
      const ask = (path: string, range?: string) =>
        fetch(`${service.url}/v1/packages/${id}/files/${path}`, range === undefined ? {} : { headers: { range } });
      for (const range of [undefined, 'bytes=5-20']) {
        const answer = await ask('two', range);
        t.is(answer.status, 500);
        t.is(((await answer.json()) as { code: string }).code, 'integrity_failure');
        for (const name of ['etag', 'repr-digest', 'content-range']) t.is(answer.headers.get(name), null, name);
        for (const path of ['one', 'three'] as const) {
          const well = await ask(path, range);
          t.is(await well.text(), range === undefined ? files[path] : files[path].slice(5, 21));
        }
      }
      const [{ url, headers }] = (await api.post(`/v1/packages/${id}/downloads`, { paths: ['two'] })).body.objects;
      t.is((await download(url, headers)).status, 500);
      const expected_digest = sha256(files.two);
      await assertTold(t, damaged, [
        { package_id: id, path: 'two', expected_digest },
        { package_id: id, path: 'two', expected_digest },
        { package_id: null, path: null, expected_digest: pack.plan.digest },
      ]);
    },
  );

  test.serial('a large file with a frame that changed never ends as if it were right', async (t) => {
    const damaged = await start(t);
    const { api, service } = damaged;
    const content = Buffer.from(randomBytes(LARGE / 2).toString('hex'));
    const blob = framedBlob(content);
    const id = await preserveEncoded(api, { log: content }, [blob]);
    await damaged.spoil(content, (bytes) => flipped(bytes, bytes.length >> 1));
    const url = `${service.url}/v1/packages/${id}/files/log`;
    const whole = await download(url);
    t.like(whole, { status: 200, announced: LARGE, whole: false });
    t.true(content.subarray(0, whole.bytes.length).equals(whole.bytes), 'what came before it is right');
    const after = await download(url, { range: `bytes=${LARGE - 1_000_000}-` });
    t.like(after, { status: 206, whole: true });
    t.true(content.subarray(-1_000_000).equals(after.bytes), 'as is what stands behind it');
    const across = await download(url, { range: `bytes=1000-${LARGE - 1_000}` });
    t.like(across, { status: 206, whole: false });
    await assertTold(t, damaged, [
      { package_id: id, path: 'log', expected_digest: sha256(content) },
      { package_id: id, path: 'log', expected_digest: sha256(content) },
    ]);
  });

  for (const [what, files] of [
    ['small', { f: 'x' }],
    ['large', Object.fromEntries(Array.from({ length: 999 }, (_, n) => [`${'d'.repeat(250)}/`.repeat(4) + n, 'x']))],
  ] as const) {
    for (const [how, change] of [
      ['changed', (bytes: Buffer) => flipped(bytes, bytes.length - 10)],
      ['grown', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('\n')])],
      ['shortened', (bytes: Buffer) => bytes.subarray(0, -1)],
    ] as const) {
      test.serial(`a ${what} manifest that was ${how} is not served as the manifest`, async (t) => {
        const damaged = await start(t);
        const { api, service } = damaged;
        const id = await api.create();
        const entries = Object.entries(files).map(([path, text]) => ({
          path,
          digest: sha256(text),
          size: text.length,
        }));
        await api.store(id, { first: 'x' });
        t.is((await api.post(`/v1/packages/${id}/files`, { files: entries })).status, 200);
        const { manifest_digest } = (await api.post(`/v1/packages/${id}/finalize`)).body;
        const url = `${service.url}/v1/packages/${id}/manifest`;
        t.is(sha256((await download(url)).bytes), manifest_digest);
        await damaged.spoilManifest(id, change);
        const came = await download(url);
        if (what === 'small') t.is(came.status, 500);
        else t.false(came.whole);
        t.not(sha256(came.bytes), manifest_digest);
        await assertTold(t, damaged, [{ package_id: id, path: null, expected_digest: manifest_digest }]);
        // That list is the registry's.
        t.is((await api.get(`/v1/packages/${id}/manifest?format=sha256sum`)).status, 200);
      });
    }
  }

  test.serial('a signed URL returns what storage has, and never more bytes than announced', async (t) => {
    const damaged = await start(t);
    const { api, service } = damaged;
    const id = await api.preserve({ f: '0123456789' });
    const [{ url }] = (await api.post(`/v1/packages/${id}/downloads`)).body.objects;
    await damaged.spoil('0123456789', (bytes) => Buffer.concat([flipped(bytes, 0), Buffer.from('HTTP/1.1 200 OK')]));
    const came = await download(url);
    // A bucket announces what it has.
    if (url.startsWith(service.url)) t.deepEqual([came.announced, came.bytes.toString()], [10, '1123456789']);
    t.is(came.bytes.length, came.announced);
    await damaged.spoil('0123456789', (bytes) => bytes.subarray(0, 5));
    const short = await download(url);
    if (url.startsWith(service.url)) {
      t.is(short.status, 500);
      await assertTold(t, damaged, [{ package_id: null, path: null, expected_digest: sha256('0123456789') }]);
    }
  });

  test.serial('a range that is not the whole file cannot be checked, and a HEAD reads nothing', async (t) => {
    const damaged = await start(t);
    const { api, service } = damaged;
    const id = await api.preserve({ f: '0123456789' });
    await damaged.spoil('0123456789', (bytes) => flipped(bytes, 0));
    const ask = (headers: Record<string, string>, method = 'GET') =>
      fetch(`${service.url}/v1/packages/${id}/files/f`, { method, headers });
    t.is(await (await ask({ range: 'bytes=0-3' })).text(), '1123');
    t.is((await ask({}, 'HEAD')).status, 200);
    await assertTold(t, damaged, []);
    for (const range of ['bytes=0-', 'bytes=0-9', 'bytes=-10', 'bytes=0-99']) {
      const { status, headers } = await ask({ range });
      t.is(status, 500, `${range} is all of it`);
      t.is(headers.get('content-range'), null);
    }
    t.is((await ask({ range: 'bytes=0-3', 'if-range': '"x"' })).status, 500, 'so is this');
  });

  test.serial('a range that storage cuts short is cut off, and reported', async (t) => {
    const damaged = await start(t);
    const { api, service } = damaged;
    const content = randomBytes(LARGE);
    const id = await api.create();
    await api.store(id, { f: content });
    const { blobs } = service.services;
    const openObject = blobs.objects.open.bind(blobs.objects);
    // As when the object is cut off after it was opened.
    blobs.objects.open = async (ref, range) => {
      const bytes = await buffer(await openObject(ref, range));
      return Readable.from([bytes.subarray(0, bytes.length - 10)], { objectMode: false });
    };
    const { status, announced, bytes, whole } = await download(
      `${service.url}/v1/packages/${id}/files/f?redirect=false`,
      { range: 'bytes=5-5000004' },
    );
    blobs.objects.open = openObject;
    t.like({ status, announced, whole }, { status: 206, announced: 5_000_000, whole: false });
    t.true(bytes.length < 5_000_000);
    await assertTold(t, damaged, [{ package_id: id, path: 'f', expected_digest: sha256(content) }]);
  });
}
