import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import { newId } from '../../src/core/ids.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { recover } from '../../src/usecases/recover.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { type Effect, errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { sweepOf } from '../support/sweep.ts';
import { tempFolder } from '../support/temp.ts';

/** States that a crash, a freeze or a lost answer leaves behind; each must end without a human (invariant 5). */
interface Running {
  service: TestService;
  api: Api;
  db: Knex;
  blobs: string;
  /** Effects for which this says so fail with EIO. */
  failing: (which: ((effect: Effect) => boolean) | null) => void;
}

async function start(t: ExecutionContext, dataDir?: string): Promise<Running> {
  let fails: ((effect: Effect) => boolean) | null = null;
  const { files } = recordingFileLayer((effect) => {
    if (fails?.(effect)) throw errno('EIO');
  });
  let db: Knex | undefined;
  const service = await startTestService({
    files,
    ...(dataDir === undefined ? {} : { dataDir }),
    connect: (file) => {
      db = connectSqlite(file);
      return db;
    },
  });
  t.teardown(() => service.dispose());
  return {
    service,
    api: apiOf(service.url),
    db: db as Knex,
    blobs: join(service.dataDir, 'blobs'),
    failing: (which) => {
      fails = which;
    },
  };
}

interface Planned {
  id: string;
  bytes: Buffer;
  upload: PlannedUpload;
  key: string;
  plan(): Promise<PlannedUpload>;
  state(): Promise<{ state: string; failure: { code: string } | null }>;
}

/** A package with one file, whose part has arrived. */
async function arrived({ api, db }: Running): Promise<Planned> {
  const id = await api.create();
  const bytes = randomBytes(1_000);
  const digest = sha256(bytes);
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size: bytes.length }] });
  const plan = async (): Promise<PlannedUpload> =>
    (await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size: bytes.length }] })).body.uploads[0];
  const upload = await plan();
  await api.send(upload.parts[0] as PartRequest, bytes);
  const { key } = await db('uploads').where({ id: upload.upload_id }).first('key');
  const state = async () => (await api.get(`/v1/uploads/${upload.upload_id}`)).body;
  return { id, bytes, upload, key, plan, state };
}

/** As an instance leaves it that died after the compare-and-set, with a lease that has run out. */
async function stall({ db }: Running, { upload }: Planned, change: object = {}): Promise<void> {
  const row = { state: 'completing', owner: 'an instance that died', lease_until: 1, ...change };
  await db('uploads').where({ id: upload.upload_id }).update(row);
}

async function putObject({ blobs }: Running, { key }: Planned, bytes: Buffer): Promise<void> {
  await mkdir(dirname(join(blobs, key)), { recursive: true });
  await writeFile(join(blobs, key), bytes);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

const folderOf = ({ blobs }: Running, { upload }: Planned): string =>
  join(blobs, 'uploads', upload.upload_id as string);

async function audited({ api }: Running, id: string): Promise<Array<{ action: string; actor: string }>> {
  return (await api.get(`/v1/audit?package_id=${id}`)).body.items;
}

async function fileState({ api }: Running, id: string): Promise<string> {
  return (await api.get(`/v1/packages/${id}/files`)).body.items[0].state;
}

/** Planning again gives a new upload on a key of its own, which works. */
async function sendsAgain(t: ExecutionContext, running: Running, planned: Planned): Promise<void> {
  const { api } = running;
  const again = await planned.plan();
  t.is(again.state, 'open');
  t.not(again.upload_id, planned.upload.upload_id);
  const row = () => running.db('uploads').where({ id: again.upload_id });
  t.not((await row().first('key')).key, planned.key, 'a key is used once');
  // Not by care alone: the registry takes no second upload onto a key, whatever became of the first.
  await t.throwsAsync(row().update({ key: planned.key }), { message: /UNIQUE constraint failed: uploads\.key/ });
  t.is((await api.send(again.parts[0] as PartRequest, planned.bytes)).status, 200);
  t.is((await api.post(`/v1/uploads/${again.upload_id}/commit`)).body.state, 'stored');
  t.is((await api.post(`/v1/packages/${planned.id}/finalize`)).body.status, 'finalized');
}

test('an open upload that has expired is aborted, and its folder is gone', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  const living = await arrived(running);
  await running.db('uploads').where({ id: planned.upload.upload_id }).update({ expires_at: 1 });
  t.true(await exists(folderOf(running, planned)));
  await recover(running.service.services);
  t.is((await planned.state()).state, 'aborted');
  t.false(await exists(folderOf(running, planned)));
  t.is((await living.state()).state, 'open', 'one that has not expired goes on');
  t.true(await exists(folderOf(running, living)));
  t.is((await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`)).body.code, 'upload_abandoned');
  await sendsAgain(t, running, planned);
});

test('a commit that comes too late ends the upload, and the audit says so', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await running.db('uploads').where({ id: planned.upload.upload_id }).update({ expires_at: 1 });
  t.is((await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`)).body.code, 'upload_abandoned');
  const events = (await audited(running, planned.id)).filter(({ action }) => action === 'upload.aborted');
  t.is(events.length, 1);
  await recover(running.service.services);
  t.is((await planned.state()).state, 'aborted');
  t.is((await audited(running, planned.id)).filter(({ action }) => action === 'upload.aborted').length, 1);
});

test('aborting becomes aborted, also when storage fails at first', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await running.db('uploads').where({ id: planned.upload.upload_id }).update({ state: 'aborting' });
  running.failing(({ name }) => name === 'rename');
  await recover(running.service.services);
  t.is((await planned.state()).state, 'aborting');
  running.failing(null);
  await recover(running.service.services);
  t.is((await planned.state()).state, 'aborted');
  t.false(await exists(folderOf(running, planned)));
});

test('an upload that storage was never told of is aborted too', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  const row = { state: 'aborting', storage_upload_id: null };
  await running.db('uploads').where({ id: planned.upload.upload_id }).update(row);
  await recover(running.service.services);
  t.is((await planned.state()).state, 'aborted');
});

test('completing without a clean answer from storage, which made nothing: abandoned, and the bytes are sent again', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await stall(running, planned);
  await recover(running.service.services);
  t.like(await planned.state(), { state: 'failed', failure: { code: 'upload_abandoned' } });
  t.false(await exists(folderOf(running, planned)));
  t.false(Boolean((await running.db('uploads').where({ id: planned.upload.upload_id }).first('drop_key')).drop_key));
  t.is(await fileState(running, planned.id), 'missing');
  t.is((await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`)).body.code, 'upload_abandoned');
  await sendsAgain(t, running, planned);
});

test('what stands under its key before it is completed is another registry’s, which was replaced by an older one: it stays', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await putObject(running, planned, planned.bytes);
  t.is((await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`)).body.code, 'upload_abandoned');
  await recover(running.service.services);
  t.deepEqual(await readFile(join(running.blobs, planned.key)), planned.bytes);
  t.false(await exists(folderOf(running, planned)));
  await sendsAgain(t, running, planned);
});

test('completing without a clean answer from a folder, where the object stands: it is made to last, read back, and committed', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await stall(running, planned);
  await putObject(running, planned, planned.bytes);
  // Whoever linked it may have died before it was durable.
  running.failing(({ name, path }) => name === 'syncDirectory' && path === dirname(join(running.blobs, planned.key)));
  await recover(running.service.services);
  t.is((await planned.state()).state, 'completing');
  running.failing(null);
  await running.db('uploads').where({ id: planned.upload.upload_id }).update({ lease_until: 1 });
  await recover(running.service.services);
  t.is((await planned.state()).state, 'committed');
  t.false(await exists(folderOf(running, planned)));
  t.is(await fileState(running, planned.id), 'stored');
  t.is((await running.api.post(`/v1/packages/${planned.id}/finalize`)).body.status, 'finalized');
  const read = await running.api.get(`/v1/packages/${planned.id}/files/f`);
  t.is(read.headers.get('etag'), `"${sha256(planned.bytes)}"`);
});

test('completing without a clean answer, where other bytes stand: digest_mismatch, and they are left to the sweep', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await stall(running, planned);
  const others = randomBytes(1_000);
  await putObject(running, planned, others);
  await recover(running.service.services);
  t.like(await planned.state(), { state: 'failed', failure: { code: 'digest_mismatch' } });
  t.deepEqual(await readFile(join(running.blobs, planned.key)), others);
  const row = running.db('uploads').where({ id: planned.upload.upload_id });
  t.true(Boolean((await row.first('drop_later')).drop_later));
  await sendsAgain(t, running, planned);
});

test('an object that was linked, but not made to last, is left to the sweep, and the bytes are sent again', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  const folder = dirname(join(running.blobs, planned.key));
  let failed = 0;
  running.failing(({ name, path }) => name === 'syncDirectory' && path === folder && failed++ === 0);
  const answer = await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`);
  t.is(answer.body.code, 'upload_abandoned');
  t.deepEqual(await readFile(join(running.blobs, planned.key)), planned.bytes);
  await sendsAgain(t, running, planned);
  running.service.sleepDays(40);
  t.like(await sweepOf(running.api, { apply: true }), { state: 'done', report: { freed: { count: 1 } } });
  t.false(await exists(join(running.blobs, planned.key)), 'a live object has its bytes');
  t.is((await running.api.get(`/v1/packages/${planned.id}/files/f`)).status, 200);
});

test('an object that cannot be read after an unclean completion is given up; after a clean one, when its upload expires', async (t) => {
  for (const completed_at of [null, 1]) {
    const running = await start(t);
    const planned = await arrived(running);
    await stall(running, planned, { completed_at });
    await putObject(running, planned, planned.bytes);
    running.failing(({ name, path }) => name === 'open' && path.endsWith(planned.key));
    await recover(running.service.services);
    if (completed_at !== null) {
      t.is((await planned.state()).state, 'completing');
      running.service.sleepDays(40);
      await recover(running.service.services);
    }
    t.like(await planned.state(), { state: 'failed', failure: { code: 'upload_abandoned' } });
    await sendsAgain(t, running, planned);
    t.true(await exists(join(running.blobs, planned.key)));
  }
});

test('a folder that is away says nothing of a completion', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await stall(running, planned);
  await putObject(running, planned, planned.bytes);
  const away = `${running.blobs}-away`;
  await rename(running.blobs, away);
  await mkdir(running.blobs);
  await recover(running.service.services);
  t.is((await planned.state()).state, 'completing');
  await rmdir(running.blobs);
  await rename(away, running.blobs);
  await stall(running, planned);
  await recover(running.service.services);
  t.is((await planned.state()).state, 'committed');
});

test('a key that storage cannot remove now is removed later', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  const failure = JSON.stringify({ code: 'digest_mismatch', detail: 'Other bytes.' });
  await stall(running, planned, { state: 'failed', completed_at: 1, failure, drop_key: true });
  await putObject(running, planned, randomBytes(1_000));
  running.failing(({ name, path }) => name === 'unlink' && path.endsWith(planned.key));
  await recover(running.service.services);
  t.true(await exists(join(running.blobs, planned.key)));
  running.failing(null);
  await recover(running.service.services);
  t.false(await exists(join(running.blobs, planned.key)));
});

test('completed cleanly, but not recorded: read back, verified, and committed', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await stall(running, planned, { completed_at: 1 });
  await putObject(running, planned, planned.bytes);
  await recover(running.service.services);
  t.is((await planned.state()).state, 'committed');
  t.is(await fileState(running, planned.id), 'stored');
  t.is((await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`)).body.state, 'stored');
  const read = await running.api.get(`/v1/packages/${planned.id}/files/f`);
  t.is(read.headers.get('etag'), `"${sha256(planned.bytes)}"`);
  t.is((await running.api.post(`/v1/packages/${planned.id}/finalize`)).status, 200);
  t.deepEqual(
    (await audited(running, planned.id))
      .filter(({ action }) => action === 'upload.committed')
      .map(({ actor }) => actor),
    ['artifact-store'],
  );
});

test('completed cleanly by somebody who died, but with other bytes: digest_mismatch with both digests; what stands is left to the sweep', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  await stall(running, planned, { completed_at: 1 });
  const others = randomBytes(1_000);
  await putObject(running, planned, others);
  await recover(running.service.services);
  t.like(await planned.state(), { state: 'failed', failure: { code: 'digest_mismatch' } });
  t.deepEqual(await readFile(join(running.blobs, planned.key)), others);
  t.is(await fileState(running, planned.id), 'missing');
  const answer = await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`);
  t.is(answer.status, 422);
  t.like(answer.body, { expected_digest: sha256(planned.bytes), actual_digest: sha256(others) });
  t.is((await running.api.post(`/v1/packages/${planned.id}/finalize`)).body.code, 'files_missing');
  await sendsAgain(t, running, planned);
});

test('an instance that still has its lease is left alone; a start of the service ends all leases', async (t) => {
  const dataDir = await tempFolder(t);
  const running = await start(t, dataDir);
  const planned = await arrived(running);
  await stall(running, planned, { lease_until: Date.now() + 3_600_000 });
  await recover(running.service.services);
  t.is((await planned.state()).state, 'completing');
  await running.service.stop();
  const again = await start(t, dataDir);
  const { body } = await again.api.get(`/v1/uploads/${planned.upload.upload_id}`);
  t.like(body, { state: 'failed', failure: { code: 'upload_abandoned' } });
});

test('a commit that storage interrupted is abandoned at once, and the bytes are sent again', async (t) => {
  const running = await start(t);
  const planned = await arrived(running);
  running.failing(({ name, to }) => name === 'link' && (to ?? '').includes('objects'));
  const refused = await running.api.post(`/v1/uploads/${planned.upload.upload_id}/commit`);
  t.is(refused.status, 409);
  t.is(refused.body.code, 'upload_abandoned');
  running.failing(null);
  t.deepEqual(await readdir(join(running.blobs, 'spool')), []);
  await sendsAgain(t, running, planned);
});

test('sealed but not finalized: recovery finishes it, in the name of the one who sealed it', async (t) => {
  const running = await start(t);
  const { api, service } = running;
  const id = await api.create();
  await api.store(id, { f: 'the bytes' });
  running.failing(({ name, to }) => name === 'link' && (to ?? '').endsWith('manifest.json'));
  t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 503);
  const sealed = (await api.get(`/v1/packages/${id}`)).body;
  t.is(sealed.status, 'uploading');
  const late = await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'g', digest: sha256('g'), size: 1 }] });
  t.is(late.body.code, 'package_sealed', 'no file may change any more');
  await recover(service.services);
  t.is((await api.get(`/v1/packages/${id}`)).body.status, 'uploading', 'while storage fails it stays as it is');
  running.failing(null);
  await recover(service.services);
  const done = (await api.get(`/v1/packages/${id}`)).body;
  t.is(done.status, 'finalized');
  t.is(sha256(await (await fetch(`${service.url}/v1/packages/${id}/manifest`)).text()), done.manifest_digest);
  t.deepEqual(
    (await audited(running, id))
      .filter(({ action }) => action === 'package.sealed' || action === 'package.finalized')
      .map(({ action, actor }) => `${action} by ${actor}`),
    ['package.sealed by local', 'package.finalized by local'],
  );
  t.deepEqual((await api.post(`/v1/packages/${id}/finalize`)).body, done);
});

test('a manifest that was written, but not recorded, is the one that recovery records after a restart', async (t) => {
  const dataDir = await tempFolder(t);
  const running = await start(t, dataDir);
  const id = await running.api.create();
  await running.api.store(id, { f: 'the bytes' });
  // The directory cannot be synced once the manifest stands in it.
  running.failing(({ name, path }) => name === 'syncDirectory' && path.endsWith(id));
  t.is((await running.api.post(`/v1/packages/${id}/finalize`)).status, 503);
  const file = join(running.blobs, 'packages', id, 'manifest.json');
  const { ino } = await stat(file);
  await running.service.stop();
  const { api } = await start(t, dataDir);
  t.is((await api.get(`/v1/packages/${id}`)).body.status, 'finalized');
  t.is((await stat(file)).ino, ino);
});

test('recoveries that run at once end everything once', async (t) => {
  const running = await start(t);
  const { api, db, service } = running;
  const expired = await arrived(running);
  await db('uploads').where({ id: expired.upload.upload_id }).update({ expires_at: 1 });
  const dead = await arrived(running);
  await stall(running, dead);
  const completed = await arrived(running);
  await stall(running, completed, { completed_at: 1 });
  await putObject(running, completed, completed.bytes);
  const sealed = await api.create();
  await api.store(sealed, { f: 'sealed' });
  running.failing(({ name, to }) => name === 'link' && (to ?? '').endsWith('manifest.json'));
  await api.post(`/v1/packages/${sealed}/finalize`);
  running.failing(null);

  // Another replica of the service, beside two runs of the same.
  const replica = { ...service.services, instance: 'another replica', running: new Map() };
  await Promise.all([recover(service.services), recover(replica), recover(service.services)]);
  t.is((await expired.state()).state, 'aborted');
  t.is((await dead.state()).state, 'failed');
  t.is((await completed.state()).state, 'committed');
  t.is((await api.get(`/v1/packages/${sealed}`)).body.status, 'finalized');
  const actions = async (id: string): Promise<string[]> =>
    (await audited(running, id))
      .map(({ action }) => action)
      .filter((action) => /^upload\.(committed|failed|aborted)$|finalized$/.test(action));
  t.deepEqual(await actions(dead.id), ['upload.failed']);
  t.deepEqual(await actions(completed.id), ['upload.committed']);
  t.is((await actions(sealed)).filter((action) => action === 'package.finalized').length, 1);
  t.is((await db('objects').where({ key: completed.key })).length, 1);
  await sendsAgain(t, running, dead);
});

test('a start removes what no open upload needs, and nothing else', async (t) => {
  const dataDir = await tempFolder(t);
  const first = await start(t, dataDir);
  const living = await arrived(first);
  const lost = await arrived(first);
  const over = await arrived(first);
  await first.api.post(`/v1/uploads/${over.upload.upload_id}/commit`);
  await first.service.stop();
  // As from a backup: the registry knows the upload, the folder is not in it.
  await rm(folderOf(first, lost), { recursive: true });

  const uploads = join(first.blobs, 'uploads');
  const unknown = newId('upl', Date.now());
  for (const id of [unknown, over.upload.upload_id as string]) {
    await mkdir(join(uploads, id));
    await writeFile(join(uploads, id, `1.${'0'.repeat(64)}`), 'what a crash left');
  }
  const spool = join(first.blobs, 'spool');
  await writeFile(join(spool, 'half-a-body'), 'what a crash left');
  await mkdir(join(spool, 'taken'));
  await writeFile(join(spool, 'taken', 'part'), 'what a crash left');

  const second = await start(t, dataDir);
  t.deepEqual(await readdir(spool), []);
  const ids = [living, lost].map(({ upload }) => upload.upload_id as string);
  t.deepEqual((await readdir(uploads)).toSorted(), ids.toSorted());
  const objects = [{ digest: sha256(lost.bytes), size: lost.bytes.length }];
  const again = (await second.api.post(`/v1/packages/${lost.id}/uploads`, { objects })).body.uploads[0];
  t.is(again.upload_id, lost.upload.upload_id);
  t.is((await second.api.send(again.parts[0], lost.bytes)).status, 200);
  const planned = (await second.api.get(`/v1/uploads/${living.upload.upload_id}`)).body;
  t.is(planned.state, 'open');
  t.deepEqual(
    planned.parts.map((part: { received: boolean }) => part.received),
    [true],
  );
  t.is((await second.api.post(`/v1/uploads/${living.upload.upload_id}/commit`)).body.state, 'stored');
  t.is((await second.api.get(`/v1/packages/${over.id}/files/f`)).status, 200);
});
