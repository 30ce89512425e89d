import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import type { Knex } from 'knex';
import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { type Answer, type Api, apiOf, sha256 } from '../support/api.ts';
import { BIN } from '../support/command.ts';
import { processEnv } from '../support/process-env.ts';
import { type Effect, type EffectName, errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { mayMount, NAMESPACE } from '../support/small-disk.ts';
import { tempFolder } from '../support/temp.ts';

/** So many looks in all, ms apart. */
const [LOOKS, LOOK_MS] = [10, 30];

/** A full disk shows at any effect that takes space: the client hears 507 `no_space`, nothing stays, the service goes on. */
interface Fault {
  name: EffectName;
  /** Only where the path, or the new name, holds this. */
  at?: string;
  /** So many of them find space yet. */
  fit?: number;
}

interface Context {
  service: TestService;
  api: Api;
  db: Knex;
  /** From now on these effects find the disk full; null: there is space again. */
  fill(fault: Fault | null): void;
  /** How often the disk was found full. */
  found(): number;
}

const test = anyTest as TestFn<Context>;

test.before(async (t) => {
  let fault: Fault | null = null;
  let found = 0;
  let fitting = 0;
  const hits = ({ name, path, to }: Effect): boolean =>
    fault?.name === name && `${path}\n${to ?? ''}`.includes(fault.at ?? '');
  const { files } = recordingFileLayer((effect) => {
    if (!hits(effect) || fitting-- > 0) return;
    found += 1;
    throw errno('ENOSPC');
  });
  let db: Knex | undefined;
  const service = await startTestService({
    files,
    limits: { single_part_max: 100, part_size: 40, min_part_size: 10 },
    connect: (file) => {
      db = connectSqlite(file);
      return db;
    },
  });
  const fill = (next: Fault | null): void => {
    fault = next;
    fitting = next?.fit ?? 0;
    found = 0;
  };
  t.context = { service, api: apiOf(service.url), db: db as Knex, fill, found: () => found };
});
test.after.always(async (t) => {
  t.context.fill?.(null);
  await t.context.service?.dispose();
});

/** Files, and upload folders even when they are empty, as seen from the blob folder. */
async function treeOf({ service }: Context): Promise<string[]> {
  const root = join(service.dataDir, 'blobs');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .map((entry) => ({ entry, path: join(entry.parentPath, entry.name).slice(root.length + 1) }))
    .filter(({ entry, path }) => entry.isFile() || /^(spool|uploads)\//.test(path))
    .map(({ path }) => path)
    .toSorted();
}

/** All that says which bytes are stored and which file is there. */
async function registered({ db }: Context): Promise<unknown> {
  return {
    files: await db('package_files').orderBy(['package_no', 'path']),
    unproven: await db('unproven_contents').orderBy(['package_no', 'blob_no', 'size']),
    blobs: await db('blobs').orderBy('digest'),
    objects: await db('objects').orderBy('id'),
    locations: await db('blob_locations').orderBy(['blob_no', 'object_no']),
    packages: await db('packages')
      .orderBy('id')
      .select('id', 'file_count', 'total_size', 'manifest_digest', 'finalized_at'),
  };
}

function isFull(t: ExecutionContext, answer: Answer, what: string): void {
  t.is(answer.status, 507, `${what}: ${JSON.stringify(answer.body)}`);
  t.is(answer.headers.get('content-type'), 'application/problem+json');
  t.is(answer.body.code, 'no_space');
  t.is(answer.body.status, 507);
  t.truthy(answer.body.detail);
  t.false(JSON.stringify(answer.body).includes('artifact-store-test-'), 'no path of this machine is told');
}

/** The request fails as it must; afterwards everything is as it was, and others are served. */
async function refusedWhileFull(
  t: ExecutionContext<Context>,
  fault: Fault,
  request: () => Promise<Answer>,
): Promise<void> {
  const { api, fill, found } = t.context;
  const what = `${fault.name} ${fault.at ?? ''}`;
  const before = { tree: await treeOf(t.context), registered: await registered(t.context) };
  fill(fault);
  isFull(t, await request(), what);
  t.true(found() > 0, `the disk was found full at ${what}`);
  t.is((await api.get('/healthz')).status, 200);
  t.is((await api.get('/v1/packages')).status, 200);
  fill(null);
  t.deepEqual({ tree: await treeOf(t.context), registered: await registered(t.context) }, before, what);
  t.is((await api.get('/readyz')).status, 200);
}

async function plan(api: Api, bytes: Buffer, partSize = bytes.length) {
  const id = await api.create();
  const digest = sha256(bytes);
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size: bytes.length }] });
  const parts: Array<{ digest: string; size: number }> = [];
  for (let at = 0; at < bytes.length; at += partSize) {
    const part = bytes.subarray(at, at + partSize);
    parts.push({ digest: sha256(part), size: part.length });
  }
  const ask = () => api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size: bytes.length, parts }] });
  return { id, ask };
}

async function send(t: ExecutionContext, api: Api, upload: PlannedUpload, bytes: Buffer): Promise<void> {
  for (const part of upload.parts) {
    const sent = await api.send(part, bytes.subarray(part.offset, part.offset + part.size));
    t.is(sent.status, 200);
  }
}

async function holds(t: ExecutionContext, { service }: Context, id: string, path: string, bytes: Buffer) {
  const answer = await fetch(`${service.url}/v1/packages/${id}/files/${path}`);
  t.true(bytes.equals(Buffer.from(await answer.arrayBuffer())));
}

test.serial('planning an upload: mkdir', async (t) => {
  const { api } = t.context;
  const bytes = randomBytes(50);
  const { id, ask } = await plan(api, bytes);
  await refusedWhileFull(t, { name: 'mkdir', at: 'uploads' }, ask);
  const upload = (await ask()).body.uploads[0] as PlannedUpload;
  await send(t, api, upload, bytes);
  t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
  await holds(t, t.context, id, 'f', bytes);
});

for (const name of ['create', 'write', 'sync', 'link'] as const) {
  test.serial(`PUT of a part: ${name}`, async (t) => {
    const { api } = t.context;
    const bytes = randomBytes(50);
    const { id, ask } = await plan(api, bytes);
    const upload = (await ask()).body.uploads[0] as PlannedUpload;
    const part = upload.parts[0] as PartRequest;
    await refusedWhileFull(t, { name }, () => api.send(part, bytes));
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.code, 'upload_incomplete');
    t.is((await api.send(part, bytes)).status, 200, 'the same request');
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
    await holds(t, t.context, id, 'f', bytes);
  });
}

test.serial('PUT of a large part, which a thread hashes: write', async (t) => {
  let fitting = Number.POSITIVE_INFINITY;
  const { files } = recordingFileLayer(({ name }) => {
    if (name === 'write' && fitting-- <= 0) throw errno('ENOSPC');
  });
  const service = await startTestService({ files });
  t.teardown(() => service.dispose());
  const api = apiOf(service.url);
  const bytes = randomBytes(9 * 1024 ** 2);
  const { id, ask } = await plan(api, bytes);
  const upload = (await ask()).body.uploads[0] as PlannedUpload;
  const part = upload.parts[0] as PartRequest;
  fitting = 20;
  isFull(t, await api.send(part, bytes), 'write');
  fitting = Number.POSITIVE_INFINITY;
  t.deepEqual(await readdir(join(service.dataDir, 'blobs', 'spool')), []);
  t.is((await api.send(part, bytes)).status, 200, 'the same request');
  t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
  await holds(t, { ...t.context, service }, id, 'f', bytes);
});

for (const name of ['create', 'write', 'sync', 'link', 'mkdir'] as const) {
  test.serial(`commit of many parts: ${name}`, async (t) => {
    const { api } = t.context;
    const bytes = randomBytes(110);
    const { id, ask } = await plan(api, bytes, 40);
    const empty = { tree: await treeOf(t.context), registered: await registered(t.context) };
    const upload = (await ask()).body.uploads[0] as PlannedUpload;
    await send(t, api, upload, bytes);
    const commit = () => api.post(`/v1/uploads/${upload.upload_id}/commit`);
    const { fill, found } = t.context;
    fill({ name });
    isFull(t, await commit(), name);
    t.true(found() > 0);
    t.is((await api.get('/healthz')).status, 200);
    fill(null);
    t.deepEqual({ tree: await treeOf(t.context), registered: await registered(t.context) }, empty);
    isFull(t, await commit(), 'a key is never completed twice');
    t.like((await api.get(`/v1/uploads/${upload.upload_id}`)).body, { state: 'failed', failure: { code: 'no_space' } });
    t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
    const again = (await ask()).body.uploads[0] as PlannedUpload;
    t.not(again.upload_id, upload.upload_id);
    await send(t, api, again, bytes);
    t.is((await api.post(`/v1/uploads/${again.upload_id}/commit`)).status, 200);
    await holds(t, t.context, id, 'f', bytes);
  });
}

const FILE_FAULTS: Fault[] = [
  { name: 'create' },
  { name: 'write' },
  { name: 'sync' },
  { name: 'mkdir', at: 'uploads' },
  { name: 'link', at: 'uploads' },
  { name: 'syncDirectory', at: 'uploads/upl_' },
  { name: 'mkdir', at: 'objects' },
  { name: 'link', at: 'objects' },
];
for (const fault of FILE_FAULTS) {
  test.serial(`PUT of a file: ${fault.name} ${fault.at ?? ''}`, async (t) => {
    const { api } = t.context;
    const bytes = randomBytes(50);
    const id = await api.create();
    const put = () => api.call('PUT', `/v1/packages/${id}/files/f`, bytes);
    await refusedWhileFull(t, fault, put);
    t.is((await api.get(`/v1/packages/${id}/files/f`)).body.code, 'file_not_found');
    t.is((await put()).status, 201, 'the same request');
    await holds(t, t.context, id, 'f', bytes);
  });
}

for (const name of ['create', 'write', 'sync', 'link', 'mkdir'] as const) {
  test.serial(`finalize: ${name}`, async (t) => {
    const { api } = t.context;
    const id = await api.create();
    await api.store(id, { f: randomBytes(50) });
    const finalize = () => api.post(`/v1/packages/${id}/finalize`);
    await refusedWhileFull(t, { name }, finalize);
    t.is((await api.get(`/v1/packages/${id}`)).body.status, 'uploading');
    t.is((await api.get(`/v1/packages/${id}/manifest`)).body.code, 'package_not_finalized');
    const done = await finalize();
    t.is(done.status, 200, 'the same request');
    const manifest = await (await fetch(`${t.context.service.url}/v1/packages/${id}/manifest`)).text();
    t.is(sha256(manifest), done.body.manifest_digest);
  });
}

test.serial('the rest of a body that is refused half way is not read, nor what follows it', async (t) => {
  const { api, service, fill } = t.context;
  const id = await api.create();
  fill({ name: 'write', fit: 2 });
  const { host, port } = new URL(service.url);
  const socket = connect(Number(port), '127.0.0.1');
  let answers = '';
  socket.setEncoding('latin1').on('data', (text) => {
    answers += text;
  });
  // The service closes while this still writes.
  socket.on('error', () => {});
  // More than sockets hold: whatever is not read stays between the client and its next request.
  const bytes = randomBytes(32 * 1024 ** 2);
  socket.write(`PUT /v1/packages/${id}/files/f HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes.length}\r\n\r\n`);
  socket.write(bytes);
  socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  fill(null);
  t.deepEqual(
    [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['507'],
  );
  t.regex(answers, /^Connection: close$/im);
  t.is((await api.get('/healthz')).status, 200);
});

// A disk that is really full: a small tmpfs in a mount namespace of the service's own, which ends with its process.

/** The service on 8 MiB, of which the ballast takes 4; `folder` is the disk as seen from here. */
async function startOnSmallDisk(t: ExecutionContext) {
  const mount = await tempFolder(t);
  const serve = [process.execPath, BIN, 'serve', '--port', '0', '--data-dir', join(mount, 'data'), '--json'];
  const script =
    'mount -t tmpfs -o size=8m tmpfs "$1" && head -c 4194304 /dev/zero >"$1/ballast" && shift && exec "$@"';
  const child = spawn('unshare', [...NAMESPACE, 'sh', '-c', script, 'sh', mount, ...serve], {
    env: processEnv({ ARTIFACT_STORE_LOG_LEVEL: 'silent' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const api = apiOf((JSON.parse(line) as { url: string }).url);
  return { api, folder: `/proc/${child.pid}/root${mount}`, stop: () => child.kill('SIGTERM') && closed };
}

/** What stays: the service writes files of its own there for a moment, when it starts and now and then. */
async function temporaries(folder: string): Promise<string[]> {
  const blobs = join(folder, 'data/blobs');
  const seen = async () => (await Promise.all(['spool', 'uploads'].map((name) => readdir(join(blobs, name))))).flat();
  let stay = await seen();
  for (let looks = 0; looks < LOOKS; looks++) {
    await sleep(LOOK_MS);
    const there = new Set(await seen());
    stay = stay.filter((name) => there.has(name));
  }
  return stay;
}

if (!mayMount()) console.log('# this user may not mount: the disk that is really full is not tested here');
else {
  test.serial('a disk that is really full, to its last byte', async (t) => {
    const { api, folder, stop } = await startOnSmallDisk(t);
    const id = await api.create();
    const large = randomBytes(5 * 1024 ** 2);
    const putLarge = () => api.call('PUT', `/v1/packages/${id}/files/large`, large);
    isFull(t, await putLarge(), 'a file that does not fit');
    t.deepEqual(await temporaries(folder), []);
    t.is((await api.get(`/v1/packages/${id}`)).body.file_count, 0);

    const planned = await plan(api, large);
    const upload = (await planned.ask()).body.uploads[0] as PlannedUpload;
    const part = upload.parts[0] as PartRequest;
    isFull(t, await api.send(part, large), 'a part that does not fit');
    t.deepEqual(await temporaries(folder), [upload.upload_id]);

    // Smaller and smaller files, until nothing fits any more: neither bytes nor rows.
    const stored = new Map<string, Buffer>();
    for (const size of [256 * 1024, 16 * 1024, 1024]) {
      for (let n = 0; ; n++) {
        const bytes = randomBytes(size);
        const answer = await api.call('PUT', `/v1/packages/${id}/files/${size}/${n}`, bytes);
        if (answer.status !== 201) {
          isFull(t, answer, `file ${n} of ${size} bytes`);
          break;
        }
        stored.set(`${size}/${n}`, bytes);
      }
    }
    const fields = { name: 'rows', producer: 'tests', metadata: { much: 'x'.repeat(100_000) } };
    let created = await api.post('/v1/packages', fields);
    for (let n = 0; n < 100 && created.status === 201; n++) created = await api.post('/v1/packages', fields);
    isFull(t, created, 'a registry that is full');

    t.is((await api.get('/healthz')).status, 200);
    t.like((await api.get('/readyz')).body, { status: 'not_ready', blob_store: { ok: false } });
    t.true(stored.size > 3);
    const read = async (path: string) => (await api.get(`/v1/packages/${id}/files/${path}`)).headers.get('etag');
    for (const [path, bytes] of stored) t.is(await read(path), `"${sha256(bytes)}"`, 'what was acknowledged is there');

    await rm(join(folder, 'ballast'));
    t.is((await api.get('/readyz')).status, 200);
    t.is((await api.post('/v1/packages', fields)).status, 201);
    t.is((await putLarge()).status, 507, 'still larger than the disk');
    t.is((await api.call('PUT', `/v1/packages/${id}/files/last`, large.subarray(0, 1024 ** 2))).status, 201);
    const done = await api.post(`/v1/packages/${id}/finalize`);
    t.is(done.status, 200);
    t.is(done.body.file_count, stored.size + 1);
    t.deepEqual(await stop(), [0, null]);
  });
}
