import { randomBytes } from 'node:crypto';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import type { ObjectKey } from '../../src/blobs/key-layout.ts';
import { recover } from '../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { packageOf } from '../support/encoded-upload.ts';
import { fixityNow, flipBit, spoil } from '../support/fixity.ts';
import { packOf } from '../support/pack.ts';
import { preservePacked } from '../support/packed-package.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { keysOf, strayObject, sweepOf } from '../support/sweep.ts';
import { tempFolder } from '../support/temp.ts';

interface Running {
  service: TestService;
  api: Api;
}

interface Place {
  start(): Promise<Running>;
  /** What `VACUUM INTO` gives. @param edit of uploads caught in the state that a test is about */
  backUp(edit?: (backup: DatabaseSync) => void): void;
  /** While no service runs. */
  restore(): Promise<void>;
  rebuild(): Promise<void>;
}

interface Sent {
  id: string;
  bytes: Buffer;
  object: { digest: string; size: number };
  upload: PlannedUpload;
}

const UNDER_WAY = `UPDATE uploads SET state = 'completing', owner = 'died', lease_until = 1, completed_at = ? WHERE id = ?`;

/**
 * A registry that is replaced by a backup of it. Meanwhile uploads were completed that the backup knows as under way, and packages finalized
 * that it never heard of, or knows as unfinished. Nothing may take away what they need, by itself or when it is asked to.
 * @param store gives a store of its own to each test: the variables that name it
 */
export function olderRegistrySuite(name: string, store: () => Promise<Record<string, string>>): void {
  async function open(t: ExecutionContext): Promise<Place> {
    const dataDir = await tempFolder(t);
    const backup = join(await tempFolder(t), 'registry.sqlite');
    const file = join(dataDir, 'registry.sqlite');
    const env = { ...(await store()), ARTIFACT_STORE_SWEEP_GRACE: '0s' };
    return {
      async start() {
        const service = await startTestService({ dataDir, env });
        t.teardown(() => service.dispose());
        return { service, api: apiOf(service.url) };
      },
      backUp(edit = () => {}) {
        const live = new DatabaseSync(file);
        live.prepare('VACUUM INTO ?').run(backup);
        live.close();
        const copy = new DatabaseSync(backup);
        edit(copy);
        copy.close();
      },
      async restore() {
        for (const end of ['', '-wal', '-shm']) await rm(file + end, { force: true });
        await copyFile(backup, file);
      },
      async rebuild() {
        for (const end of ['', '-wal', '-shm']) await rm(file + end, { force: true });
        const full = { ARTIFACT_STORE_DATA_DIR: dataDir, ...env };
        const { code, stderr } = await runCli(['rebuild', '--from-storage'], { env: full });
        if (code !== 0) throw new Error(stderr);
      },
    };
  }

  async function arrived(api: Api, bytes: Buffer = randomBytes(1_000)): Promise<Sent> {
    const id = await api.create();
    const object = { digest: sha256(bytes), size: bytes.length };
    await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
    const { body } = await api.post(`/v1/packages/${id}/uploads`, { objects: [object] });
    const upload: PlannedUpload = body.uploads[0];
    await api.send(upload.parts[0] as PartRequest, bytes);
    return { id, bytes, object, upload };
  }

  async function commit(t: ExecutionContext, api: Api, { upload }: Sent): Promise<void> {
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.state, 'stored');
  }

  async function finalize(t: ExecutionContext, api: Api, id: string) {
    const { status, body } = await api.post(`/v1/packages/${id}/finalize`);
    t.is(status, 200, JSON.stringify(body));
    return body;
  }

  /** What doctor says of it when the audit's log was written, or taken over, as every minute. */
  async function ageOf(api: Api) {
    await api.get('/v1/log/checkpoint');
    const { checks } = (await api.get('/v1/diagnosis')).body;
    return checks.find(({ name }: { name: string }) => name === 'registry_older');
  }

  async function standing(service: TestService): Promise<Map<string, string>> {
    const { objects } = service.services.blobs;
    const found = new Map<string, string>();
    for (const key of await keysOf(service)) {
      found.set(key, sha256(await buffer(await objects.open({ key: key as ObjectKey, versionId: null }))));
    }
    return found;
  }

  test(`${name}: what was completed since the backup stays, whatever its upload was then`, async (t) => {
    const place = await open(t);
    const first = await place.start();
    const sent = new Map<string, Sent>();
    for (const was of ['open', 'completing', 'completed', 'aborting', 'failed'])
      sent.set(was, await arrived(first.api));
    place.backUp((backup) => {
      for (const [was, { upload }] of sent) {
        const id = upload.upload_id as string;
        if (was === 'completing' || was === 'completed')
          backup.prepare(UNDER_WAY).run(was === 'completed' ? 1 : null, id);
        else
          backup
            .prepare('UPDATE uploads SET state = ?, drop_key = ? WHERE id = ?')
            .run(was, was === 'failed' ? 1 : 0, id);
      }
    });
    for (const each of sent.values()) await commit(t, first.api, each);
    const later = await first.api.create();
    const files = [...sent].map(([path, { object }]) => ({ path, ...object }));
    await first.api.post(`/v1/packages/${later}/files`, { files });
    await finalize(t, first.api, later);
    const before = await standing(first.service);
    await first.service.stop();

    await place.restore();
    const { service, api } = await place.start();
    const stays = async (): Promise<void> => {
      const now = await standing(service);
      for (const [key, digest] of before) t.is(now.get(key), digest, key);
    };
    await stays();
    t.is((await api.get(`/v1/packages/${later}`)).status, 404);
    for (const [was, { id, bytes, object }] of sent) {
      const [planned] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
      // A folder says what became of a completion, S3 does not.
      const isThere = was === 'completed' || (was === 'completing' && service.services.blobs.kind === 'folder');
      t.is(planned.state, isThere ? 'stored' : 'open', was);
      if (!isThere) {
        t.is((await api.send(planned.parts[0], bytes)).status, 200, 'what is sent is sent once');
        t.is((await api.post(`/v1/uploads/${planned.upload_id}/commit`)).body.state, 'stored');
      }
      await finalize(t, api, id);
    }
    t.like(await sweepOf(api, { apply: true }), { state: 'failed', error: { code: 'registry_older' } });
    await stays();
  });

  test(`${name}: a package that was finalized since cannot be sealed, failed, deleted or swept; a rebuild gives it back`, async (t) => {
    const place = await open(t);
    const first = await place.start();
    const id = await first.api.create({ external_id: 'build-1' });
    await first.api.store(id, { a: 'sent before the backup' });
    place.backUp();
    await first.api.store(id, { b: 'sent after it' });
    const finalized = await finalize(t, first.api, id);
    const before = await standing(first.service);
    await first.service.stop();

    await place.restore();
    const { service, api } = await place.start();
    const older = { status: 409, body: { code: 'registry_older', packages: [id] } };
    t.like(await api.post(`/v1/packages/${id}/finalize`), older);
    t.like(await api.call('DELETE', `/v1/packages/${id}?reason=half+done`), older);
    t.like(await api.post(`/v1/packages/${id}/fail`, { reason: 'half done' }), older);
    for (const options of [{ apply: true }, { reconcile: true }, { apply: true, reconcile: true }]) {
      t.like(await sweepOf(api, options), { state: 'failed', error: { code: 'registry_older' } });
    }
    await api.store(id, { b: 'sent after it' });
    t.like(await api.post(`/v1/packages/${id}/finalize`), older, 'also with the files that it has');
    const now = await standing(service);
    for (const [key, digest] of before) t.is(now.get(key), digest, key);
    await service.stop();

    await place.rebuild();
    const again = await place.start();
    t.like((await again.api.get(`/v1/packages/${id}`)).body, {
      status: 'finalized',
      manifest_digest: finalized.manifest_digest,
      finalized_at: finalized.finalized_at,
      retention: finalized.retention,
    });
    t.is((await again.api.get(`/v1/packages/${id}/files/b?redirect=false`)).body, 'sent after it');
    t.is((await sweepOf(again.api, { reconcile: true })).state, 'done');
    t.is((await sweepOf(again.api, { apply: true })).state, 'done');
  });

  test(`${name}: what may be held since is not deleted before somebody has looked at it`, async (t) => {
    const place = await open(t);
    const { service, api } = await place.start();
    const fields = { retention_class: 'transient', file_rules: [{ path: 'a', days: 1 }] };
    const id = await api.preserve({ a: 'disputed since', b: 'beside it' }, fields);
    service.sleepDays(20);
    place.backUp();
    t.is((await api.post(`/v1/packages/${id}/holds`, { reason: 'court order' })).status, 201);
    t.is(await ageOf(api), undefined);
    await service.stop();

    await place.restore();
    let older = await place.start();
    older.service.sleepDays(20);
    t.deepEqual((await older.api.get(`/v1/packages/${id}/retention`)).body.holds, []);
    t.like(await ageOf(older.api), { level: 'failure' }, 'doctor says so before anybody deletes anything');
    const refused = { status: 409, body: { code: 'registry_older', packages: [id] } };
    t.like(await older.api.call('DELETE', `/v1/packages/${id}?reason=over`), refused);
    t.like(await older.api.call('DELETE', `/v1/packages/${id}/files/a?reason=over`), refused);
    // Not told what the order says, an operator may say that nothing is to be made again.
    t.is((await sweepOf(older.api, { reconcile: true })).state, 'done');
    t.is(await ageOf(older.api), undefined);
    await older.service.stop();
    await place.restore();
    older = await place.start();
    older.service.sleepDays(20);
    t.is((await sweepOf(older.api, { reconcile: true })).state, 'done');
    t.is(await ageOf(older.api), undefined, 'also when nobody had looked at the log before');
    t.is((await older.api.call('DELETE', `/v1/packages/${id}/files/a?reason=over`)).status, 204);
    t.is((await older.api.call('DELETE', `/v1/packages/${id}?reason=over`)).status, 200);
  });

  test(`${name}: a copy that was stored since stays, although the registry takes the damaged one for good`, async (t) => {
    const place = await open(t);
    const { service, api } = await place.start();
    const text = 'bytes that a disk damages';
    const id = await api.preserve({ a: text });
    place.backUp();
    // As a repair leaves it, which writes no decision.
    const copy = await strayObject(service, Buffer.from(text));
    await service.stop();
    await place.restore();
    const older = await place.start();
    older.service.sleepDays(2);
    t.like((await sweepOf(older.api, { apply: true })).report, { unknown_kept: { count: 1 }, freed: { count: 0 } });
    t.true((await keysOf(older.service)).includes(copy));
    t.is((await older.api.get(`/v1/packages/${id}/files/a?redirect=false`)).status, 200);
  });

  test(`${name}: a pack that mended since what the registry takes for good stays, and a rebuild finds it`, async (t) => {
    const place = await open(t);
    const { service, api } = await place.start();
    const files = { a: 'bytes that a disk damages', b: 'beside them' };
    const id = await preservePacked(api, [files]);
    place.backUp();
    const [key = ''] = await keysOf(service);
    await spoil(service, key, (bytes) => flipBit(bytes, 8 * 520));
    const mended = await strayObject(service, packOf(Object.values(files)).bytes);
    await service.stop();
    await place.restore();
    const older = await place.start();
    older.service.sleepDays(2);
    const kept = { unknown_kept: { count: 1 }, unknown: { count: 0 }, freed: { count: 0 } };
    t.like((await sweepOf(older.api, { apply: true })).report, kept, 'nobody has read what it has');
    t.like((await fixityNow(older.api)).report, { damaged: 1 });
    t.like((await sweepOf(older.api, { apply: true })).report, kept, 'a file needs what may be in it');
    t.true((await keysOf(older.service)).includes(mended));
    await older.service.stop();
    await place.rebuild();
    const again = await place.start();
    for (const [path, content] of Object.entries(files))
      t.is((await again.api.get(`/v1/packages/${id}/files/${path}?redirect=false`)).body, content);
  });

  test(`${name}: so does a pack that was planned before all was read, and completed after the backup`, async (t) => {
    const place = await open(t);
    const { service, api } = await place.start();
    const files = { a: 'bytes that a disk damages', b: 'beside them' };
    const pack = packOf(Object.values(files));
    const later = await packageOf(api, files);
    const plan = { digest: pack.digest, size: pack.size, members: pack.members };
    const upload = (await api.post(`/v1/packages/${later}/uploads`, { objects: [plan] })).body
      .uploads[0] as PlannedUpload;
    const id = await preservePacked(api, [{ a: files.a, z: 'something else' }]);
    const [key = ''] = await keysOf(service);
    await fixityNow(api);
    place.backUp((backup) =>
      backup.prepare('update uploads set expires_at = 1 where id = ?').run(upload.upload_id as string),
    );
    await spoil(service, key, (bytes) => flipBit(bytes, 8 * 520));
    for (const each of upload.parts)
      t.is((await api.send(each, pack.bytes.subarray(each.offset, each.offset + each.size))).status, 200);
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.state, 'stored');
    const before = await keysOf(service);
    await service.stop();

    await place.restore();
    const older = await place.start();
    await recover(older.service.services);
    older.service.sleepDays(60);
    t.like((await sweepOf(older.api, { apply: true, reconcile: true })).report, { unknown_kept: { count: 1 } });
    t.deepEqual(await keysOf(older.service), before);
    await older.service.stop();
    await place.rebuild();
    const again = await place.start();
    t.is((await again.api.get(`/v1/packages/${id}/files/a?redirect=false`)).body, files.a);
  });

  test(`${name}: a pack that was being written anew is not swept while it is all that a package has`, async (t) => {
    const place = await open(t);
    const { service, api } = await place.start();
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`f${n}`, randomBytes(2_000)]));
    const over = await preservePacked(api, [files], { retention_class: 'transient' });
    const id = await api.preserve(Object.fromEntries(Object.entries(files).filter((_, n) => n % 5 === 0)));
    service.sleepDays(9);
    t.is((await api.call('DELETE', `/v1/packages/${over}?reason=over`)).status, 200);
    const { uploads } = service.services.blobs;
    const { complete } = uploads;
    let completed = 0;
    uploads.complete = async (...order) => {
      const made = await complete(...order);
      completed += 1;
      place.backUp();
      return made;
    };
    t.like((await sweepOf(api, { apply: true })).report, { rewritten: { count: 1 } });
    t.is(completed, 1);
    service.sleepDays(1);
    t.like((await sweepOf(api, { apply: true })).report, { freed: { count: 1 } });
    const before = await standing(service);
    t.is(before.size, 1);
    await service.stop();

    await place.restore();
    const older = await place.start();
    older.service.sleepDays(12);
    for (let run = 0; run < 2; run += 1) {
      t.is((await sweepOf(older.api, { apply: true })).state, 'done');
      t.deepEqual(await standing(older.service), before);
    }
    const isRecorded = older.service.services.blobs.kind === 'folder';
    t.is((await older.api.get(`/v1/packages/${id}/files/f0?redirect=false`)).status, isRecorded ? 200 : 500);
  });

  test(`${name}: what is recovered as a duplicate of an object that is gone by now stays`, async (t) => {
    const place = await open(t);
    const { service, api } = await place.start();
    const one = await arrived(api);
    const two = await arrived(api, one.bytes);
    await commit(t, api, one);
    await finalize(t, api, one.id);
    const [gone = ''] = await keysOf(service);
    place.backUp((backup) => backup.prepare(UNDER_WAY).run(1, two.upload.upload_id as string));
    await service.services.blobs.objects.remove({ key: gone as ObjectKey, versionId: null });
    t.like((await sweepOf(api, { apply: true })).report, { missing: { count: 1 } });
    await commit(t, api, two);
    await finalize(t, api, two.id);
    const before = await standing(service);
    t.is(before.size, 1);
    await service.stop();

    await place.restore();
    const older = await place.start();
    t.is((await older.api.get(`/v1/uploads/${two.upload.upload_id}`)).body.state, 'committed');
    t.deepEqual(await standing(older.service), before);
    older.service.sleepDays(40);
    t.is((await sweepOf(older.api, { apply: true })).state, 'failed', 'it does not know that the second is finalized');
    t.deepEqual(await standing(older.service), before);
    await older.service.stop();
    await place.rebuild();
    const again = await place.start();
    for (const { id } of [one, two])
      t.is((await again.api.get(`/v1/packages/${id}/files/f?redirect=false`)).status, 200);
  });
}
