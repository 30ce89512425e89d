import { randomBytes } from 'node:crypto';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { sweepOf } from '../support/sweep.ts';
import { tempFolder } from '../support/temp.ts';

/**
 * A folder whose registry is replaced by a backup from an hour ago: objects that the backup knows as uploads under way were completed since,
 * and packages that it never heard of may need them. Nothing that starts by itself may take them away.
 */
const AT_BACKUP = ['open', 'completing', 'aborting', 'failed'] as const;
type AtBackup = (typeof AT_BACKUP)[number];

interface Sent {
  was: AtBackup;
  id: string;
  bytes: Buffer;
  upload: PlannedUpload;
}

async function arrived(api: Api, was: AtBackup): Promise<Sent> {
  const id = await api.create();
  const bytes = randomBytes(1_000);
  const object = { digest: sha256(bytes), size: bytes.length };
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
  const { body } = await api.post(`/v1/packages/${id}/uploads`, { objects: [object] });
  const upload: PlannedUpload = body.uploads[0];
  await api.send(upload.parts[0] as PartRequest, bytes);
  return { was, id, bytes, upload };
}

/** What `VACUUM INTO` gives, with uploads caught in the state that their test is about. */
function backUp({ dataDir }: TestService, file: string, sent: readonly Sent[]): void {
  const live = new DatabaseSync(join(dataDir, 'registry.sqlite'));
  live.prepare('VACUUM INTO ?').run(file);
  live.close();
  const copy = new DatabaseSync(file);
  for (const { was, upload } of sent) {
    const set = copy.prepare('UPDATE uploads SET state = ?, owner = ?, lease_until = ?, drop_key = ? WHERE id = ?');
    const under = was === 'completing';
    set.run(was, under ? 'died' : null, under ? 1 : null, was === 'failed' ? 1 : 0, upload.upload_id as string);
  }
  copy.close();
}

async function objectsOf({ dataDir }: TestService): Promise<Map<string, Buffer>> {
  const root = join(dataDir, 'blobs', 'objects');
  const found = new Map<string, Buffer>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile()) found.set(file, await readFile(file));
  }
  return found;
}

test('an older registry: what was completed since it was backed up stays, whatever its upload was then', async (t) => {
  const dataDir = await tempFolder(t);
  const start = async (): Promise<{ service: TestService; api: Api }> => {
    const service = await startTestService({ dataDir, env: { ARTIFACT_STORE_SWEEP_GRACE: '0s' } });
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  };
  const first = await start();
  const sent: Sent[] = [];
  for (const was of AT_BACKUP) sent.push(await arrived(first.api, was));
  const backup = join(await tempFolder(t), 'registry.sqlite');
  backUp(first.service, backup, sent);
  for (const { upload } of sent) {
    t.is((await first.api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.state, 'stored');
  }
  const later = await first.api.create();
  const files = sent.map(({ was, bytes }) => ({ path: was, digest: sha256(bytes), size: bytes.length }));
  await first.api.post(`/v1/packages/${later}/files`, { files });
  t.is((await first.api.post(`/v1/packages/${later}/finalize`)).body.status, 'finalized', 'it needs all of them');
  await first.service.stop();
  const before = await objectsOf(first.service);

  for (const end of ['', '-wal', '-shm']) await rm(join(dataDir, `registry.sqlite${end}`), { force: true });
  await copyFile(backup, join(dataDir, 'registry.sqlite'));
  const second = await start();
  const stands = async (): Promise<void> => {
    const now = await objectsOf(second.service);
    for (const [file, bytes] of before) t.deepEqual(now.get(file), bytes, file);
  };
  await stands();
  t.is((await second.api.get(`/v1/packages/${later}`)).status, 404);
  for (const { was, id, bytes } of sent) {
    const object = { digest: sha256(bytes), size: bytes.length };
    const [planned] = (await second.api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
    t.is(planned.state, was === 'completing' ? 'stored' : 'open', was);
    if (planned.state === 'open') {
      t.is((await second.api.send(planned.parts[0], bytes)).status, 200, 'what is sent is sent once');
      t.is((await second.api.post(`/v1/uploads/${planned.upload_id}/commit`)).body.state, 'stored');
    }
    t.is((await second.api.post(`/v1/packages/${id}/finalize`)).body.status, 'finalized');
  }
  t.like(await sweepOf(second.api, { apply: true }), { state: 'failed', error: { code: 'registry_older' } });
  await stands();
});
