import { randomInt } from 'node:crypto';
import type { ExecutionContext, TestFn } from 'ava';
import type { Knex } from 'knex';
import { type Digest, digestOf, digestToBytes } from '../../src/core/digest.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { idFloor, newId, type PackageId, type UploadId } from '../../src/core/ids.ts';
import { comparePaths, type LogicalPath, parseLogicalPath } from '../../src/core/logical-path.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import { emptyReport } from '../../src/core/sweep-report.ts';
import type { FileRecord } from '../../src/registry/files.ts';
import type { Registry, Tables } from '../../src/registry/registry.ts';
import { untilSomebodyWaits } from '../support/lock-wait.ts';
import { addPackage, insertPackage } from '../support/package-row.ts';
import { packRow } from '../support/registries.ts';

export interface RegistrySuite {
  name: string;
  /** Two registries of one empty database, as two replicas have them, and one more connection to it. */
  open(t: ExecutionContext): Promise<[Registry, Registry, Knex]>;
}

const ALL = { all: true } as const;

/** What every registry must do alike, whatever its dialect and its database's collation. */
export function registrySuite(test: TestFn, { name, open }: RegistrySuite): void {
  function check(
    title: string,
    body: (t: ExecutionContext, one: Registry, two: Registry, db: Knex) => Promise<void>,
  ): void {
    test(`${name}: ${title}`, async (t) => {
      const [one, two, db] = await open(t);
      await one.transaction((tables) => tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES));
      await body(t, one, two, db);
    });
  }

  check('packages and their bytes are counted by status, uploads by state', async (t, one, _two, db) => {
    const none = { packages: 0, bytes: 0, stored_bytes: 0 };
    const empty = { created: none, uploading: none, finalized: none, deleted: none, failed: none };
    t.deepEqual(await one.read.packages.totals(), empty);
    t.deepEqual(await one.read.uploads.countUnended(), { open: 0, completing: 0, aborting: 0 });
    const ids: PackageId[] = [];
    for (let n = 0; n < 4; n += 1) ids.push(await addPackage(one));
    const [created, finalized, other, huge] = ids as [PackageId, PackageId, PackageId, PackageId];
    const files = ['1', '2', '3', '4', '5'].map((path) => fileOf(path));
    await one.transaction(async ({ packages, uploads }) => {
      await packages.changeFiles(created, 2, 7);
      for (const [id, bytes] of [
        [finalized, 100],
        [other, 23],
      ] as const) {
        await packages.changeFiles(id, 1, bytes);
        await packages.update(id, { status: 'finalized', stored_size: bytes * 2 });
      }
      // More than 32 bits, and of several as much as a number holds.
      await packages.changeFiles(huge, 1, 2 ** 52);
      await packages.update(huge, { status: 'deleted' });
      const planned = files.map((file) => uploadOf(created, file));
      await uploads.insert(planned);
      const [first, second, third, fourth] = planned.map(({ id }) => id) as [UploadId, UploadId, UploadId, UploadId];
      for (const id of [first, second]) await uploads.move(id, 'open', 'completing', { owner: 'o', lease_until: 1 });
      await uploads.move(first, 'completing', 'committed');
      await uploads.abortOpen(created, [third, fourth]);
      await uploads.move(fourth, 'aborting', 'aborted');
    });
    t.deepEqual(await one.read.packages.totals(), {
      ...empty,
      created: { packages: 1, bytes: 7, stored_bytes: 0 },
      finalized: { packages: 2, bytes: 123, stored_bytes: 246 },
      deleted: { packages: 1, bytes: 2 ** 52, stored_bytes: 0 },
    });
    t.deepEqual(await one.read.uploads.countUnended(), { open: 1, completing: 1, aborting: 1 });
    if (one.kind === 'postgres') return;
    const sql =
      'explain query plan select status, count(*), sum(total_size), sum(coalesce(stored_size, 0)) from packages group by status';
    t.regex(JSON.stringify(await db.raw(sql)), /COVERING INDEX packages_totals/, 'no row is read for it');
  });

  check('a sweep that acted and ended well is the last one, however many listed or failed since', async (t, one) => {
    t.is(await one.read.sweeps.lastDone(), null);
    const failure = { code: 'unavailable', message: 'Storage does not answer.' };
    for (const [n, apply, failed] of [
      [1, true, null],
      [2, true, null],
      [3, false, null],
      [4, true, failure],
    ] as const) {
      const sweep = { id: newId('swp', n * 1_000), asked_by: 'tests', apply, reconcile: false, started_at: n * 1_000 };
      await one.transaction(async ({ sweeps }) => {
        await sweeps.add({ ...sweep, report: emptyReport() });
        await sweeps.end(sweep.id, emptyReport(), failed, n * 1_000 + 500);
      });
    }
    t.is(await one.read.sweeps.lastDone(), 2_500);
  });

  check('files are listed and paged in the order of the bytes of their paths', async (t, one) => {
    const id = await addPackage(one);
    const paths = [
      'Z',
      'a',
      'B',
      'ä',
      'a-b',
      'a/b',
      'a b',
      'é',
      '\uffff',
      '\u{10000}',
      '_',
      'aa',
      'ß',
      'zz',
      '1',
      '10',
      '9',
    ];
    await one.transaction((tables) =>
      tables.files.put(
        id,
        paths.map((path) => fileOf(path)),
      ),
    );
    const seen: string[] = [];
    for (let after: string | null = null; ; after = seen.at(-1) ?? null) {
      const page: FileRecord[] = await one.read.files.page(id, after, 2);
      if (page.length === 0) break;
      seen.push(...page.map((file) => file.path));
    }
    t.deepEqual(seen, paths.toSorted(comparePaths));
    t.deepEqual(await one.read.files.missing(id, 100), seen as LogicalPath[]);
  });

  check('folders and names that normalize alike are found among names that only look alike', async (t, one) => {
    const id = await addPackage(one);
    const standing = ['a/b', 'ä', 'x.y/z', 'x'];
    await one.transaction((tables) =>
      tables.files.put(
        id,
        standing.map((path) => fileOf(path)),
      ),
    );
    const conflict = async (path: string) => (await one.read.files.findConflict(id, [path as LogicalPath]))?.other;
    t.is(await conflict('a'), parseLogicalPath('a/b'));
    t.is(await conflict('a/b/c'), parseLogicalPath('a/b'));
    t.is(await conflict('a\u0308'), parseLogicalPath('ä'));
    t.is(await conflict('x.y'), parseLogicalPath('x.y/z'));
    for (const free of ['A', 'a-b', 'a0', 'a b', 'Ä', 'a.b/c', 'X']) t.is(await conflict(free), undefined, free);
  });

  check('packages are listed by their ids, newest first, with bounds of time', async (t, one) => {
    const now = 1_700_000_000_000;
    const ids: PackageId[] = [];
    for (let n = 0; n < 5; n++) ids.push(await addPackage(one, { created_at: now + n }));
    const list = async (below?: string, atLeast?: string) =>
      (await one.read.packages.list({ below, atLeast }, ALL, 2)).map((pkg) => pkg.id);
    t.deepEqual(await list(), [ids[4], ids[3]]);
    t.deepEqual(await list(ids[3]), [ids[2], ids[1]]);
    t.deepEqual(await list(ids[1]), [ids[0]]);
    t.deepEqual(await list(undefined, idFloor('pkg', now + 4)), [ids[4]]);
    t.deepEqual(await list(idFloor('pkg', now + 1)), [ids[0]]);
  });

  check('filters compare exactly: case, accents and blanks count', async (t, one) => {
    const texts = ['a', 'A', 'ä', 'a\u0308', 'a ', ' a'];
    const ids = new Map<string, PackageId>();
    for (const text of texts) {
      ids.set(text, await addPackage(one, { producer: text, external_id: 'x', metadata: { [text]: text } }));
    }
    for (const text of texts) {
      const found = async (filter: object) => (await one.read.packages.list(filter, ALL, 10)).map((pkg) => pkg.id);
      t.deepEqual(await found({ producer: text }), [ids.get(text)], text);
      t.deepEqual(await found({ metadata: new Map([[text, text]]) }), [ids.get(text)], text);
      t.is((await one.read.packages.findOpen(text, 'x'))?.id, ids.get(text));
    }
  });

  check('eligible packages of one expiry are ordered by id, and page there', async (t, one) => {
    const ids: PackageId[] = [];
    for (let n = 0; n < 4; n++) ids.push(await addPackage(one, { created_at: 1_000 + n, expires_at: 5_000 }));
    const first = await one.read.packages.listEligible(5_000, null, ALL, 3);
    const rest = await one.read.packages.listEligible(5_000, { expires_at: 5_000, id: ids[2] as string }, ALL, 3);
    t.deepEqual(
      [...first, ...rest].map((pkg) => pkg.id),
      ids,
    );
    t.deepEqual(await one.read.packages.listEligible(4_999, null, ALL, 3), []);
  });

  check('values are read back as written: bytes, booleans, null, and numbers up to 2^53', async (t, one) => {
    const max = Number.MAX_SAFE_INTEGER;
    const id = await addPackage(one, { metadata: { n: 1, truth: true, nothing: null, text: '1' } });
    const digest = digestOf('large');
    const large = {
      ...fileOf('large'),
      digest,
      size: max,
      proven: true,
      executable: true,
      mtime: '2020-01-01T00:00:00Z',
    };
    const small = { ...fileOf('small'), digest, size: 0 };
    await one.transaction(async (tables) => {
      await tables.files.put(id, [large, small]);
      await tables.packages.changeFiles(id, 2, max);
      t.deepEqual(await tables.blobs.lock([{ digest, size: max }], 1), new Set());
      const object = { kind: 'pack' as const, version_id: null, digest, size: max, stored: null, created_at: 1 };
      await tables.blobs.addObject({ ...object, id: 'obj_1', key: 'k1' });
      await tables.blobs.addLocations('obj_1', [{ digest, offset: max - 1, size: max }]);
      t.deepEqual(await tables.blobs.lock([{ digest, size: max }], 1), new Set([digest]));
    });
    t.deepEqual(await one.read.files.page(id, null, 10), [large, small]);
    t.deepEqual([...(await one.read.files.atPaths(id, [large.path, 'nope' as LogicalPath])).values()], [large]);
    t.deepEqual(await one.read.files.totals(id), { file_count: 2, total_size: max });
    t.like(await one.read.packages.get(id), { file_count: 2, total_size: max, manifest_digest: null });
    const { path } = large;
    t.deepEqual(await one.read.files.locate(id, [path]), [
      { path, digest, size: max, object_id: 'obj_1', offset: max - 1 },
    ]);
    t.deepEqual(await one.read.files.provableBy(ALL, id, [{ digest, size: max }]), new Map([[digest, max]]));
    t.is((await one.read.files.provableBy(ALL, id, [{ digest, size: 0 }])).size, 0);
    t.deepEqual(await one.read.files.notMissing(id, [{ digest, size: 0 }]), new Map());
    t.deepEqual(await one.read.files.notMissing(id, [{ digest, size: max }]), new Map([[digest, 'proven']]));
    t.deepEqual(await one.read.files.notMissing(id, [{ digest, size: 1 }]), new Map([[digest, 'unknown']]));
    const strange = digestOf('strange');
    t.deepEqual(await one.read.files.notMissing(id, [{ digest: strange, size: 1 }]), new Map([[strange, 'unknown']]));
    const matching = async (key: string, value: string) =>
      (await one.read.packages.list({ metadata: new Map([[key, value]]) }, ALL, 10)).length;
    t.deepEqual([await matching('n', '1'), await matching('truth', 'true'), await matching('text', '1')], [1, 1, 1]);
    t.true(Math.abs((await one.read.now()) - (await one.read.now())) < 60_000);
  });

  check('a blob is lost when no live object holds it, and found with one of them', async (t, one) => {
    const id = await addPackage(one);
    const [a, b] = ['a', 'b'].map((path) => ({ ...fileOf(path), proven: true })) as [FileRecord, FileRecord];
    const blobs = [a, b].map(({ digest, size }) => ({ digest, size }));
    const add = (objectId: string, held: typeof blobs) => addObject(one, objectId, held);
    await one.transaction((tables) => tables.files.put(id, [a, b]));
    await add('obj_1', blobs);
    await add('obj_2', blobs.slice(0, 1));
    const seen = async () => ({
      lost: (await one.read.files.page(id, null, 9)).filter((file) => file.lost).map(({ path }) => path as string),
      missing: (await one.read.files.missing(id, 9)).map(String),
      provable: (await one.read.files.provableBy(ALL, id, blobs)).size,
      wanted: blobs.length - (await one.read.files.notMissing(id, blobs)).size,
      stored: (await one.transaction((tables) => tables.blobs.lock(blobs, 1))).size,
      from: (await one.read.files.locate(id, [a.path, b.path])).map(({ path, object_id }) => `${path} ${object_id}`),
      a: (await one.read.blobs.locate(a.digest))?.object_id,
      objects: (await one.read.files.objectsOfPage(id, null, 9)).toSorted(),
    });
    const whole = { lost: [], missing: [], provable: 2, wanted: 0, stored: 2 };
    const first = { from: ['a obj_1', 'b obj_1'], a: 'obj_1', objects: ['obj_1'] };
    t.deepEqual(await seen(), { ...whole, ...first });

    const mark = (...ids: string[]) => one.transaction((tables) => tables.blobs.markLost(ids, 1));
    t.deepEqual(await mark('obj_1', 'obj_9'), ['obj_1']);
    t.deepEqual(await mark('obj_1'), [], 'once');
    const without = { lost: ['b'], missing: ['b'], provable: 1, wanted: 1, stored: 1 };
    // What is lost is still to be read from where it was: it may be there again.
    const second = { from: ['b obj_1', 'a obj_2'], a: 'obj_2', objects: ['obj_1', 'obj_2'] };
    t.deepEqual(await seen(), { ...without, ...second });
    t.is(await one.read.blobs.countLost(5), 1);

    await mark('obj_2');
    t.like(await seen(), { lost: ['a', 'b'], missing: ['a', 'b'], provable: 0, wanted: 2, stored: 0, ...first });
    t.deepEqual(await one.transaction((tables) => tables.blobs.markFound(['obj_2', 'obj_3'], 1)), ['obj_2']);
    t.deepEqual(await seen(), { ...without, ...second });
    await add('obj_3', blobs.slice(1));
    t.like(await seen(), { ...whole, from: ['a obj_2', 'b obj_3'], objects: ['obj_2', 'obj_3'] });
    await one.transaction((tables) => tables.blobs.markFound(['obj_1'], 1));
    t.deepEqual(await seen(), { ...whole, ...first });
    t.is(await one.read.blobs.countLost(5), 0);
  });

  check('what is condemned is read last, and lives again for whoever needs it', async (t, one, _two, db) => {
    const [a, b] = ['a', 'b'].map((text) => ({ digest: digestOf(text), size: 1 })) as [Blob, Blob];
    await addObject(one, 'obj_1', [a, b]);
    await addObject(one, 'obj_2', [a]);
    const condemn = () => db('objects').where({ id: 'obj_1' }).update({ state: 'condemned', state_since: 5 });
    const state = async () => (await db('objects').where({ id: 'obj_1' }).first('state', 'state_since')) as unknown;
    const [condemned, revived] = [
      { state: 'condemned', state_since: 5 },
      { state: 'live', state_since: 7 },
    ];
    await condemn();
    t.like(await one.read.blobs.locate(a.digest), { object_id: 'obj_2', state: 'live' });
    t.like(await one.read.blobs.locate(b.digest), { object_id: 'obj_1', state: 'condemned' });
    t.is((await one.read.blobs.totals()).objects, 2, 'its bytes are there');
    for (const need of ['lock', 'retain'] as const) {
      const held = async (blob: Blob) => [...(await one.transaction((tables) => tables.blobs[need]([blob], 7)))];
      await condemn();
      t.deepEqual(await held(a), [a.digest]);
      t.deepEqual(await state(), condemned, `${need}: another one is live`);
      t.deepEqual(await held(b), [b.digest]);
      t.deepEqual(await state(), revived, need);
    }
    await condemn();
    t.deepEqual(
      await one.transaction((tables) => tables.blobs.markLost(['obj_1'], 6)),
      ['obj_1'],
      'it may be lost as well',
    );
    t.deepEqual(await state(), { state: 'lost', state_since: 6 });
  });

  check('what is being removed, is gone or is quarantined holds nothing', async (t, one, _two, db) => {
    const [a, b] = ['a', 'b'].map((text) => ({ digest: digestOf(text), size: 1 })) as [Blob, Blob];
    await addObject(one, 'obj_1', [a, b]);
    await addObject(one, 'obj_2', [b]);
    const from = async (blob: Blob) => (await one.read.blobs.locate(blob.digest))?.object_id ?? null;
    for (const state of ['removing', 'gone']) {
      await db('objects').where({ id: 'obj_1' }).update({ state });
      t.deepEqual([await from(a), await from(b)], [null, 'obj_2'], state);
      t.deepEqual(await one.transaction((tables) => tables.blobs.markLost(['obj_1'], 1)), [], 'it is not lost');
      t.deepEqual(await one.transaction((tables) => tables.blobs.markFound(['obj_1'], 1)), [], 'nor found');
      t.deepEqual(await one.read.blobs.whollyReadable({ producers: [] }, PACKAGE, ['obj_1']), new Set());
    }
    // One bad member says nothing of the others.
    await db('objects').where({ id: 'obj_1' }).update({ state: 'live' });
    await db('blobs')
      .where({ digest: digestToBytes(a.digest) })
      .update({ quarantined_at: 1 });
    t.deepEqual([await from(a), await from(b)], [null, 'obj_1']);
    await addObject(one, 'obj_3', [a]);
    t.is(await from(a), 'obj_3');
    const [second] = await db('blob_locations')
      .join('objects', 'no', 'object_no')
      .where({ id: 'obj_3' })
      .select('object_no');
    await db('blob_locations').where(second).update({ quarantined_at: 1 });
    t.is(await from(a), null);
  });

  check('bytes that are being condemned are kept for whoever needs them first', async (t, one, _two, db) => {
    const blob = { digest: digestOf('a'), size: 1 };
    await addObject(one, 'obj_1', [blob]);
    const condemning = await db.transaction();
    if (one.kind === 'postgres') await condemning('blobs').select('no').forUpdate();
    await condemning('objects').update({ state: 'condemned' });
    const retained = one.transaction((tables) => tables.blobs.retain([blob], 1));
    // It waits for the lock; did it not, it would end before.
    if (one.kind === 'postgres') await Promise.race([retained, untilSomebodyWaits(db)]);
    await condemning.commit();
    t.deepEqual(await retained, new Set([blob.digest]));
    t.like(await one.read.blobs.locate(blob.digest), { state: 'live' });
  });

  check(
    'an object that is found lost while its blob is stored anew takes nothing from the new one',
    async (t, one, two) => {
      for (let round = 0; round < 10; round++) {
        const digest = digestOf(`lost in round ${round}`);
        const blob = { digest, size: 1 };
        const add = (registry: Registry, id: string) =>
          registry.transaction(async (tables) => {
            if ((await tables.blobs.lock([blob], 1)).has(digest)) return;
            const object = { kind: 'blob' as const, version_id: null, digest, size: 1, stored: null, created_at: 1 };
            await tables.blobs.addObject({ ...object, id, key: id });
            await tables.blobs.addLocations(id, [{ ...blob, offset: 0 }]);
          });
        const [old, fresh] = [`obj_old_${round}`, `obj_new_${round}`];
        await add(one, old);
        await Promise.all([
          one.transaction((tables) => tables.blobs.markLost([old], 1)),
          add(two, fresh),
          two.transaction((tables) => tables.blobs.markLost([old], 1)),
        ]);
        const located = await one.read.blobs.locate(digest);
        const isLost = !(await one.transaction((tables) => tables.blobs.lock([blob], 1))).has(digest);
        t.is(isLost, located?.state === 'lost', `${located?.object_id}`);
      }
    },
  );

  check('a list of files has another version after every change', async (t, one) => {
    const id = await addPackage(one);
    const version = async () => (await one.read.packages.get(id))?.files_version;
    const before = await version();
    await one.transaction((tables) => tables.packages.changeFiles(id, 0, 0));
    t.not(await version(), before, 'a file replaced by one of the same size too');
  });

  check('the longest texts that no compression shortens fit', async (t, one) => {
    const random = (length: number, from: number, count: number) =>
      String.fromCodePoint(...Array.from({ length }, () => from + randomInt(count)));
    const [key, value] = [random(512, 0x4e00, 20_000), random(512, 0x4e00, 20_000)];
    const short = random(300, 0x4e00, 20_000);
    const metadata = { [key]: value, short };
    const texts = { subject: random(512, 0x4e00, 20_000), producer: random(128, 0x4e00, 20_000) };
    const id = await addPackage(one, { ...texts, external_id: random(512, 0x4e00, 20_000), metadata });
    t.deepEqual((await one.read.packages.get(id))?.metadata, metadata);
    t.is((await one.read.packages.list({ metadata: new Map([['short', short]]) }, ALL, 2)).length, 1);
    t.is((await one.read.packages.list({ metadata: new Map([[key, value]]) }, ALL, 2)).length, 0, 'kept, not indexed');
    // Each of these has three times as many bytes after NFC.
    const path = Array.from({ length: 5 }, () => random(51, 0x1d15e, 7)).join('/');
    await one.transaction((tables) => tables.files.put(id, [fileOf(path)]));
    t.is((await one.read.files.page(id, null, 2))[0]?.path, path as LogicalPath);
  });

  check('U+0000 is refused everywhere, and the registry continues', async (t, one) => {
    for (const attempt of [
      () => one.read.packages.list({ producer: 'a\u0000' }, ALL, 1),
      () => one.read.packages.list({ metadata: new Map([['a\u0000', 'x']]) }, ALL, 1),
      () => one.read.retention.getClass('\u0000'),
      () => one.read.retention.getHold('pkg' as PackageId, '\u0000'),
      () => one.read.audit.page({ actor: '\u0000' }, ALL, 0, 1),
      () => one.read.files.atPaths('pkg' as PackageId, ['\u0000' as LogicalPath]),
      () => one.transaction((tables) => tables.retention.getClass('\u0000')),
    ]) {
      t.true(isStoreError(await t.throwsAsync(attempt), 'invalid_request'));
    }
    t.deepEqual(await one.read.packages.list({ producer: "'; drop table packages; --" }, ALL, 1), []);
  });

  check('a transaction that throws leaves nothing, and throws the same', async (t, one) => {
    const mistake = new Error('mistake');
    let id: PackageId | undefined;
    const thrown = await t.throwsAsync(() =>
      one.transaction(async (tables) => {
        id = await insertPackage(tables, {});
        throw mistake;
      }),
    );
    t.is(thrown, mistake);
    t.is(await one.read.packages.get(id as PackageId), null);
  });

  check('outside of a transaction nothing is written, whatever is asked', async (t, one, two) => {
    const id = await addPackage(one, { name: 'as it was' });
    const file = fileOf('f');
    const upload = uploadOf(id, file);
    await one.transaction(async ({ files, uploads }) => {
      await files.put(id, [file]);
      await uploads.insert([upload]);
    });
    // @ts-expect-error The types have no method there that writes,
    const untyped = () => one.read.packages.update(id, { name: 'changed' });
    await t.throwsAsync(untyped, { message: /Only a transaction writes to the registry/ });
    // and who passes over the types is refused by the connection.
    const { packages, files, blobs, uploads, retention, audit } = one.read as Tables;
    const event = { id: 'evt_1', at: 1, actor: 't', reason: null } as const;
    const writes: Array<() => Promise<unknown>> = [
      () => insertPackage({ packages }, { name: 'another' }),
      () => packages.update(id, { name: 'changed' }),
      () => packages.changeFiles(id, 1, 1),
      () => files.put(id, [fileOf('g')]),
      () => files.remove(id, file.path),
      () => files.prove(id, [file]),
      () => blobs.lock([{ digest: digestOf('new'), size: 3 }], 1),
      () => blobs.markLost(['obj'], 1),
      () => uploads.insert([uploadOf(id, fileOf('h'))]),
      () => uploads.setStorageIds([{ id: upload.id, storageUploadId: 'named' }]),
      () => uploads.move(upload.id, 'open', 'completing', { owner: 'o', lease_until: 1 }),
      () => uploads.amend(upload.id, 'open', 'o', { lease_until: 2 }),
      () => uploads.takeOver(upload.id, 'o', 1, 2),
      () => uploads.endLeases(1),
      () => uploads.abortOpen(id),
      () => uploads.setDropped(upload.id),
      () => uploads.setDropLater(upload.id),
      () => retention.syncClasses({ fresh: 1 }),
      () =>
        retention.addEvent(
          {
            ...event,
            package_id: id,
            action: 'set',
            hold_id: null,
            expires_before: null,
            expires_after: 1,
          },
          { toWrite: true, receipt: null },
        ),
      () => retention.setReceipt('evt_1', 1),
      () => retention.setWritten([{ id: 'evt_1', version_id: null }]),
      () => audit.add({ ...event, action: 'package.created', package_id: id, subject_id: null, detail: {} }),
    ];
    for (const write of writes) {
      await t.throwsAsync(write, { message: /Only a transaction writes to the registry/ }, String(write));
    }
    t.deepEqual(
      (await two.read.packages.list({}, ALL, 10)).map(({ name }) => name),
      ['as it was'],
    );
    t.deepEqual(
      (await two.read.files.page(id, null, 10)).map(({ path, proven }) => [String(path), proven]),
      [['f', false]],
    );
    const [known] = await two.read.uploads.getMany([upload.id]);
    t.like(known, { state: 'open', storage_upload_id: null, owner: null });
    t.deepEqual(await two.read.audit.page({}, ALL, 0, 10), { events: [], more: false });
    // The same connections write in a transaction, before and after.
    await one.transaction((tables) => tables.packages.update(id, { name: 'changed' }));
    t.is((await two.read.packages.get(id))?.name, 'changed');
  });

  check('batches in opposite orders all finish', async (t, one, two) => {
    const files = Array.from({ length: 60 }, (_, n) => ({ ...fileOf(`f${n}`), digest: digestOf(`content ${n}`) }));
    const orders = [files, files.toReversed()];
    for (let round = 0; round < 12; round++) {
      const id = await addPackage(one);
      const other = await addPackage(two);
      const opened: UploadId[] = [];
      await Promise.all(
        [one, two, one, two].map((registry, n) =>
          registry.transaction(async (tables) => {
            const target = n < 2 ? id : other;
            const batch = orders[n % 2] as FileRecord[];
            await tables.packages.lock(target);
            await tables.files.put(target, batch);
            const live = await tables.uploads.findLive(
              target,
              batch.map(({ digest }) => digest),
            );
            const missing = batch.filter(({ digest }) => !live.has(digest)).map((file) => uploadOf(target, file));
            await tables.uploads.insert(missing);
            opened.push(...missing.map((upload) => upload.id));
          }),
        ),
      );
      t.is(opened.length, 120, 'one for each file of each package');
      const names = opened.map((upload) => ({ id: upload, storageUploadId: upload }));
      await Promise.all([
        one.transaction((tables) => tables.uploads.setStorageIds(names)),
        two.transaction((tables) => tables.uploads.setStorageIds(names.toReversed())),
        one.transaction((tables) => tables.uploads.abortOpen(id)),
        two.transaction((tables) => tables.uploads.abortOpen(id)),
        two.transaction((tables) => tables.uploads.abortOpen(other)),
      ]);
      t.is(
        (
          await one.read.uploads.findLive(
            id,
            files.map(({ digest }) => digest),
          )
        ).size,
        0,
      );
      const kept = (await one.read.uploads.getMany(opened)).map(({ id, storage_upload_id }) => storage_upload_id ?? id);
      t.deepEqual(kept.toSorted(), opened.toSorted(), 'its own name, or none when it was aborted before it had one');
    }
  });

  check('of two that lock one blob, the second waits and sees what the first stored', async (t, one, two) => {
    for (let round = 0; round < 10; round++) {
      const digest = digestOf(`raced ${round}`);
      const stored = await Promise.all(
        [one, two, one].map((registry, n) =>
          registry.transaction(async (tables) => {
            const stored = (await tables.blobs.lock([{ digest, size: 5 }], 1)).has(digest);
            if (stored) return stored;
            const object_id = `obj_${round}_${n}`;
            const key = `k ${round} ${n}`;
            await tables.blobs.addObject({
              id: object_id,
              kind: 'blob',
              key,
              version_id: null,
              digest,
              size: 5,
              stored: null,
              created_at: 1,
            });
            await tables.blobs.addLocations(object_id, [{ digest, offset: 0, size: 5 }]);
            return stored;
          }),
        ),
      );
      t.deepEqual(stored.toSorted(), [false, true, true]);
    }
  });

  check('a reader that follows the audit misses no event, whatever order transactions end in', async (t, one, two) => {
    const total = 60;
    const id = await addPackage(one);
    const writing = Promise.all(
      Array.from({ length: total }, (_, n) =>
        (n % 2 ? one : two).transaction(async (tables) => {
          await tables.audit.add({
            id: newId('evt', 1),
            at: 1,
            actor: 'tests',
            action: 'package.created',
            package_id: id,
            subject_id: null,
            reason: null,
            detail: { n },
          });
          for (let wait = randomInt(4); wait > 0; wait--) await tables.now();
        }),
      ),
    );
    let ended = false;
    writing.then(
      () => {
        ended = true;
      },
      () => {},
    );
    const seen: number[] = [];
    for (let after = 0; ; ) {
      const wasEnded = ended;
      const { events } = await one.read.audit.page({}, ALL, after, 7);
      seen.push(...events.map(({ detail }) => detail.n as number));
      after = events.at(-1)?.seq ?? after;
      if (wasEnded && events.length === 0) break;
    }
    await writing;
    t.deepEqual(
      seen.toSorted((a, b) => a - b),
      Array.from({ length: total }, (_, n) => n),
    );
  });
}

function fileOf(path: string): FileRecord {
  const digest: Digest = digestOf(path);
  const facts = {
    media_type: 'text/plain',
    mtime: null,
    executable: false,
    proven: false,
    lost: false,
    deleted_at: null,
  };
  return { path: path as LogicalPath, digest, size: 1, ...facts };
}

function uploadOf(packageId: PackageId, { digest, size }: FileRecord) {
  const id = newId('upl', 1) as UploadId;
  const parts = [{ number: 1, digest, offset: 0, size }];
  const times = { created_at: 1, expires_at: 2 };
  return {
    id,
    package_id: packageId,
    channel: 'direct' as const,
    digest,
    size,
    key: id,
    created_by: 'tests',
    ...times,
    parts,
    members: null,
    stored: null,
  };
}

interface Blob {
  digest: Digest;
  size: number;
}

const PACKAGE = 'pkg_none' as PackageId;

/** An object that holds these blobs, one byte after the other. */
async function addObject(registry: Registry, id: string, held: readonly Blob[]): Promise<void> {
  await registry.transaction(async (tables) => {
    await tables.blobs.lock(held, 1);
    await tables.blobs.addObject(packRow(id));
    const places = held.map((blob, offset) => ({ ...blob, offset }));
    await tables.blobs.addLocations(id, places);
  });
}
