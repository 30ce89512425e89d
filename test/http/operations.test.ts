import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Agent, get, type IncomingMessage, Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import type { PlannedUpload } from '../../src/api/types.ts';
import { openLog } from '../../src/log.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { operationsSuite } from '../suites/http/operations.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/service.ts';

operationsSuite(startTestService, { registry: 'sqlite', blob_store: 'folder' });

async function start(t: ExecutionContext, options: TestServiceOptions = {}): Promise<TestService> {
  const service = await startTestService(options);
  t.teardown(() => service.dispose());
  return service;
}

for (const name of ['create', 'write', 'sync'] as const) {
  test(`/readyz is 503 and names the blob store when it cannot ${name}`, async (t) => {
    let broken = false;
    const { files } = recordingFileLayer((effect) => {
      if (broken && effect.name === name) throw errno('EROFS');
    });
    const { url } = await start(t, { files });
    const api = apiOf(url);
    broken = true;
    const { status, body } = await api.get('/readyz');
    t.is(status, 503);
    t.like(body, { status: 'not_ready', registry: { ok: true }, blob_store: { ok: false } });
    t.regex(body.blob_store.error, /EROFS.*artifact-store doctor/);
    t.false(body.blob_store.capabilities.writable);
    t.is((await api.get('/healthz')).status, 200);
    broken = false;
    t.is((await api.get('/readyz')).status, 200);
  });
}

test('however many ask /readyz at once, storage is written to once', async (t) => {
  let release = (): void => {};
  let held: Promise<void> | null = null;
  const { files, effects } = recordingFileLayer(async ({ name }) => {
    if (name === 'sync') await held;
  });
  const { url } = await start(t, { files });
  const api = apiOf(url);
  held = new Promise((resolve) => {
    release = resolve;
  });
  const before = effects.length;
  const asked = Array.from({ length: 20 }, () => api.get('/readyz'));
  // All of them and this one.
  while (!(await api.get('/metrics')).body.includes('\nartifact_store_requests_under_way 21\n'));
  for (let n = 0; n < 20; n += 1) await api.get('/healthz');
  release();
  for (const { status } of await Promise.all(asked)) t.is(status, 200);
  t.true(effects.slice(before).filter(({ name }) => name === 'create').length <= 2);
});

test('/readyz is 503 and names the registry when it does not answer', async (t) => {
  let db: Knex | undefined;
  const { url } = await start(t, {
    connect: (file) => {
      db = connectSqlite(file);
      return db;
    },
  });
  await db?.destroy();
  const { status, body } = await apiOf(url).get('/readyz');
  t.is(status, 503);
  t.like(body, { status: 'not_ready', registry: { ok: false }, blob_store: { ok: true } });
  t.regex(body.registry.error, /artifact-store doctor/);
  t.is((await apiOf(url).get('/healthz')).status, 200);
});

/** A download of which nothing is read beyond its head. */
async function slowDownload(url: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (answer) => resolve(answer.pause())).once('error', reject);
  });
}

function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

test('a stop lets a slow download finish and takes no new connection', async (t) => {
  const service = await startTestService();
  const api = apiOf(service.url);
  const id = await api.create();
  // More than sockets hold, so that it cannot be under way before it is read.
  const bytes = randomBytes(24 * 1024 ** 2);
  await api.call('PUT', `/v1/packages/${id}/files/f`, bytes);
  const agent = new Agent({ keepAlive: true });
  const port = Number(new URL(service.url).port);
  let impatient = 0;
  const watch = (message: unknown): void => {
    const { server, socket } = message as { server: Server; socket: Socket };
    if (socket.localPort !== port) return;
    // Connections are kept for ever, unless the stop closes them.
    server.keepAliveTimeout = 0;
    server.closeAllConnections = () => {
      impatient += 1;
      Server.prototype.closeAllConnections.call(server);
    };
  };
  subscribe('http.server.request.start', watch);
  t.teardown(async () => {
    unsubscribe('http.server.request.start', watch);
    agent.destroy();
  });
  const answer = await slowDownload(`${service.url}/v1/packages/${id}/files/f`, agent);
  let stopped = false;
  const stopping = service.dispose().then(() => {
    stopped = true;
  });
  while (await opens(port)) await nextTurn();
  t.false(await opens(port));
  t.false(stopped, 'it waits for the download');
  const got: Buffer[] = [];
  for await (const chunk of answer) got.push(chunk as Buffer);
  t.is(sha256(Buffer.concat(got)), sha256(bytes));
  await stopping;
  t.is(impatient, 0, 'the connection was closed when nothing went on there any more, not by force');
});

test('no log line, at any level, holds a bearer token or a signature', async (t) => {
  let text = '';
  const log = openLog(
    'trace',
    new Writable({
      write(chunk, _encoding, done) {
        text += chunk;
        done();
      },
    }),
  );
  let broken = false;
  let db: Knex | undefined;
  const { files } = recordingFileLayer((effect) => {
    if (broken && effect.name !== 'close' && effect.name !== 'unlink') throw errno('EIO');
  });
  const token = `token-${randomBytes(12).toString('hex')}`;
  const service = await start(t, {
    files,
    log,
    env: { ARTIFACT_STORE_ADMIN_TOKEN: token },
    connect: (file) => {
      db = connectSqlite(file);
      return db;
    },
  });
  const secrets = new Set([token]);
  const api = apiOf(service.url, token);
  const open = apiOf(service.url);
  const bytes = Buffer.from('the bytes of a part');
  const digest = sha256(bytes);
  const id = await api.create();
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size: bytes.length }] });
  const planned = await api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size: bytes.length }] });
  const upload = planned.body.uploads[0] as PlannedUpload;
  const part = upload.parts[0] as PlannedUpload['parts'][number];
  const remember = (url: string): void => {
    secrets.add(new URL(url).searchParams.get('signature') as string);
  };
  remember(part.url);

  t.is((await open.call('PUT', part.url, Buffer.alloc(bytes.length), part.headers)).status, 400);
  broken = true;
  t.is((await open.call('PUT', part.url, bytes, part.headers)).status, 503);
  broken = false;
  const altered = new URL(part.url);
  altered.searchParams.set('signature', 'an-altered-signature');
  secrets.add('an-altered-signature');
  t.is((await open.call('PUT', altered.href, bytes, part.headers)).status, 403);
  t.is((await open.call('PUT', part.url, bytes, part.headers)).status, 200);
  t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
  const { url } = (await api.post(`/v1/packages/${id}/downloads`, {})).body.objects[0];
  remember(url);
  t.is((await open.call('GET', url)).status, 200);
  const foreign = `foreign-${randomBytes(12).toString('hex')}`;
  secrets.add(foreign);
  t.is((await apiOf(service.url, foreign).get('/v1/packages')).status, 401);
  t.is((await open.call('GET', `/v1/packages?token=${foreign}`)).status, 401);
  await db?.destroy();
  t.is((await open.call('GET', url)).status, 500, 'the registry is away');
  t.is((await api.get(`/v1/packages/${id}`)).status, 500);

  // A request is logged when its answer has gone out.
  while (text.split('"msg":"request"').length - 1 < 13) await nextTurn();
  t.is(secrets.size, 5);
  for (const secret of secrets) t.false(text.includes(secret), secret);
  t.false(/signature=|authorization/i.test(text));
  t.true(text.includes(`/v1/uploads/${upload.upload_id}/parts/1`), 'but what was asked for is there');
  t.true(text.includes('request failed'));
});
