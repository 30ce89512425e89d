import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, dirname, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import type { FileLayer } from '../../src/blobs/file-layer.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import type { SqliteThread } from '../../src/registry/sqlite-thread.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { recordingFileLayer } from '../support/recording-file-layer.ts';
import { startTestService } from '../support/service.ts';

/**
 * kill -9 keeps what was written, synced or not. What a power failure keeps is shown by order alone: nothing may begin
 * before what it counts on has ended, down to the answer that the client gets.
 */
interface Moment {
  /** `begin` and `end` of an effect or statement; `answer`: the head of a response is about to be sent. */
  when: 'begin' | 'end' | 'answer';
  name: string;
  path?: string;
  to?: string;
  bindings?: readonly unknown[];
}

interface Recorded {
  api: Api;
  db: Knex;
  /** What has happened since the last call. */
  taken(): Moment[];
}

async function start(t: ExecutionContext): Promise<Recorded> {
  const moments: Moment[] = [];
  const recorded = recordingFileLayer(({ name, path, to }) => {
    moments.push({ when: 'begin', name, path, to });
  });
  let db: Knex | undefined;
  const service = await startTestService({
    files: notingEnds(recorded.files, moments),
    limits: { single_part_max: 100, part_size: 40, min_part_size: 10 },
    connect: (file) => {
      db = notingStatements(connectSqlite(file), moments);
      return db;
    },
  });
  const port = Number(new URL(service.url).port);
  const watch = (message: unknown): void => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    if (request.socket.localPort !== port) return;
    const { writeHead } = response;
    response.writeHead = function noteAnswer(this: ServerResponse, ...args: never[]) {
      moments.push({ when: 'answer', name: String(args[0] ?? response.statusCode) });
      return writeHead.apply(this, args as never);
    } as typeof writeHead;
  };
  subscribe('http.server.request.start', watch);
  t.teardown(async () => {
    unsubscribe('http.server.request.start', watch);
    await service.dispose();
  });
  // Paths as seen from the blob folder.
  const root = `${service.dataDir}${sep}blobs`;
  const shown = (path?: string): string | undefined => path && relative(root, path);
  return {
    api: apiOf(service.url),
    db: db as Knex,
    taken: () => moments.splice(0).map((moment) => ({ ...moment, path: shown(moment.path), to: shown(moment.to) })),
  };
}

/** The recording layer notes that an effect is about to happen; this, that it has happened. */
function notingEnds(files: FileLayer, moments: Moment[]): FileLayer {
  const ended = async (name: string, path: string, work: Promise<void>, to?: string): Promise<void> => {
    await work;
    // Who does not wait for the end shall be found out.
    await sleep(20);
    moments.push({ when: 'end', name, path, to });
  };
  return {
    ...files,
    create: async (path) => {
      const file = await files.create(path);
      return {
        ...file,
        write: (bytes) => ended('write', path, file.write(bytes)),
        sync: () => ended('sync', path, file.sync()),
      };
    },
    link: (from, to) => ended('link', from, files.link(from, to), to),
    mkdir: (path) => ended('mkdir', path, files.mkdir(path)),
    syncDirectory: (path) => ended('syncDirectory', path, files.syncDirectory(path)),
  };
}

/** Every statement as SQLite's thread gets it: knex's own events do not tell when a COMMIT has ended. */
function notingStatements(db: Knex, moments: Moment[]): Knex {
  const acquire: () => Promise<SqliteThread> = db.client.acquireRawConnection.bind(db.client);
  db.client.acquireRawConnection = async () => {
    const connection = await acquire();
    const begin = connection.begin.bind(connection);
    const run = connection.run.bind(connection);
    connection.begin = () => {
      moments.push({ when: 'begin', name: BEGIN }, { when: 'end', name: BEGIN });
      begin();
    };
    connection.run = async (sql, bindings) => {
      moments.push({ when: 'begin', name: sql, bindings });
      const outcome = await run(sql, bindings);
      // Who does not wait for the end shall be found out.
      await sleep(5);
      moments.push({ when: 'end', name: sql, bindings });
      return outcome;
    };
    return connection;
  };
  return db;
}

const BEGIN = 'BEGIN';

type Which = (moment: Moment) => boolean;

const effect =
  (name: string, path: (moment: Moment) => boolean = () => true): Which =>
  (moment) =>
    moment.name === name && path(moment);

/** Asserts that, whatever else happened, each of these ended before the next one began. */
function inOrder(t: ExecutionContext, moments: readonly Moment[], steps: Array<[string, Which]>): void {
  let ended = -1;
  let before = 'the request';
  for (const [what, which] of steps) {
    const of = (when: Moment['when']): number[] =>
      moments.flatMap((moment, index) => (moment.when === when && which(moment) ? [index] : []));
    const begins = of('begin').concat(of('answer'));
    t.true(begins.length > 0, `${what} happened`);
    t.true(Math.min(...begins) > ended, `${what} began only after ${before} had ended`);
    const ends = of('end');
    t.is(ends.length, of('begin').length, `${what} had ended when the answer came`);
    ended = Math.max(...begins, ...ends);
    before = what;
  }
}

const isInsert = (table: string, { name }: Moment): boolean => name.startsWith(`insert into \`${table}\``);

/** The COMMIT of the transaction that has a statement like this. */
function commitOf(t: ExecutionContext, moments: readonly Moment[], statement: Which): Which {
  const at = moments.findIndex((moment) => moment.when === 'begin' && statement(moment));
  t.true(at >= 0, 'the statement was run');
  const begun = moments.slice(0, at).findLast(({ when, name }) => when === 'end' && /^(BEGIN|COMMIT)/.test(name));
  t.is(begun?.name, BEGIN, 'it was run inside a transaction');
  const rest = moments.slice(at);
  const begin = rest.find(({ when, name }) => when === 'begin' && /^COMMIT/.test(name)) as Moment;
  const end = rest.find(({ when, name }) => when === 'end' && /^COMMIT/.test(name)) as Moment;
  t.truthy(begin);
  t.truthy(end);
  return (moment) => moment === begin || moment === end;
}

/** The statement that says, for good, that the upload is committed. */
const recordsUpload: Which = ({ name, bindings }) =>
  /^update `uploads` set/.test(name) && (bindings ?? []).includes('committed');
const recordsObject: Which = (moment) => isInsert('objects', moment);
const sealsPackage: Which = ({ name, bindings }) =>
  /^update `packages` set/.test(name) && (bindings ?? []).includes('finalized');
const answers =
  (status: number): Which =>
  ({ when, name }) =>
    when === 'answer' && name === String(status);
const toObject: Which = ({ to }) => to?.startsWith('objects/') ?? false;
const last = (moments: Moment[], which: Which): Moment => moments.findLast(which) as Moment;

async function plan(api: Api, bytes: Buffer, partSize = bytes.length): Promise<PlannedUpload> {
  const id = await api.create();
  const digest = sha256(bytes);
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size: bytes.length }] });
  const parts: Array<{ digest: string; size: number }> = [];
  for (let at = 0; at < bytes.length; at += partSize) {
    const part = bytes.subarray(at, at + partSize);
    parts.push({ digest: sha256(part), size: part.length });
  }
  const objects = [{ digest, size: bytes.length, parts }];
  return (await api.post(`/v1/packages/${id}/uploads`, { objects })).body.uploads[0];
}

/** Sends a part, asserting that it and its name are durable before the answer. */
async function sendPart(t: ExecutionContext, { api, taken }: Recorded, part: PartRequest, bytes: Buffer) {
  taken();
  const sent = await api.send(part, bytes.subarray(part.offset, part.offset + part.size));
  t.is(sent.status, 200);
  const moments = taken();
  const toUpload: Which = ({ to }) => to?.startsWith('uploads/') ?? false;
  const { path: file, to: name } = last(moments, (moment) => moment.name === 'link' && toUpload(moment));
  inOrder(t, moments, [
    ['the write', effect('write', ({ path }) => path === file)],
    ['the sync of the file', effect('sync', ({ path }) => path === file)],
    ['the link', effect('link', toUpload)],
    ['the sync of the folder', effect('syncDirectory', ({ path }) => path === dirname(name as string))],
    ['the answer', answers(200)],
  ]);
}

/** Asserts that each directory that was made became durable, in its parent, before `then` began. */
function newDirectoriesAreDurable(t: ExecutionContext, moments: readonly Moment[], then: Which): void {
  const made = moments.filter(({ when, name }) => when === 'end' && name === 'mkdir');
  const deadline = moments.findIndex((moment) => moment.when === 'begin' && then(moment));
  for (const moment of made) {
    const parent = dirname(moment.path as string).replace(/^\.$/, '');
    const from = moments.indexOf(moment);
    const synced = moments.slice(from, deadline).some(({ when, name, path }) => {
      return when === 'end' && name === 'syncDirectory' && path === parent;
    });
    t.true(synced, `${moment.path} lasts before anything counts on it`);
  }
}

test.serial('one part: durable in its upload, linked as an object, directory synced, COMMIT, answer', async (t) => {
  const recorded = await start(t);
  const { api, taken } = recorded;
  const bytes = Buffer.from('one part of bytes');
  const upload = await plan(api, bytes);
  await sendPart(t, recorded, upload.parts[0] as PartRequest, bytes);
  t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
  const moments = taken();
  const { to: object } = last(moments, (moment) => moment.name === 'link' && toObject(moment));
  t.true(basename(object as string).endsWith(upload.upload_id as string));
  const commit = commitOf(t, moments, recordsUpload);
  t.deepEqual(moments.filter(commitOf(t, moments, recordsObject)), moments.filter(commit), 'one transaction');
  newDirectoriesAreDurable(t, moments, commit);
  inOrder(t, moments, [
    ['the link of the object', effect('link', toObject)],
    ['the sync of its directory', effect('syncDirectory', ({ path }) => path === dirname(object as string))],
    ['the COMMIT that records it', commit],
    ['the answer', answers(200)],
  ]);
  t.deepEqual(
    moments.filter(({ name }) => name === 'write' || name === 'create'),
    [],
    'no byte is copied',
  );
});

test.serial(
  'many parts: each durable; the object is written, synced, linked, directory synced, COMMIT, answer',
  async (t) => {
    const recorded = await start(t);
    const { api, taken } = recorded;
    const bytes = Buffer.from(Array.from({ length: 110 }, (_, n) => n));
    const upload = await plan(api, bytes, 40);
    t.is(upload.parts.length, 3);
    for (const part of upload.parts) await sendPart(t, recorded, part, bytes);
    taken();
    t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).status, 200);
    const moments = taken();
    const { path: file, to: object } = last(moments, (moment) => moment.name === 'link' && toObject(moment));
    const commit = commitOf(t, moments, recordsUpload);
    newDirectoriesAreDurable(t, moments, commit);
    inOrder(t, moments, [
      ['the write', effect('write', ({ path }) => path === file)],
      ['the sync of the file', effect('sync', ({ path }) => path === file)],
      ['the link of the object', effect('link', toObject)],
      ['the sync of its directory', effect('syncDirectory', ({ path }) => path === dirname(object as string))],
      ['the COMMIT that records it', commit],
      ['the answer', answers(200)],
    ]);
  },
);

test.serial('PUT of a file: written, synced, linked, directory synced, COMMIT, answer', async (t) => {
  const { api, taken } = await start(t);
  const id = await api.create();
  taken();
  t.is((await api.call('PUT', `/v1/packages/${id}/files/a/b.txt`, 'through the service')).status, 201);
  const moments = taken();
  const delivered: Which = ({ to }) => to?.startsWith('uploads/') ?? false;
  const { path: file } = last(moments, (moment) => moment.name === 'link' && delivered(moment));
  const { to: object } = last(moments, (moment) => moment.name === 'link' && toObject(moment));
  const commit = commitOf(t, moments, recordsUpload);
  const registers = commitOf(t, moments, ({ name }) =>
    /insert into package_files|insert into `package_files`/.test(name),
  );
  t.deepEqual(moments.filter(registers), moments.filter(commit), 'file and object are recorded by one transaction');
  newDirectoriesAreDurable(t, moments, commit);
  inOrder(t, moments, [
    ['the write', effect('write', ({ path }) => path === file)],
    ['the sync of the file', effect('sync', ({ path }) => path === file)],
    ['the delivery', effect('link', delivered)],
    ['the link of the object', effect('link', toObject)],
    ['the sync of its directory', effect('syncDirectory', ({ path }) => path === dirname(object as string))],
    ['the COMMIT that records it', commit],
    ['the answer', answers(201)],
  ]);
});

test.serial(
  'finalize: COMMIT that freezes, manifest and attestation durable, COMMIT that flips the status, decision durable, answer',
  async (t) => {
    const { api, taken } = await start(t);
    const id = await api.create();
    await api.store(id, { 'a.txt': 'a', 'empty.txt': '' });
    taken();
    t.is((await api.post(`/v1/packages/${id}/finalize`)).status, 200);
    const moments = taken();
    const manifest: Which = ({ to }) => to === `packages/${id}/manifest.json`;
    const attestation: Which = ({ to }) => to === `packages/${id}/attestation.json`;
    const { path: file } = last(moments, (moment) => moment.name === 'link' && manifest(moment));
    const { path: signed } = last(moments, (moment) => moment.name === 'link' && attestation(moment));
    const commit = commitOf(t, moments, sealsPackage);
    const decision: Which = ({ to }) => to?.startsWith(`packages/${id}/decisions/`) ?? false;
    newDirectoriesAreDurable(t, moments, answers(200));
    // The folder of decisions is made in the same directory.
    const told = moments.findIndex(({ path }) => path?.startsWith(`packages/${id}/decisions`));
    const signing = moments.findIndex(({ path }) => path === signed);
    inOrder(t, moments.slice(0, signing), [
      ['the COMMIT that freezes the package', commitOf(t, moments, ({ name }) => name.includes('sealed_at` ='))],
      ['the write', effect('write', ({ path }) => path === file)],
      ['the sync of the file', effect('sync', ({ path }) => path === file)],
      ['the link of the manifest', effect('link', manifest)],
      ['the sync of its directory', effect('syncDirectory', ({ path }) => path === `packages/${id}`)],
    ]);
    inOrder(t, moments.slice(signing, told), [
      ['the write of the attestation', effect('write', ({ path }) => path === signed)],
      ['the sync of that file', effect('sync', ({ path }) => path === signed)],
      ['the link of the attestation', effect('link', attestation)],
      ['the sync of its directory', effect('syncDirectory', ({ path }) => path === `packages/${id}`)],
      ['the COMMIT that flips the status', commit],
    ]);
    inOrder(t, moments, [
      ['the COMMIT that flips the status', commit],
      ['the link of the decision', effect('link', decision)],
      ['the sync of its directory', effect('syncDirectory', ({ path }) => path === `packages/${id}/decisions`)],
      ['the answer', answers(200)],
    ]);
  },
);

test.serial('a COMMIT of the registry is one that survives a power failure', async (t) => {
  const { db } = await start(t);
  t.deepEqual(await db.raw('pragma synchronous'), [{ synchronous: 2 }], 'FULL');
  t.deepEqual(await db.raw('pragma journal_mode'), [{ journal_mode: 'wal' }]);
});
