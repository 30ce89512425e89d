import { randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import type { DownloadList } from '../../../src/api/types.ts';
import { digestHex, digestToBytes, parseDigest } from '../../../src/core/digest.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { planDownloads } from '../../../src/usecases/plan-downloads.ts';
import type { Caller } from '../../../src/usecases/services.ts';
import { type Api, sha256 } from '../../support/api.ts';
import { type Files, packageOf, planEncoded, preserveEncoded, sendEncoded } from '../../support/encoded-upload.ts';
import { type FramedObject, framedBlob, framedPack } from '../../support/frames.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

type Download = DownloadList['objects'][number];

const MIB = 1024 ** 2;

let made = 0;
/** Text that compresses, and that no other test has. */
function text(size: number): string {
  made += 1;
  return `${process.pid} ${made} the same words again and again, `.repeat(Math.ceil(size / 20)).slice(0, size);
}

/** Content that compresses to about half, different at each place. */
function halfRandom(size: number): Buffer {
  return Buffer.from(
    randomBytes(Math.ceil(size / 2))
      .toString('hex')
      .slice(0, size),
  );
}

/** Objects that are stored in frames give their content, whatever is asked for. @param runs of the property */
export function framesSuite(startTestService: StartTestService, { runs }: { runs: number }): void {
  const test = testOfService(startTestService);

  async function read(
    { url }: TestService,
    id: string,
    path: string,
    headers: Record<string, string> = {},
    method = 'GET',
  ): Promise<{ status: number; bytes: Buffer; headers: Headers }> {
    const answer = await fetch(`${url}/v1/packages/${id}/files/${path}`, { method, headers, redirect: 'manual' });
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()), headers: answer.headers };
  }

  async function downloads(api: Api, id: string, body?: object): Promise<Download[]> {
    const answer = await api.post(`/v1/packages/${id}/downloads`, body);
    if (answer.status !== 200) throw new Error(`downloads: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body.objects;
  }

  /** The digests of the entries, out of answers that are the content. */
  async function contents(objects: readonly Download[]): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const { url, headers, size, entries } of objects) {
      const answer = await fetch(url, { headers });
      const bytes = Buffer.from(await answer.arrayBuffer());
      if (bytes.length !== size) throw new Error(`${answer.status}: ${bytes.length} bytes of ${size}`);
      for (const entry of entries) found[entry.path] = sha256(bytes.subarray(entry.offset, entry.offset + entry.size));
    }
    return found;
  }

  const digestsOf = (files: Files) =>
    Object.fromEntries(Object.entries(files).map(([path, content]) => [path, sha256(content)]));

  test('an encoded pack is planned, sent, committed and finalized; each member is read, whole and by ranges', async (t) => {
    const { api, service } = t.context;
    const files: Record<string, string> = {
      a: text(700),
      'b/c': text(513),
      'b/d': text(5_000),
      e: text(1),
      f: text(90_000),
    };
    const pack = framedPack(Object.values(files), [2, 1, 1]);
    t.is(pack.frames.length, 4);
    const id = await packageOf(api, files);
    const [planned] = (await planEncoded(api, id, pack.plan)).body.uploads;
    t.is(planned.parts.length, 1);
    t.like(planned.parts[0], { size: pack.bytes.length, digest: pack.plan.stored_digest });
    t.is((await planEncoded(api, id, pack.plan)).body.uploads[0].upload_id, planned.upload_id, 'again: the same one');
    t.like((await api.get(`/v1/uploads/${planned.upload_id}`)).body, {
      digest: pack.plan.digest,
      size: pack.content.length,
      encoding: 'zstd-seekable',
      stored_size: pack.bytes.length,
    });
    const { answer, uploadId } = await sendEncoded(api, id, pack);
    t.deepEqual([answer.status, answer.body.state, uploadId], [200, 'stored', planned.upload_id]);
    t.is((await planEncoded(api, id, pack.plan)).body.uploads[0].state, 'stored');
    const sealed = await api.post(`/v1/packages/${id}/finalize`);
    t.is(sealed.status, 200);
    for (const [path, content] of Object.entries(files)) {
      const whole = await read(service, id, path);
      t.deepEqual([whole.status, whole.bytes.toString()], [200, content]);
      t.is(whole.headers.get('etag'), `"${sha256(content)}"`);
      const raw = digestToBytes(parseDigest(sha256(content))).toString('base64');
      t.is(whole.headers.get('repr-digest'), `sha-256=:${raw}:`);
      t.is(whole.headers.get('content-encoding'), null);
      const head = await read(service, id, path, {}, 'HEAD');
      t.deepEqual(
        [head.status, head.headers.get('content-length'), head.headers.get('etag')],
        [200, String(content.length), `"${sha256(content)}"`],
      );
      const last = content.length - 1;
      for (const [range, from, to] of [
        ['bytes=0-0', 0, 0],
        [`bytes=${last}-`, last, last],
        ['bytes=-1', last, last],
        ['bytes=0-999999', 0, last],
        [`bytes=${last >> 1}-${last}`, last >> 1, last],
      ] as const) {
        const part = await read(service, id, path, { range });
        t.deepEqual([part.status, part.bytes.toString()], [206, content.slice(from, to + 1)], `${path} ${range}`);
        t.is(part.headers.get('content-range'), `bytes ${from}-${to}/${content.length}`);
      }
      t.is((await read(service, id, path, { range: `bytes=${content.length}-` })).status, 416);
    }
    const manifest = await api.get(`/v1/packages/${id}/manifest`);
    const listed = (typeof manifest.body === 'string' ? JSON.parse(manifest.body) : manifest.body).files;
    t.deepEqual(
      listed.map((file: { path: string; sha256: string; size: number }) => [file.path, file.sha256, file.size]),
      Object.entries(files).map(([path, content]) => [
        path,
        digestHex(parseDigest(sha256(content))),
        Buffer.byteLength(content),
      ]),
      'the manifest knows the files alone, not how they are stored',
    );
  });

  test('a large compressible file in frames: any range of it, also over the borders of frames', async (t) => {
    const { api, service } = t.context;
    const content = halfRandom(9 * MIB + 4_321);
    const blob = framedBlob(content);
    t.true(blob.bytes.length < content.length);
    const id = await preserveEncoded(api, { log: content }, [blob]);
    const whole = await read(service, id, 'log?redirect=true');
    t.deepEqual([whole.status, sha256(whole.bytes)], [200, sha256(content)], 'no redirect could give the content');
    t.is(whole.headers.get('etag'), `"${sha256(content)}"`);
    const end = content.length;
    for (const [from, to] of [
      [MIB - 1, MIB],
      [MIB - 10, 3 * MIB + 10],
      [MIB, 2 * MIB - 1],
      [0, end - 2],
      [1, end - 1],
      [9 * MIB - 5, end - 1],
    ] as const) {
      const part = await read(service, id, 'log', { range: `bytes=${from}-${to}` });
      t.is(part.status, 206);
      t.is(sha256(part.bytes), sha256(content.subarray(from, to + 1)), `${from}-${to}`);
    }
    const suffix = await read(service, id, 'log', { range: `bytes=-${5_000}` });
    t.is(sha256(suffix.bytes), sha256(content.subarray(-5_000)));
  });

  test('a client that decodes gets the stored object and its frames; others get the content by exact ranges', async (t) => {
    const { api, service } = t.context;
    const files: Files = { a: text(900), b: text(40_000), c: text(70) };
    const log = halfRandom(2 * MIB + 77);
    const pack = framedPack(Object.values(files), [1, 1, 1]);
    const blob = framedBlob(log);
    const id = await preserveEncoded(api, { ...files, log, empty: '' }, [pack, blob]);
    const decoded = await downloads(api, id, { encodings: ['zstd-seekable'] });
    for (const object of [pack, blob]) {
      const found = decoded.find(({ size }) => size === object.bytes.length);
      t.like(found, { encoding: 'zstd-seekable', frames: object.plan.frames });
      const answer = await fetch(found?.url as string, { headers: found?.headers ?? {} });
      t.is(sha256(Buffer.from(await answer.arrayBuffer())), object.plan.stored_digest);
    }
    const ofPack = decoded.find(({ size }) => size === pack.bytes.length) as Download;
    t.deepEqual(
      ofPack.entries.map(({ path, offset, size }) => [path, pack.content.subarray(offset, offset + size).toString()]),
      Object.entries(files),
      'offsets are those of the content',
    );
    const [first, second] = pack.frames as [{ bytes: Buffer }, { bytes: Buffer; logical: number }];
    const from = first.bytes.length;
    const range = `bytes=${from}-${from + second.bytes.length - 1}`;
    const one = await fetch(ofPack.url, { headers: { ...ofPack.headers, range } });
    t.is(one.status, 206);
    const content = zstdDecompressSync(Buffer.from(await one.arrayBuffer()));
    t.is(content.subarray(512, 512 + 40_000).toString(), files.b as string, 'one frame is one ranged read');

    const plain = await downloads(api, id);
    t.true(plain.every((object) => object.frames === undefined && object.encoding === undefined));
    t.deepEqual(await contents(plain), digestsOf({ ...files, log, empty: '' }));
    for (const { url, headers, entries } of plain.filter(({ size }) => size > 0)) {
      t.is(new URL(url).origin, new URL(service.url).origin, 'through the service');
      t.truthy(headers.range, entries[0]?.path);
      t.is((await fetch(url)).status, 403, 'without its Range');
      t.is((await fetch(url, { headers: { range: 'bytes=0-99999999' } })).status, 403, 'with another');
      t.is((await fetch(url, { method: 'HEAD', headers })).status, 403);
      t.is((await fetch(url.replace(/range=\d+-\d+/, 'range=0-99'), { headers })).status, 403, 'another range signed');
      t.is((await fetch(url.replace(/[?&]range=\d+-\d+/, ''), { headers })).status, 403, 'no range signed');
    }
    const some = await downloads(api, id, { paths: ['b'] });
    t.deepEqual(await contents(some), digestsOf({ b: files.b as string }));
    t.is(some[0]?.size, 40_000, 'nothing but what was asked for');
    const unknown = await api.post(`/v1/packages/${id}/downloads`, { encodings: ['gzip'] });
    t.deepEqual([unknown.status, unknown.body.code], [422, 'invalid_request']);
  });

  test('a caller that may not read all of an encoded pack gets only its own bytes, through the service', async (t) => {
    const { api, service } = t.context;
    const own: Files = { 'mine 1': text(300), 'mine 2': text(20_000) };
    const files: Files = { ...own, secret: text(400), 'secret 2': text(600) };
    const log = halfRandom(MIB + 5);
    // Frames: one that is Mallory's alone, one with both, one of secrets.
    const order = [own['mine 1'], own['mine 2'], files.secret, files['secret 2']] as string[];
    const pack = framedPack(order, [1, 2, 1]);
    const blob = framedBlob(log);
    const alice = await preserveEncoded(api, { ...files, log }, [pack, blob], { producer: 'alice-frames' });
    const theirs = await packageOf(api, own, { producer: 'mallory-frames' });
    const mallory: Caller = { actor: 'mallory', reads: { producers: ['mallory-frames'] }, scopes: SCOPES };
    for (const encodings of [['zstd-seekable'], []] as const) {
      const page = { after: null, limit: 100, encodings };
      const { downloads: planned } = await planDownloads(service.services, mallory, theirs as PackageId, page);
      t.true(planned.length > 0);
      for (const { request, size, frames, entries } of planned) {
        t.is(frames, null, 'no frame table');
        t.is(new URL(request?.url as string).origin, new URL(service.url).origin, 'no URL of storage');
        t.truthy(request?.headers.range);
        t.true(entries.every(({ path }) => path in own));
        const answer = await fetch(request?.url as string, { headers: request?.headers ?? {} });
        const bytes = Buffer.from(await answer.arrayBuffer());
        t.deepEqual([answer.status, bytes.length], [206, size]);
        for (const { path, offset, size: length } of entries)
          t.is(bytes.subarray(offset, offset + length).toString(), own[path] as string);
        for (const secret of [files.secret, files['secret 2']] as string[])
          t.false(bytes.includes(secret.slice(0, 30)), 'nobody else’s bytes');
        t.is((await fetch(request?.url as string, { headers: { range: 'bytes=0-100000' } })).status, 403);
        t.is((await fetch(request?.url as string)).status, 403);
      }
    }
    const all = await downloads(api, alice, { encodings: ['zstd-seekable'] });
    t.is(all.length, 2, 'who may read all of it gets each object once');
    t.true(all.every(({ frames, headers }) => frames !== undefined && !headers.range));
  });

  test('the same content in another form is another upload, and what is stored already need not be sent in any', async (t) => {
    const { api, service } = t.context;
    const files: Files = { x: text(5_000), y: text(3_000) };
    const id = await packageOf(api, files);
    // Registered before anything is stored: it has to send its own.
    const foreign = await packageOf(api, files, { producer: 'other form' });
    const encoded = framedPack(Object.values(files), [1, 1]);
    const other = framedPack(Object.values(files), [2]);
    const { digest, size } = encoded.plan;
    const plain = { digest, size, members: encoded.members };
    const uploads: string[] = [];
    for (const plan of [encoded.plan, other.plan, plain, encoded.plan]) {
      const [upload] = (await planEncoded(api, id, plan)).body.uploads;
      t.is(upload.state, 'open');
      uploads.push(upload.upload_id);
    }
    t.is(new Set(uploads).size, 4);
    const late = await api.post(`/v1/uploads/${uploads[0]}/commit`);
    t.deepEqual([late.status, late.body.code], [409, 'upload_abandoned']);
    t.is((await sendEncoded(api, id, encoded)).answer.body.state, 'stored');
    for (const plan of [other.plan, plain]) t.is((await planEncoded(api, id, plan)).body.uploads[0].state, 'stored');
    t.is((await sendEncoded(api, foreign, other)).answer.body.state, 'stored');
    t.is((await read(service, foreign, 'x')).bytes.toString(), files.x as string);
  });

  test('stored bytes of several parts, which arrive in any order', async (t) => {
    const { api, service } = t.context;
    const content = Buffer.concat([randomBytes(6 * MIB), Buffer.alloc(MIB, 'zeros, nearly ')]);
    const blob = framedBlob(content);
    const cut = 5 * MIB;
    const parts = [blob.bytes.subarray(0, cut), blob.bytes.subarray(cut)];
    const plan = { ...blob.plan, parts: parts.map((part) => ({ digest: sha256(part), size: part.length })) };
    const id = await packageOf(api, { big: content });
    const [upload] = (await planEncoded(api, id, plan)).body.uploads;
    t.is(upload.parts.length, 2);
    for (const part of upload.parts.toReversed()) {
      const sent = await api.send(part, parts[part.number - 1] as Buffer);
      t.is(sent.status, 200);
    }
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.state, 'stored');
    const part = await read(service, id, 'big', { range: `bytes=${cut - 100}-${cut + MIB}` });
    t.is(sha256(part.bytes), sha256(content.subarray(cut - 100, cut + MIB + 1)));
  });

  const blobs = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 1_500 }), {
    minLength: 1,
    maxLength: 9,
    selector: (bytes) => Buffer.from(bytes).toString('hex'),
  });
  const cuts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 9 });
  const ranges = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 3, maxLength: 3 });

  test('any members, any cut at their borders, any range: what is read is the slice of the content', async (t) => {
    t.timeout(300_000);
    const { api, service } = t.context;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(blobs, cuts, ranges, async (list, perFrame, wanted) => {
        run += 1;
        // The repeated bytes make it compressible, the mark makes it this run's own.
        const mark = `${service.url} ${run} `.repeat(20);
        const all = list.map((bytes, index) => Buffer.concat([Buffer.from(`${mark}${index} `), bytes]));
        const files = Object.fromEntries(all.map((bytes, index) => [`f${index}`, bytes]));
        const pack: FramedObject = framedPack(all, perFrame);
        const id = await preserveEncoded(api, files, [pack]);
        for (const [path, bytes] of Object.entries(files)) {
          const whole = await read(service, id, path);
          t.deepEqual([whole.status, whole.bytes.equals(bytes)], [200, true]);
          for (const [a, b] of wanted) {
            const from = a % bytes.length;
            const to = from + (b % (bytes.length - from));
            const part = await read(service, id, path, { range: `bytes=${from}-${to}` });
            t.deepEqual([part.status, part.bytes.equals(bytes.subarray(from, to + 1))], [206, true]);
          }
        }
        t.deepEqual(await contents(await downloads(api, id)), digestsOf(files));
      }),
      { numRuns: runs },
    );
  });
}
