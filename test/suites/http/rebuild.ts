import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import type { ObjectReader } from '../../../src/blobs/blob-store.ts';
import { blobKey, decisionKey, manifestKey, type ObjectKey, STORE_KEY } from '../../../src/blobs/key-layout.ts';
import { loadConfig } from '../../../src/config.ts';
import { canonicalJson } from '../../../src/core/canonical-json.ts';
import { type Digest, digestOf } from '../../../src/core/digest.ts';
import { newId, type PackageId, type UploadId } from '../../../src/core/ids.ts';
import { compareWithStore, rebuildRegistry } from '../../../src/rebuild-registry.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import { runCli } from '../../support/cli-child.ts';
import { preserveEncoded } from '../../support/encoded-upload.ts';
import { fixityNow, flipBit, spoil } from '../../support/fixity.ts';
import { framedBlob, framedPack } from '../../support/frames.ts';
import { packOf } from '../../support/pack.ts';
import { preservePacked } from '../../support/packed-package.ts';
import { generator } from '../../support/random.ts';
import { contentOf, lasting, loseRegistry, withRegistry } from '../../support/registry-content.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { sweepOf } from '../../support/sweep.ts';

/** The storage explains itself (invariant 9): an empty registry is filled from it. */
export function rebuildSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  async function place(t: ExecutionContext): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  /** The same store, after its registry was lost and filled again. */
  async function back(t: ExecutionContext, { dataDir }: TestService): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService({ dataDir });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  test('the drill: the database is dropped and rebuilt; every package, byte and decision is there', async (t) => {
    const { service, api } = await place(t);
    const scene = await prepare(t, service, api);
    const manifests = await manifestsOf(service, scene.all);
    const told = await retentionOf(api, scene.all);
    const shown = await showAll(api, scene.all);
    const proofs = await proofsOf(api, scene.living);
    t.is((await api.get('/v1/log/checkpoint')).status, 200);
    await service.stop();
    const before = await contentOf(service.env);

    await loseRegistry(service.env);
    t.regex(await refusalOf(startTestService, service.dataDir), /artifact-store rebuild --from-storage/);
    const cli = (...args: string[]) => runCli(args, { env: service.env });
    const rebuilt = await cli('rebuild', '--from-storage', '--json');
    t.is(rebuilt.code, 0, rebuilt.stderr + rebuilt.stdout);
    t.like(rebuilt.json, {
      packages: 8,
      tombstones: 1,
      whole: true,
      wrong_objects: { count: 0 },
      missing_blobs: { count: 0 },
    });
    const stores = await withRegistry(service.env, (db) => db('stores').select('id'));
    t.deepEqual(stores, [{ id: service.services.storeId() }], 'the id of its store');
    const first = await contentOf(service.env);
    t.deepEqual(lasting(first), lasting(before), 'what the registry had is what it has');
    t.is((await cli('rebuild', '--compare')).code, 0);

    const again = await back(t, service);
    t.is(again.service.services.storeId(), service.services.storeId());
    t.deepEqual(await manifestsOf(again.service, scene.all), manifests);
    t.deepEqual(await showAll(again.api, scene.all), shown);
    t.deepEqual(await proofsOf(again.api, scene.living), proofs);
    t.deepEqual(await retentionOf(again.api, scene.all), told);
    for (const id of scene.living) {
      const verified = await runCli(['verify', id, '--url', again.service.url, '--json']);
      t.is(verified.code, 0, verified.stdout + verified.stderr);
    }
    const named = await again.api.get('/v1/packages?producer=tests&external_id=run-1');
    t.like(named.body.items[0], { id: scene.revision });
    const same = { name: 'a run', producer: 'tests', external_id: 'run-1' };
    t.like(
      await again.api.post('/v1/packages', same),
      { status: 200, body: { id: scene.revision } },
      'it is still taken',
    );
    t.is((await again.api.call('DELETE', `/v1/packages/${scene.held}?reason=no`)).body.code, 'held');

    const swept = await sweepOf(again.api, { apply: true });
    t.like(swept, { state: 'failed', error: { code: 'registry_older' } }, 'nobody has compared both sides yet');
    const waits = async () =>
      (await again.api.get('/v1/diagnosis')).body.checks.filter(({ name }: { name: string }) =>
        /^registry_/.test(name),
      );
    t.like(await waits(), [{ name: 'registry_rebuilt', level: 'warning' }]);
    const listed = await sweepOf(again.api, { reconcile: true });
    t.like(listed.report, { unknown: { count: 0 }, missing: { count: 0 }, unknown_packages: [] });
    t.is((await again.api.get('/v1/log/checkpoint')).status, 200, 'the log goes on from what storage has of it');
    t.deepEqual(await waits(), []);
    t.is((await sweepOf(again.api, { apply: true, max_rewrite: 0 })).state, 'done');
    await again.service.stop();

    await loseRegistry(service.env);
    t.is((await cli('rebuild', '--from-storage', '--json')).code, 0);
    t.deepEqual(await contentOf(service.env), first, 'a second rebuild gives the same');
  });

  test('objects that nobody recorded are adopted when they are what their keys say; others are left alone', async (t) => {
    const { service, api } = await place(t);
    const tar = packOf(['kept', 'of nobody else']).bytes;
    const id = await api.preserve({ a: 'kept', b: 'lost', 'is a.pack': tar });
    const { objects } = service.services.blobs;
    const unverified = 'completed, and never verified';
    const right = keyOf(digestOf(unverified));
    const wrong = keyOf(digestOf('other bytes'));
    const halfFrames = framedPack(['one '.repeat(99), 'two '.repeat(99)]);
    const broken = keyOf(halfFrames.plan.digest as Digest);
    await write(service, right, unverified);
    await write(service, wrong, unverified);
    const brokenBytes = Buffer.from(halfFrames.bytes);
    brokenBytes.writeUInt8((brokenBytes[20] as number) ^ 1, 20);
    await write(service, broken, brokenBytes);
    const lost = await keyOfFile(service, 'lost');
    await objects.remove({ key: lost, versionId: null });
    await service.stop();

    await loseRegistry(service.env);
    const report = await rebuild(service);
    t.like(report, { packages: 1, objects: { count: 3 }, packs: 1 });
    t.deepEqual(report.wrong_objects, { count: 2, named: [wrong, broken].toSorted() });
    t.deepEqual(report.missing_blobs, { count: 1, named: [sha256('lost') as string] });
    const again = await back(t, service);
    const left = await buffer(await again.service.services.blobs.objects.open({ key: wrong, versionId: null }));
    t.is(left.toString(), unverified);
    t.is((await again.api.get(`/v1/packages/${id}/files/a?redirect=false`)).body, 'kept');
    const file = await fetch(`${again.service.url}/v1/packages/${id}/files/is%20a.pack?redirect=false`);
    t.deepEqual(Buffer.from(await file.arrayBuffer()), tar, 'a file that is a pack is itself, too');
    t.not((await again.api.get(`/v1/packages/${id}/files/b?redirect=false`)).status, 200);

    // Sent again by anybody, it is there for all. What a package has proven is not asked for again.
    const healing = await again.api.preserve({ c: 'lost', d: unverified });
    t.is((await again.api.get(`/v1/packages/${healing}/files/c?redirect=false`)).body, 'lost');
    t.is((await again.api.get(`/v1/packages/${id}/files/b?redirect=false`)).body, 'lost');
    // An object that came back by itself is no package's, and goes when a sweep has seen that.
    again.service.sleepDays(2);
    const listed = await sweepOf(again.api, { reconcile: true });
    t.like(
      listed.report,
      { unknown: { count: 2 }, unneeded: { count: 1 } },
      'what is in the pack, too; the place of what was lost goes by itself',
    );
  });

  for (const encoding of ['plain', 'in frames'] as const)
    test(`a damaged pack, ${encoding}: its other members are there, and what was damaged heals when it is sent`, async (t) => {
      const { service, api } = await place(t);
      const files = {
        one: 'one '.repeat(200),
        two: 'two '.repeat(200),
        three: 'three '.repeat(200),
        four: '4'.repeat(900),
      };
      const bytesOf = Object.values(files);
      const framed = framedPack(bytesOf, [1, 1, 1, 1]);
      const id =
        encoding === 'plain' ? await preservePacked(api, [files]) : await preserveEncoded(api, files, [framed]);
      const key = await keyOfFile(service, files.two);
      // Of a frame nothing says which members it had; a pack's header does.
      const at =
        encoding === 'plain' ? (framed.members[1]?.offset as number) : (framed.frames[0]?.bytes.length as number);
      await spoil(service, key, (bytes) => flipBit(bytes, 8 * (at + 30)));
      await service.stop();

      await loseRegistry(service.env);
      const report = await rebuild(service);
      t.like(report, {
        damaged_packs: { count: 1, named: [key] },
        wrong_objects: { count: 0 },
        missing_blobs: { count: 1, named: [sha256(files.two)] },
      });
      const first = await contentOf(service.env);
      const again = await back(t, service);
      const read = async (path: string) => again.api.get(`/v1/packages/${id}/files/${path}?redirect=false`);
      for (const path of ['one', 'three', 'four'] as const) t.is((await read(path)).body, files[path]);
      t.is((await read('two')).body.code, 'integrity_failure');
      const found = await fixityNow(again.api);
      t.like(found, { report: { damaged: 1 }, damaged: { items: [{ last_good_at: null }] } });
      const { items } = (await again.api.get(`/v1/packages/${id}/files?missing=true`)).body;
      const missing = items.map(({ path }: { path: string }) => path);
      // The pack that has a frame which nobody can read is sent anew as a whole; until then it is read.
      t.deepEqual(missing, encoding === 'plain' ? ['two'] : Object.keys(files).toSorted());
      for (const path of ['one', 'three', 'four'] as const) t.is((await read(path)).body, files[path]);
      await again.service.stop();

      await loseRegistry(service.env);
      await rebuild(service);
      t.deepEqual(await contentOf(service.env), first, 'a second rebuild gives the same');

      const healed = await back(t, service);
      await healed.api.preserve({ 'the same bytes': files.two });
      for (const [path, content] of Object.entries(files))
        t.is((await healed.api.get(`/v1/packages/${id}/files/${path}?redirect=false`)).body, content);
    });

  test('damaged manifests and decisions are named and left alone, and packages that were never finalized do not come back', async (t) => {
    const { service, api } = await place(t);
    const [good, damaged, held] = [
      await api.preserve({ a: '1' }),
      await api.preserve({ b: '2' }),
      await api.preserve({ c: '3' }),
    ];
    const open = await api.create();
    await api.post(`/v1/packages/${open}/holds`, { reason: 'early' });
    await api.post(`/v1/packages/${held}/holds`, { reason: 'disputed' });
    const { objects } = service.services.blobs;
    const manifest = manifestKey(damaged as PackageId);
    const bytes = await read(objects, manifest);
    // Still JSON, still a manifest: only the digest that it was sealed with tells.
    await replace(service, manifest, Buffer.from(bytes.toString().replace('"path":"b"', '"path":"x"')));
    const [, decision = ''] = await keysOf(objects, `packages/${held}/decisions/`);
    const garbled = (await read(objects, decision as ObjectKey)).toString().replace('"held"', '"hold"');
    await replace(service, decision as ObjectKey, Buffer.from(garbled));
    await service.stop();

    await loseRegistry(service.env);
    const rebuilt = await runCli(['rebuild', '--from-storage', '--json'], { env: service.env });
    t.is(rebuilt.code, 5, rebuilt.stdout);
    t.like(rebuilt.json, {
      packages: 2,
      damaged_manifests: { count: 1, named: [damaged] },
      without_manifest: { count: 1, named: [open] },
      unreadable_decisions: { count: 1, named: [decision] },
      whole: false,
    });
    const text = await runCli(['rebuild', '--compare'], { env: service.env });
    t.is(text.code, 1);
    t.regex(text.stdout, /unknown packages {5,}1: in the store, not in the registry\n.*pkg_/);
    t.regex(text.stdout, /unreadable decisions {2}1: /);
    const again = await back(t, service);
    t.is((await again.api.get(`/v1/packages/${good}`)).status, 200);
    t.is((await again.api.get(`/v1/packages/${damaged}`)).status, 404);
    const swept = await sweepOf(again.api, { apply: true, reconcile: true });
    t.like(swept, { error: { code: 'registry_older' } }, 'its bytes are not for a sweep');
  });

  test('what older versions wrote comes back with defaults, and what they wrote stands', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ a: 'first', b: 'second' }, { retention_class: 'transient' });
    const bare = await api.preserve({ c: 'third' }, { retention_class: 'transient' });
    const { objects } = service.services.blobs;
    const [key = ''] = await keysOf(objects, `packages/${id}/decisions/`);
    const {
      created_by: _,
      manifest_digest: __,
      stored_size: ___,
      ...old
    } = JSON.parse((await read(objects, key as ObjectKey)).toString());
    await replace(service, key as ObjectKey, Buffer.from(canonicalJson(old)));
    // The older version was killed before it noted that it had written it.
    await service.services.registry.transaction(async ({ retention }) => {
      const events = await retention.events(id as PackageId);
      await retention.addEvent(
        { ...(events[1] as (typeof events)[1]), id: newId('evt', 1) },
        { toWrite: true, receipt: null },
      );
    });
    await withRegistry(service.env, async (db) => {
      await db('retention_events').where({ package_id: id, to_write: true }).delete();
      await db('retention_events').where({ package_id: id, action: 'finalized' }).update({ to_write: true });
    });
    await recover(service.services);
    t.deepEqual(await service.services.registry.read.retention.listUnwritten(9), [], 'it is known to be written');
    t.deepEqual(JSON.parse((await read(objects, key as ObjectKey)).toString()), old);
    const [bareKey = ''] = await keysOf(objects, `packages/${bare}/decisions/`);
    await objects.remove({ key: bareKey as ObjectKey, versionId: null });
    const shown = await showAll(api, [id, bare]);
    await service.stop();
    await loseRegistry(service.env);
    t.like(await rebuild(service), { packages: 2, decisions: 1, unreadable_decisions: { count: 0 } });
    const again = await back(t, service);
    t.deepEqual(await showAll(again.api, [id, bare]), shown, 'expiry, class and sizes are the same');
    await recover(again.service.services);
    const now = await keysOf(again.service.services.blobs.objects, `packages/${bare}/decisions/`);
    t.is(now.length, 1, 'that it was finalized is in storage now');
  });

  test('files whose removal was decided twice, as after a restore of the registry, are removed once', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve(
      { 'raw/a': 'raw', 'raw/b': 'raw too', rest: 'kept' },
      { file_rules: [{ path: 'raw/*', days: 3 }] },
    );
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${id}/files/raw/a?reason=over`)).status, 204);
    const { objects } = service.services.blobs;
    const removal = (await keysOf(objects, `packages/${id}/decisions/`)).at(-1) as ObjectKey;
    const said = JSON.parse((await read(objects, removal)).toString());
    const again = newId('evt', Date.parse(said.at) + 60_000);
    const text = canonicalJson({ ...said, id: again, paths: ['raw/a', 'raw/b'] });
    await write(service, decisionKey(id as PackageId, again), text);
    await service.stop();
    await loseRegistry(service.env);
    t.like(await rebuild(service), { packages: 1, decisions: 3 });
    const { api: rebuilt } = await back(t, service);
    t.is((await rebuilt.get(`/v1/packages/${id}`)).body.deleted_file_count, 2);
    for (const path of ['raw/a', 'raw/b']) t.is((await rebuilt.get(`/v1/packages/${id}/files/${path}`)).status, 410);
    t.is((await rebuilt.get(`/v1/packages/${id}/files/rest`)).body, 'kept');
  });

  test('who supersedes whom comes back, whatever was revised and deleted in which order', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'artifact-store-classes-'));
    t.teardown(() => rm(dir, { recursive: true, force: true }));
    const classes = join(dir, 'classes.json');
    await writeFile(classes, JSON.stringify({ scratch: 0 }));
    const service = await startTestService({ env: { ARTIFACT_STORE_RETENTION_CLASSES: classes } });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const next = generator(7);
    for (let chain = 0; chain < 8; chain += 1) {
      const fields = { retention_class: 'scratch', ...(chain % 2 === 0 ? { external_id: `chain ${chain}` } : {}) };
      const finalized = [await api.preserve({ a: 'x' }, fields)];
      for (let step = 0; step < 6; step += 1) {
        const some = finalized[Math.floor(next() * finalized.length)] as string;
        if (next() < 0.5) await api.call('DELETE', `/v1/packages/${some}?reason=over`);
        else {
          const { status, body } = await api.post('/v1/packages', {
            name: 'n',
            producer: 'tests',
            ...fields,
            supersedes: some,
          });
          if (status !== 201) continue;
          await api.store(body.id, { a: 'x' });
          // What it revises may be deleted before it is finalized.
          if (next() < 0.3) await api.call('DELETE', `/v1/packages/${some}?reason=over`);
          if ((await api.post(`/v1/packages/${body.id}/finalize`)).status === 200) finalized.push(body.id);
        }
      }
    }
    await service.stop();
    const { packages } = await contentOf(service.env);
    const deleted = packages.filter((pkg) => (pkg as { status: string }).status === 'deleted');
    t.true(packages.length > 15 && deleted.length > 5, `${packages.length} packages, ${deleted.length} deleted`);
    await loseRegistry(service.env);
    // Nor does the class have to be configured any more.
    const { ARTIFACT_STORE_RETENTION_CLASSES: _, ...env } = service.env;
    await rebuild({ env });
    t.deepEqual((await contentOf(env)).packages, packages);
  });

  test('a registry that is in use, a store of another and one that has nothing are refused', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: '1' });
    const { env } = service;
    await service.stop();
    const refused = async (code: string, message: RegExp): Promise<void> => {
      const before = await contentOf(env);
      await t.throwsAsync(rebuild(service), { code, message });
      t.deepEqual(await contentOf(env), before);
    };
    await refused('registry_in_use', /has packages or objects: only an empty one/);
    await loseRegistry(env);
    const other = await startTestService();
    t.teardown(() => other.dispose());
    await withStore(startTestService, t, async (empty) => {
      await empty.services.blobs.objects.remove({ key: STORE_KEY, versionId: null });
      await empty.stop();
      await loseRegistry(empty.env);
      await t.throwsAsync(rebuild(empty), { code: 'nothing_stored', message: /nothing to fill a registry from/ });
      await withRegistry(empty.env, async (db) => {
        await db('stores').insert({ no: 1, id: other.services.storeId(), since: 1 });
      });
      await t.throwsAsync(rebuild(empty), { code: 'foreign_store' });
    });
    t.like(await rebuild(service), { packages: 1 });
  });

  test('compare tells each kind of difference, and changes nothing', async (t) => {
    const { service, api } = await place(t);
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) ids.push(await api.preserve({ [name]: `bytes of ${name}` }));
    const [a, b, c, d, e, f] = ids as [string, string, string, string, string, string];
    const { objects } = service.services.blobs;
    t.is(
      (await runCli(['rebuild', '--compare'], { env: { ...service.env, ARTIFACT_STORE_URL: service.url } })).code,
      4,
      'a folder in use is refused',
    );
    const gone = await keyOfFile(service, 'bytes of a');
    await objects.remove({ key: gone, versionId: null });
    const stray = keyOf(digestOf('stray'));
    await write(service, stray, 'stray');
    await objects.remove({ key: manifestKey(b as PackageId), versionId: null });
    const manifest = (await read(objects, manifestKey(c as PackageId))).toString();
    await replace(service, manifestKey(c as PackageId), Buffer.from(manifest.replace('"path":"c"', '"path":"x"')));
    const [decision = ''] = await keysOf(objects, `packages/${d}/decisions/`);
    await objects.remove({ key: decision as ObjectKey, versionId: null });
    await api.post(`/v1/packages/${d}/holds`, { reason: 'kept' });
    const [hold = ''] = await keysOf(objects, `packages/${d}/decisions/`);
    await service.stop();
    await withRegistry(service.env, async (db) => {
      await db('retention_events').where({ package_id: d, action: 'held' }).delete();
      await db('packages').where({ id: e }).update({ expires_at: 1 });
      const [{ no }] = await db('packages').where({ id: f }).select('no');
      await db('package_files').where({ package_no: no }).update({ path: 'other' });
    });
    const before = await contentOf(service.env);
    const found = await compareWithStore(loadConfig(service.env), new AbortController().signal);
    const named = Object.fromEntries(
      Object.entries(found).flatMap(([kind, one]) => (typeof one === 'number' ? [] : [[kind, one.named]])),
    );
    t.deepEqual(named, {
      unknown_packages: [],
      missing_manifests: [b],
      other_manifests: [c],
      other_files: [f],
      other_retention: [e],
      unknown_decisions: [hold],
      missing_decisions: [decision],
      unreadable_decisions: [],
      missing_objects: [gone],
      found_objects: [],
      unknown_objects: [stray],
    });
    t.deepEqual(await contentOf(service.env), before);
    t.true(a !== b);
  });
}

interface Scene {
  all: string[];
  /** Those of `all` that can be read. */
  living: string[];
  held: string;
  revision: string;
}

/** Packages in every form of storage, and every kind of decision. */
async function prepare(t: ExecutionContext, service: TestService, api: Api): Promise<Scene> {
  const log = (word: string) => Buffer.from(`${word} `.repeat(40_000));
  const loose = await api.preserve(
    { 'a.bin': randomBytes(100_000), 'dir/ä\\b.txt': 'text', empty: '' },
    {
      external_id: 'run-1',
      subject: 'a subject',
      metadata: { run: { passed: 7, labels: ['x'] } },
    },
  );
  const packed = await preservePacked(api, [
    { 'p/1': 'one', 'p/2': randomBytes(600), 'p/3': 'three' },
    { 'q/1': 'four', 'q/2': 'one' },
  ]);
  const texts = ['first', 'second', 'third'].map(log);
  const framed = framedPack(texts, [1, 2]);
  const encoded = await preserveEncoded(
    api,
    { '1.log': texts[0] as Buffer, '2.log': texts[1] as Buffer, '3.log': texts[2] as Buffer },
    [framed],
  );
  const large = log('large').subarray(0, 3_000_000);
  const blob = await preserveEncoded(api, { 'large.log': Buffer.concat(Array(8).fill(large)) }, [
    framedBlob(Buffer.concat(Array(8).fill(large))),
  ]);
  // A file that is itself a pack, and one that is itself frames.
  const files = await api.preserve({
    'a.tar': packOf(['member of a file', 'another']).bytes,
    'a.zst': framedPack(texts).bytes,
  });

  const revision = await api.preserve(
    { 'a.bin': randomBytes(9), 'more.txt': 'more' },
    { external_id: 'run-1', supersedes: loose },
  );
  const gone = await api.preserve({ 'only here': 'freed by the sweep' }, { retention_class: 'transient' });
  const held = await api.preserve({ kept: 'held' }, { retention_class: 'transient' });
  await api.post(`/v1/packages/${packed}/retention/extensions`, { days: 30, reason: 'audit' });
  await api.post(`/v1/packages/${packed}/retention/extensions`, { days: 1, reason: 'again' });
  const { id: hold } = (await api.post(`/v1/packages/${encoded}/holds`, { reason: 'looked at', reference: 'CASE-1' }))
    .body;
  await api.post(`/v1/packages/${encoded}/holds/${hold}/release`, { reason: 'settled' });
  await api.post(`/v1/packages/${held}/holds`, { reason: 'disputed', reference: 'CASE-2' });
  const ruled = await api.preserve(
    { 'raw/a': 'raw', 'raw/b': 'raw too', summary: 'kept' },
    { file_rules: [{ path: 'raw/*', days: 3 }] },
  );
  service.sleepDays(9);
  t.is((await api.call('DELETE', `/v1/packages/${ruled}/files/raw/a?reason=over`)).status, 204);
  t.is((await api.call('DELETE', `/v1/packages/${gone}?reason=over`)).status, 200);
  // Packs stay as they were put together here.
  const sweep = { apply: true, max_rewrite: 0 };
  await sweepOf(api, sweep);
  service.sleepDays(2);
  t.like((await sweepOf(api, sweep)).report, { freed: { count: 2 } });
  const living = [loose, packed, encoded, blob, files, revision, held, ruled];
  return { all: [...living, gone], living, held, revision };
}

/** What the service signed, and the keys that check it. */
async function proofsOf(api: Api, ids: readonly string[]): Promise<unknown[]> {
  const signed = ids.map(async (id) => (await api.get(`/v1/packages/${id}/attestation`)).body);
  const { items } = (await api.get('/v1/keys')).body;
  return [...(await Promise.all(signed)), items.map(({ public_key }: { public_key: string }) => public_key)];
}

async function manifestsOf({ services }: TestService, ids: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const id of ids) texts.push((await read(services.blobs.objects, manifestKey(id as PackageId))).toString());
  return texts;
}

async function showAll(api: Api, ids: readonly string[]): Promise<unknown[]> {
  const shown: unknown[] = [];
  for (const id of ids) {
    const { body } = await api.get(`/v1/packages/${id}`);
    const { status, body: list } = await api.get(`/v1/packages/${id}/files`);
    const files = status === 200 ? list : status;
    // That depends on when it is asked.
    shown.push({ ...body, retention: { ...body.retention, eligible: null }, files });
  }
  return shown;
}

async function retentionOf(api: Api, ids: readonly string[]): Promise<unknown[]> {
  const told: unknown[] = [];
  for (const id of ids) {
    const { holds, events, held, expires_at } = (await api.get(`/v1/packages/${id}/retention`)).body;
    const known = events.map((event: { action: string }) => (event.action === 'set' ? { ...event, id: null } : event));
    told.push({ holds, events: known, held, expires_at });
  }
  return told;
}

async function rebuild({ env }: Pick<TestService, 'env'>) {
  const { report } = await rebuildRegistry(loadConfig(env), { signal: new AbortController().signal, tell: () => {} });
  return report;
}

/** Why no service starts there: at once, or as soon as a bucket has said whose it is. */
async function refusalOf(start: StartTestService, dataDir: string): Promise<string> {
  try {
    const { failed, stop } = await start({ dataDir });
    const { message } = await failed;
    await stop();
    return message;
  } catch (error) {
    return (error as Error).message;
  }
}

async function withStore(
  start: StartTestService,
  t: ExecutionContext,
  work: (service: TestService) => Promise<void>,
): Promise<void> {
  const service = await start();
  t.teardown(() => service.dispose());
  await work(service);
}

function keyOf(digest: Digest): ObjectKey {
  return blobKey(digest, newId('upl', Date.now()) as UploadId);
}

async function keyOfFile({ services }: TestService, content: string): Promise<ObjectKey> {
  const at = await services.registry.read.blobs.locate(sha256(content) as Digest);
  return at?.key as ObjectKey;
}

async function keysOf(objects: ObjectReader, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list(prefix)) keys.push(key);
  return keys;
}

async function read(objects: ObjectReader, key: ObjectKey): Promise<Buffer> {
  return buffer(await objects.open({ key, versionId: null }));
}

async function write({ services }: TestService, key: ObjectKey, bytes: string | Uint8Array): Promise<void> {
  await services.blobs.objects.write(
    key,
    (async function* () {
      yield Buffer.from(bytes as Uint8Array);
    })(),
  );
}

async function replace(service: TestService, key: ObjectKey, bytes: Uint8Array): Promise<void> {
  await service.services.blobs.objects.remove({ key, versionId: null });
  await write(service, key, bytes);
}
