import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { FixityRun, PartRequest, PlannedUploads } from '../../../src/api/types.ts';
import { manifestKey } from '../../../src/blobs/key-layout.ts';
import { StoreError } from '../../../src/core/errors.ts';
import type { PackageId } from '../../../src/core/ids.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { preserveEncoded } from '../../support/encoded-upload.ts';
import { fixityNow, fixityOf, flipBit, restore, spoil } from '../../support/fixity.ts';
import { framedBlob, framedPack } from '../../support/frames.ts';
import { preservePacked } from '../../support/packed-package.ts';
import { generator } from '../../support/random.ts';
import type { StartTestService, TestService, TestServiceOptions } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { sweepOf } from '../../support/sweep.ts';

const SEED = 15_5;

type Files = Record<string, string>;

/** A finalized package whose files lie in one object. */
interface Kept {
  id: string;
  files: Files;
  key: string;
}

/**
 * Every flip is found, and none is invented; what is wrong is never served, and is healed by whoever sends it again.
 * @param options.flips bits that are flipped in each kind of object
 */
export function fixitySuite(startTestService: StartTestService, { flips }: { flips: number }): void {
  const test = testOfService(startTestService);

  async function place(
    t: ExecutionContext,
    options: TestServiceOptions = {},
  ): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService(options);
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  for (const [kind, keep] of Object.entries(KINDS)) {
    test(`a bit that is flipped anywhere in ${kind} is found, wrong bytes are never served, and right ones come back`, async (t) => {
      const { service, api } = await place(t);
      const { id, files, key } = await keep(service, api);
      t.like((await fixityNow(api, { package_id: id })).report, { damaged: 0, missing: 0, unread: 0, newly: 0 });
      const random = generator(SEED);
      let size = 0;
      const good = await spoil(service, key, (bytes) => {
        size = bytes.length;
        return bytes;
      });
      for (let n = 0; n < flips; n += 1) {
        const bit = Math.floor(random() * size * 8);
        await restore(service, key, flipBit(Buffer.from(good), bit));
        const found = await fixityNow(api, { package_id: id });
        t.like(found.report, { damaged: 1, missing: 0, unread: 0, newly: 1 }, `bit ${bit}`);
        await assertNamed(t, api, id, files, found.damaged.items, bit);
        if (n % 8 === 0) t.like((await fixityNow(api)).report, { damaged: 1, newly: 0 }, `bit ${bit}: known`);

        await restore(service, key, good);
        const mended = await fixityNow(api);
        t.like(mended.report, { damaged: 0, missing: 0, unread: 0 }, `bit ${bit}: mended`);
        t.deepEqual(mended.damaged.items, []);
        for (const [path, text] of Object.entries(files)) t.is(await textOf(api, id, path), text);
      }
      const { items } = (await api.get('/v1/audit?action=object.damaged&limit=1000')).body;
      // Each read that was refused has one, too.
      const events = (items as Array<{ package_id: string; detail: object }>).filter(({ detail }) => 'kind' in detail);
      t.is(events.length, flips);
      t.true(
        events.every(({ package_id }) => package_id === id),
        'the package is flagged',
      );
    });
  }

  test('bytes that are missing, too few or too many are found too', async (t) => {
    const { service, api } = await place(t);
    for (const keep of Object.values(KINDS)) {
      const { id, files, key } = await keep(service, api);
      for (const change of [
        () => null,
        (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
        (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1),
        (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')]),
      ]) {
        const good = await spoil(service, key, change);
        const { report, damaged } = await fixityNow(api, { package_id: id });
        t.is(report.damaged + report.missing, 1, key);
        t.is(report.newly, 1, key);
        t.true(
          damaged.items.length > 0 &&
            damaged.items.every(({ package_id, copies }) => package_id === id && copies === 0),
        );
        await restore(service, key, good);
        t.like((await fixityNow(api)).report, { damaged: 0, missing: 0, unread: 0 });
        for (const [path, text] of Object.entries(files)) t.is(await textOf(api, id, path), text);
      }
    }
  });

  test('a frame table of the registry that is wrong in one bit is found', async (t) => {
    const { service, api } = await place(t);
    const { id, files } = await framedPackOf(service, api);
    const { blobs } = service.services.registry.read;
    const { frames } = blobs;
    const random = generator(SEED);
    for (let n = 0; n < flips; n += 1) {
      const where = random();
      blobs.frames = async (ids) => {
        const tables = await frames(ids);
        return new Map(
          [...tables].map(([of, table]) => [of, flipBit(Buffer.from(table), Math.floor(where * table.length * 8))]),
        );
      };
      const { report } = await fixityNow(api, { package_id: id });
      t.like(report, { damaged: 1, missing: 0 }, `flip ${n}`);
      blobs.frames = frames;
      t.like((await fixityNow(api)).report, { damaged: 0, missing: 0, unread: 0 });
    }
    for (const [path, text] of Object.entries(files)) t.is(await textOf(api, id, path), text);
  });

  test('storage that is flaky is no damage: whatever goes wrong on the way, nothing is quarantined', async (t) => {
    const { service, api } = await place(t);
    const kept = [];
    for (const keep of Object.values(KINDS)) kept.push(await keep(service, api));
    const { objects } = service.services.blobs;
    const { open, stat } = objects;
    const random = generator(SEED);
    let [failed, spoilt] = [0, 0];
    objects.open = async (ref, range) => {
      const how = random();
      if (how < 0.2) {
        failed += 1;
        throw new StoreError('unavailable', 'The storage failed (injected).');
      }
      const stream = await open(ref, range);
      if (how < 0.8) spoilt += 1;
      if (how < 0.4)
        return stream.pipe(
          new PassThrough().once('data', function (this: PassThrough) {
            this.destroy(new Error('cut (injected)'));
          }),
        );
      // Some gateways cut all answers at the same place.
      if (how < 0.5) return changed(stream, (bytes) => bytes.subarray(0, bytes.length >> 1));
      if (how < 0.6) return changed(stream, (bytes) => bytes.subarray(0, Math.floor(bytes.length * random())));
      if (how < 0.8) return changed(stream, (bytes) => flipBit(bytes, Math.floor(random() * bytes.length * 8)));
      return stream;
    };
    objects.stat = async (ref) => {
      if (random() < 0.2) throw new StoreError('unavailable', 'The storage failed (injected).');
      return stat(ref);
    };
    const total = { objects: 0, damaged: 0, missing: 0, newly: 0, unread: 0 };
    for (let n = 0; n < flips; n += 1) {
      const { report } = await fixityNow(api);
      for (const name of Object.keys(total) as Array<keyof typeof total>) total[name] += report[name];
    }
    t.like(total, { damaged: 0, missing: 0, newly: 0 });
    t.true(total.unread > flips && failed > flips && spoilt > flips, JSON.stringify({ ...total, failed, spoilt }));
    Object.assign(objects, { open, stat });
    t.like((await fixityNow(api)).report, { objects: total.objects / flips, damaged: 0, missing: 0, unread: 0 });
    for (const { id, files } of kept)
      for (const [path, text] of Object.entries(files)) t.is(await textOf(api, id, path), text);
    t.deepEqual((await api.get('/v1/audit?action=object.damaged')).body.items, []);
  });

  test('wrong bytes are missing to whoever registers them; a push of the same bytes heals every package', async (t) => {
    const { service, api } = await place(t);
    for (const keep of Object.values(KINDS)) {
      const { id, files, key } = await keep(service, api);
      const before = (await keysOf(service)).length;
      await spoil(service, key, (bytes) => flipBit(bytes, bytes.length * 4));
      const found = await fixityNow(api, { package_id: id });
      if (found.damaged.items.some(({ path }) => path === null)) continue;
      t.true(found.damaged.items.length > 0);
      const second = await api.create();
      await api.store(second, files);
      t.is((await api.post(`/v1/packages/${second}/finalize`)).status, 200);
      const after = await fixityNow(api, { package_id: id });
      t.is(after.report.newly, 0);
      t.true(after.damaged.items.every(({ copies }) => copies === 1));
      for (const pkg of [id, second])
        for (const [path, text] of Object.entries(files)) t.is(await textOf(api, pkg, path), text);
      t.true((await keysOf(service)).length > before, 'nothing was removed');
      t.true((await keysOf(service)).includes(key));
    }
  });

  test('a pack that is damaged around its members: those can be read, and are sent again by the next push', async (t) => {
    const { service, api } = await place(t);
    const files = filesOf(unique());
    const id = await preservePacked(api, [files]);
    const key = await keyOf(service, files.a ?? '');
    await spoil(service, key, (bytes) => flipBit(bytes, 8 * 100));
    const found = await fixityNow(api, { package_id: id });
    t.like(found.report, { damaged: 1, newly: 1 });
    t.deepEqual(
      found.damaged.items.map(({ path, bytes, copies }) => [path, bytes, copies]),
      Object.keys(files).map((path) => [path, 'right', 0]),
    );
    t.regex(found.damaged.items[0]?.seen ?? '', /^has stored bytes with the digest sha256:/);
    for (const [path, text] of Object.entries(files)) t.is(await textOf(api, id, path), text);
    // Its length is right, which says nothing.
    t.is((await sweepOf(api, { apply: true })).state, 'done');
    const second = await api.create();
    const list = Object.entries(files).map(([path, text]) => ({ path, digest: sha256(text), size: text.length }));
    const registered = (await api.post(`/v1/packages/${second}/files`, { files: list })).body.files;
    t.true(registered.every(({ state }: { state: string }) => state === 'missing'));
    await api.store(second, files);
    t.is((await api.post(`/v1/packages/${second}/finalize`)).status, 200);
    t.true((await fixityNow(api, { package_id: id })).damaged.items.every(({ copies }) => copies === 1));
  });

  test('objects whose turn has come are read by the service itself, the oldest first, and what is wrong is found', async (t) => {
    const { service, api } = await place(t, { fixityLook: 10 });
    const files = { a: 'first', b: 'second', c: 'third' };
    const id = await api.preserve(files);
    t.like(await fixityOf(api), {
      period_seconds: 2_592_000,
      bytes_per_second: 20_000_000,
      // Three files, the manifest and the attestation.
      seen: { objects: 5 },
      overdue: { objects: 0 },
    });
    await spoil(service, await keyOf(service, 'second'), (bytes) => flipBit(bytes, 3));
    service.sleepDays(10);
    await sleep(50);
    t.is((await fixityOf(api)).damaged.items.length, 0, 'nobody reads before its turn');
    service.sleepDays(13);
    const state = await until(async () => {
      const state = await fixityOf(api);
      return state.damaged.items.length > 0 && Date.parse(String(state.oldest_seen_at)) > Date.now() + 20 * DAY
        ? state
        : null;
    });
    t.like(state.damaged.items[0], { package_id: id, path: 'b', bytes: 'wrong', copies: 0, digest: sha256('second') });
    t.true(Date.parse(state.damaged.items[0]?.last_good_at ?? '') < Date.now() + DAY, 'when it was stored');
    t.like(state, { seen: { objects: 5 }, overdue: { objects: 0, bytes: 0 } });
    const { body } = await api.get('/metrics');
    t.is(metric(body, 'artifact_store_fixity_checked_objects_total{result="good"}'), 4);
    t.is(metric(body, 'artifact_store_fixity_checked_objects_total{result="damaged"}'), 1);
    t.is(metric(body, 'artifact_store_damaged_objects'), 1);
    const { checks } = (await api.get('/v1/diagnosis')).body;
    t.like(
      checks.find(({ name }: { name: string }) => name === 'damaged_objects'),
      { level: 'failure' },
    );
  });

  test('a reading that keeps to its rate ends with its service, and says nothing of what it has not read', async (t) => {
    const { service, api } = await place(t, { fixityLook: 10, env: { ARTIFACT_STORE_FIXITY_RATE: '1B/s' } });
    await api.preserve({ a: 'a thousand bytes or so. '.repeat(40) });
    const { objects } = service.services.blobs;
    const { open } = objects;
    const reading = Promise.withResolvers<void>();
    objects.open = async (ref, range) => {
      const stream = await open(ref, range);
      stream.once('end', () => reading.resolve());
      return stream;
    };
    service.sleepDays(29);
    await reading.promise;
    const { overdue, oldest_seen_at } = await fixityOf(api);
    t.is(overdue.objects, 0);
    t.true(Date.parse(String(oldest_seen_at)) < Date.now() + DAY);
    await service.stop();
    t.pass();
  });

  test('what was not read within the period is overdue, and doctor says so', async (t) => {
    const { service, api } = await place(t, { fixityLook: NEVER });
    await api.preserve({ a: 'old' });
    service.sleepDays(31);
    await api.preserve({ b: 'new' });
    t.like(await fixityOf(api), { seen: { objects: 3 }, overdue: { objects: 3 } });
    const { checks } = (await api.get('/v1/diagnosis')).body;
    t.like(
      checks.find(({ name }: { name: string }) => name === 'fixity'),
      { level: 'warning' },
    );
    await fixityNow(api);
    t.like(await fixityOf(api), { seen: { objects: 6 }, overdue: { objects: 0, bytes: 0 } });
  });

  test('any number of services share what is due: each object is taken once', async (t) => {
    const { service, api } = await place(t, { fixityLook: NEVER });
    await api.preserve(Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`f${n}`, `content ${n}`])));
    const { registry } = service.services;
    const now = await registry.read.now();
    const batches = await Promise.all(
      Array.from({ length: 12 }, () => registry.transaction(({ checks }) => checks.claim(now, 4, now + DAY))),
    );
    const taken = batches.flat().map(({ no }) => no);
    t.is(new Set(taken).size, taken.length);
    const rest = await registry.transaction(({ checks }) => checks.claim(now, 100, now + DAY));
    t.is(taken.length + rest.length, 32);
    t.is((await registry.transaction(({ checks }) => checks.claim(now, 100, now + DAY))).length, 0);
    t.is(
      (await registry.transaction(({ checks }) => checks.claim(now + DAY, 100, now + DAY))).length,
      32,
      'whoever took them died',
    );
  });

  test('what a read finds is read again by the service, and counts only then', async (t) => {
    const { service, api } = await place(t, { fixityLook: 10, env: { ARTIFACT_STORE_FIXITY_PERIOD: 'off' } });
    const id = await api.preserve({ a: 'spoilt', b: 'right' });
    const key = await keyOf(service, 'spoilt');
    await spoil(service, key, (bytes) => flipBit(bytes, 1));
    t.is((await api.get(`/v1/packages/${id}/files/a?redirect=false`)).body.code, 'integrity_failure');
    const state = await until(async () => {
      const state = await fixityOf(api);
      return state.damaged.items.length > 0 ? state : null;
    });
    t.like(state, { period_seconds: null, damaged: { items: [{ path: 'a', bytes: 'wrong' }] } });
    t.is(
      await service.services.registry.read.blobs.locate(sha256('spoilt') as never),
      null,
      'never read from there again',
    );
    t.is(await textOf(api, id, 'b'), 'right');
    const manifest = manifestKey(id as PackageId);
    await spoil(service, manifest, (bytes) => flipBit(bytes, 100));
    t.is((await api.get(`/v1/packages/${id}/manifest`)).body.code, 'integrity_failure');
    const both = await until(async () => {
      const { items } = (await fixityOf(api)).damaged;
      return items.length === 2 ? items : null;
    });
    t.true(both.some(({ path, package_id }) => path === null && package_id === id));
  });

  test('what nothing needs any more is not told as damaged: removed files, and objects that a sweep has taken', async (t) => {
    const { service, api } = await place(t);
    const rules = { file_rules: [{ path: 'raw/*', days: 3 }] };
    const packed = await preservePacked(api, [{ 'raw/a': 'no longer needed', summary: 'needed' }], rules);
    const loose = await api.preserve({ x: 'of a package that goes' }, { retention_class: 'transient' });
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${packed}/files/raw/a?reason=over`)).status, 204);
    const change = (word: string) => (bytes: Buffer) => flipBit(bytes, 8 * bytes.indexOf(word));
    await spoil(service, await keyOf(service, 'no longer needed'), change('no longer needed'));
    await spoil(service, await keyOf(service, 'of a package that goes'), change('of a package'));
    const found = await fixityNow(api);
    t.like(found.report, { damaged: 2, newly: 2 });
    t.deepEqual(
      found.damaged.items.map(({ package_id, path }) => ({ package_id, path })),
      [{ package_id: loose, path: 'x' }],
    );
    const raw = { digest: sha256('no longer needed'), size: 16 };
    t.like((await api.post('/v1/operations/repairs', { objects: [raw] })).body.uploads, [{ state: 'stored' }]);

    t.is((await api.call('DELETE', `/v1/packages/${loose}?reason=over`)).status, 200);
    await sweepOf(api, { apply: true, max_rewrite: 0 });
    service.sleepDays(2);
    await sweepOf(api, { apply: true, max_rewrite: 0 });
    t.is(await service.services.registry.read.damaged.count(10), 1, 'the pack alone');
  });

  test('an object that a sweep takes while it is read is neither missing nor damaged', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ x: 'swept while it is read' }, { retention_class: 'transient' });
    const key = await keyOf(service, 'swept while it is read');
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
    await sweepOf(api, { apply: true });
    service.sleepDays(2);
    const { objects } = service.services.blobs;
    const { open } = objects;
    let sweeps = 0;
    objects.open = async (ref, range) => {
      if (ref.key === key && sweeps++ === 0)
        t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 1 } });
      return open(ref, range);
    };
    t.like((await fixityNow(api)).report, { missing: 0, damaged: 0, newly: 0, unread: 0 });
    t.is(sweeps > 0, true);
    t.is(await service.services.registry.read.damaged.count(10), 0);
  });

  test('where another object has the bytes they are read from there, and nothing needs to be sent', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ a: 'in a pack too' });
    const key = await keyOf(service, 'in a pack too');
    const packed = await preservePacked(api, [{ x: 'beside', a: 'in a pack too' }]);
    await spoil(service, key, (bytes) => flipBit(bytes, 9));
    const { report, damaged } = await fixityNow(api);
    t.like(report, { damaged: 1, newly: 1 });
    t.deepEqual(
      damaged.items.map(({ package_id, copies }) => [package_id, copies]).toSorted(),
      [
        [id, 1],
        [packed, 1],
      ].toSorted(),
    );
    t.is(await textOf(api, id, 'a'), 'in a pack too');
    t.like((await fixityNow(api, { package_id: id })).report, { damaged: 0 });
  });

  test('a repair takes the bytes that are needed, whoever has them, and no others; it belongs to no package', async (t) => {
    const { service, api } = await place(t);
    for (const keep of Object.values(KINDS)) {
      const { id, files, key } = await keep(service, api);
      await spoil(service, key, (bytes) => flipBit(bytes, bytes.length * 4));
      const { damaged } = await fixityNow(api, { package_id: id });
      const wrong = new Set(damaged.items.map(({ digest }) => digest));
      const objects = [...Object.values(files), `nobody has lost this ${id}`].map((text) => ({
        digest: sha256(text),
        size: Buffer.byteLength(text),
      }));
      const { status, body } = await api.post('/v1/operations/repairs', { objects });
      t.is(status, 200);
      const open = (body as PlannedUploads).uploads.filter(({ state }) => state === 'open');
      const needed = objects.filter(({ digest }) => wrong.has(digest));
      t.deepEqual(
        open.map(({ digest }) => digest),
        needed.map(({ digest }) => digest),
      );
      const again = (await api.post('/v1/operations/repairs', { objects })).body as PlannedUploads;
      t.deepEqual(
        again.uploads.map(({ upload_id }) => upload_id),
        (body as PlannedUploads).uploads.map(({ upload_id }) => upload_id),
        'planned again it goes on',
      );
      for (const { upload_id, digest, parts } of open) {
        const text = Object.values(files).find((each) => sha256(each) === digest) ?? '';
        t.is((await api.get(`/v1/uploads/${upload_id}`)).body.package_id, null);
        t.is((await api.send(parts[0] as PartRequest, Buffer.from(text))).status, 200);
        t.like(await api.post(`/v1/uploads/${upload_id}/commit`), { status: 200, body: { state: 'stored' } });
      }
      if (open.length === 0) continue;
      for (const [path, text] of Object.entries(files)) t.is(await textOf(api, id, path), text);
      t.true((await fixityNow(api, { package_id: id })).damaged.items.every(({ copies }) => copies === 1));
      t.like((await api.post('/v1/operations/repairs', { objects })).body.uploads[0], {
        state: 'stored',
        upload_id: null,
      });
    }
    const { items } = (await api.get('/v1/operations/repairs')).body;
    t.true(items.length > 3);
    t.like(items[0], { state: 'committed', package_id: null });
  });

  test('a repair with other bytes is refused, one that is given up ends', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'was here' });
    await spoil(service, await keyOf(service, 'was here'), () => null);
    await fixityNow(api);
    const object = { digest: sha256('was here'), size: 8 };
    const plan = async () => (await api.post('/v1/operations/repairs', { objects: [object] })).body.uploads[0];
    const first = await plan();
    t.true((await api.send(first.parts[0], Buffer.from('was hore'))).status >= 400);
    t.is((await api.post(`/v1/uploads/${first.upload_id}/commit`)).body.code, 'upload_incomplete');
    t.is((await api.call('DELETE', `/v1/uploads/${first.upload_id}`)).status, 200);
    const second = await plan();
    t.not(second.upload_id, first.upload_id);
    service.sleepDays(9);
    t.is((await api.post(`/v1/uploads/${second.upload_id}/commit`)).status, 409, 'it has expired');
    t.is(
      (await api.post('/v1/operations/repairs', { objects: [{ ...object, size: 7 }] })).body.uploads[0].state,
      'stored',
    );
  });

  test('a damaged manifest is written again from the registry, byte for byte', async (t) => {
    const { service, api } = await place(t);
    const ids = [
      await api.preserve({ a: 'one' }),
      await api.preserve({ a: 'two' }),
      await api.preserve({ a: 'three' }),
    ];
    const read = async (id: string) => (await api.get(`/v1/packages/${id}/manifest`)).body;
    const before = await Promise.all(ids.map(read));
    const [first = '', second = ''] = ids.map((id) => manifestKey(id as PackageId) as string);
    // In the metadata of a file, which says the same of paths and digests.
    await spoil(service, first, (bytes) => Buffer.from(bytes.toString().replace('octet-stream', 'octet-streaM')));
    await spoil(service, second, () => null);
    const { report } = await fixityNow(api);
    t.like(report, { damaged: 1, missing: 1, newly: 2 });
    t.deepEqual((await api.post('/v1/operations/repairs/manifests')).body, { repaired: ids.slice(0, 2), kept: [] });
    t.deepEqual(await Promise.all(ids.map(read)), before);
    t.like((await fixityNow(api)).report, { damaged: 0, missing: 0, unread: 0 });
    t.deepEqual((await api.post('/v1/operations/repairs/manifests')).body, { repaired: [], kept: [] });
    const events = (await api.get('/v1/audit?action=object.repaired')).body.items;
    t.deepEqual(
      events.map(({ package_id }: { package_id: string }) => package_id),
      ids.slice(0, 2),
    );
  });

  test('a sample, a package, and what is refused', async (t) => {
    const { api } = t.context;
    const id = await api.preserve(Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, `sampled ${n}`])));
    const all = await fixityNow(api, { sample: 100 });
    t.true(all.report.objects >= 41);
    const some = await fixityNow(api, { sample: 10 });
    t.true(some.report.objects < all.report.objects);
    t.is((await fixityNow(api, { package_id: id })).report.objects, 42);
    t.like(await api.get('/v1/operations/fixity/fix_1'), { status: 404, body: { code: 'fixity_not_found' } });
    t.is(
      (await api.post('/v1/operations/fixity', { package_id: `pkg_${'0'.repeat(32)}` })).body.code,
      'package_not_found',
    );
    for (const body of [{ sample: 0 }, { sample: 101 }, { sampel: 1 }, { package_id: id, sample: 1 }])
      t.is((await api.post('/v1/operations/fixity', body)).status, 422, JSON.stringify(body));
    const runs = (await fixityOf(api)).runs;
    t.like(runs[0], { state: 'done', package_id: id, sample: null, asked_by: 'local', error: null });
    t.is(runs.length, 3);
  });
}

const DAY = 86_400_000;
const NEVER = 3_600_000;

const KINDS: Record<string, (service: TestService, api: Api) => Promise<Kept>> = {
  async 'a loose blob'(service, api) {
    const files = { a: `loose ${unique()} ${'lorem ipsum '.repeat(30)}` };
    const id = await api.preserve(files);
    return { id, files, key: await keyOf(service, files.a) };
  },
  async 'a pack'(service, api) {
    const files = filesOf(unique());
    const id = await preservePacked(api, [files]);
    return { id, files, key: await keyOf(service, files.a ?? '') };
  },
  async 'a blob in frames'(service, api) {
    const text = `framed ${unique()} ${'dolor sit amet '.repeat(200)}`;
    const content = Buffer.from(text);
    const id = await preserveEncoded(api, { a: text }, [framedBlob(content, 1_000)]);
    return { id, files: { a: text }, key: await keyOf(service, text) };
  },
  'a pack in frames': framedPackOf,
  async 'a manifest'(_service, api) {
    const files = { a: `of a manifest ${unique()}` };
    const id = await api.preserve(files);
    return { id, files, key: manifestKey(id as PackageId) };
  },
};

async function framedPackOf(service: TestService, api: Api): Promise<Kept> {
  const files = filesOf(unique());
  const id = await preserveEncoded(api, files, [framedPack(Object.values(files), [2, 2, 1])]);
  return { id, files, key: await keyOf(service, files.a ?? '') };
}

let count = 0;
function unique(): string {
  count += 1;
  return `nr ${count}`;
}

function filesOf(seed: string): Files {
  const sizes = { a: 3, b: 60, c: 40, d: 1, e: 25 };
  return Object.fromEntries(Object.entries(sizes).map(([path, times]) => [path, `${path} of ${seed} `.repeat(times)]));
}

/** What is wrong is named, and not served; what is not named is served. */
async function assertNamed(
  t: ExecutionContext,
  api: Api,
  id: string,
  files: Files,
  items: FixityRun['damaged']['items'],
  bit: number,
): Promise<void> {
  t.true(items.length > 0, `bit ${bit}`);
  for (const { package_id, copies } of items) t.deepEqual([package_id, copies], [id, 0]);
  const wrong = new Set(items.filter(({ bytes }) => bytes === 'wrong').map(({ path }) => path));
  for (const [path, text] of Object.entries(files)) {
    const { status, body } = await api.get(`/v1/packages/${id}/files/${path}?redirect=false`);
    if (wrong.has(path)) t.deepEqual([status, body.code], [500, 'integrity_failure'], `bit ${bit}, ${path}`);
    else t.deepEqual([status, body], [200, text], `bit ${bit}, ${path}`);
  }
  if (wrong.has(null)) t.is((await api.get(`/v1/packages/${id}/manifest`)).body.code, 'integrity_failure');
}

async function textOf(api: Api, id: string, path: string): Promise<string> {
  const { status, body } = await api.get(`/v1/packages/${id}/files/${path}?redirect=false`);
  return status === 200 ? body : `${status} ${JSON.stringify(body)}`;
}

async function keyOf({ services }: TestService, content: string): Promise<string> {
  return (await services.registry.read.blobs.locate(sha256(content) as never))?.key ?? 'nowhere';
}

async function keysOf({ services }: TestService): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of services.blobs.objects.list('objects/')) keys.push(key);
  return keys;
}

/** A stream of the same bytes, changed. */
function changed(stream: Readable, change: (bytes: Buffer) => Buffer): Readable {
  return Readable.from(
    (async function* () {
      for await (const chunk of stream) yield change(Buffer.from(chunk as Buffer));
    })(),
    { objectMode: false },
  );
}

function metric(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

async function until<Value>(look: () => Promise<Value | null>): Promise<Value> {
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    await sleep(10);
  }
}
