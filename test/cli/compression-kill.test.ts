import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { RANGE_SIZE } from '../../cli/client/target/file-ranges.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { runCli } from '../support/cli-child.ts';
import { journaled, privateFolders, untilJournaled } from '../support/pull-journal.ts';
import { isCommit, isPart, type Relay, type RelayedRequest, startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const KIB = 1024;
const MIB = 1024 ** 2;
const PART = 256 * KIB;
const RANGES = 4;

/** Content that compresses to about half, different at each place. */
function halfRandom(size: number): Buffer {
  return Buffer.from(randomBytes(size / 2).toString('hex'));
}

async function bench(t: ExecutionContext, files: Record<string, string | Uint8Array>) {
  const folder = await tempFolder(t);
  const limits = { single_part_max: PART, part_size: PART, min_part_size: KIB };
  const service = await startTestService({ limits });
  const relay = await startRelay(service.url);
  t.teardown(async () => {
    await relay.close();
    await service.dispose();
  });
  const run = await writeTree(join(folder, 'run'), files);
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (args: string[], onSpawn?: (child: ChildProcess) => void) =>
    runCli([...args, '--json', '--parallel', '1'], { env, cwd: folder, ...(onSpawn ? { onSpawn } : {}) });
  const copy = join(folder, 'copy');
  return {
    relay,
    run,
    copy,
    push: (onSpawn?: (child: ChildProcess) => void) => cli(['push', run, '--producer', 'tests'], onSpawn),
    pull: (id: string, onSpawn?: (child: ChildProcess) => void) => cli(['pull', id, copy], onSpawn),
    async rows<Found>(query: (db: Knex) => PromiseLike<Found>): Promise<Found> {
      const db = connectSqlite(join(service.dataDir, 'registry.sqlite'));
      return Promise.resolve(query(db)).finally(() => db.destroy());
    },
  };
}

/** Passes `count` such requests on, and at the next one kills, leaving the request without an answer. */
function killAt(
  relay: Relay,
  isOne: (request: RelayedRequest) => boolean,
  count: number,
  ready: () => Promise<void> = async () => {},
): (child: ChildProcess) => void {
  let child: ChildProcess | undefined;
  let seen = 0;
  relay.before = async (request) => {
    if (!isOne(request)) return 'pass';
    seen += 1;
    if (seen <= count) return 'pass';
    await ready();
    child?.kill('SIGKILL');
    return new Promise<never>(() => {});
  };
  return (spawned) => {
    child = spawned;
  };
}

const pathOf = ({ url }: RelayedRequest) => url.split('?', 1)[0] as string;

for (const count of [1, 4, 7]) {
  test(`a push that is killed after ${count} parts of an encoded file continues after them`, async (t) => {
    const place = await bench(t, { 'large.log': halfRandom(4 * MIB) });
    const { relay, push, pull, copy, run, rows } = place;
    const killed = await push(killAt(relay, isPart, count));
    t.is(killed.signal, 'SIGKILL');
    // One at a time: what came before the last one has been answered.
    const arrived = relay.seen.filter(isPart).slice(0, count).map(pathOf);
    t.is(new Set(arrived).size, count);
    relay.before = async () => 'pass';
    relay.seen.length = 0;
    const done = await push();
    t.is(done.code, 0, done.stderr + done.stdout);
    const sent = relay.seen.filter(isPart).map(pathOf);
    t.deepEqual(
      sent.filter((path) => arrived.includes(path)),
      [],
      'what arrived is not sent again',
    );
    const upload = (path: string | undefined) => path?.split('/parts/', 1)[0];
    t.is(upload(sent[0]), upload(arrived[0]), 'the same upload: compressing again gives the same stored bytes');
    const [object] = await rows((db) => db('objects').where({ kind: 'blob' }));
    t.is(object.encoding, 'zstd-seekable');
    t.is(arrived.length + sent.length, Math.ceil(object.stored_size / PART));
    t.deepEqual(await rows((db) => db('uploads').distinct('state').pluck('state')), ['committed']);
    t.is((await pull(done.json.package_id)).code, 0);
    t.deepEqual(await readTree(copy), await readTree(run));
  });
}

test('a push that is killed at the commit of an encoded pack, and of a file, ends right when it is run again', async (t) => {
  const small = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`small/${n}`, `line ${n}\n`.repeat(50 + n)]));
  const place = await bench(t, { ...small, 'large.log': halfRandom(2 * MIB) });
  const { relay, push, pull, copy, run, rows } = place;
  for (const count of [0, 1]) {
    const killed = await push(killAt(relay, isCommit, count));
    t.is(killed.signal, 'SIGKILL');
  }
  relay.before = async () => 'pass';
  const done = await push();
  t.is(done.code, 0, done.stderr + done.stdout);
  t.like(done.json, { status: 'finalized', file_count: 41 });
  const objects = await rows((db) => db('objects').whereIn('kind', ['blob', 'pack']));
  // Files that an earlier push was sure of and those that it was not are packed apart; one that is left alone is too small for a frame.
  t.deepEqual(
    [
      ...new Set(objects.filter(({ size }) => size > 1_000).map(({ kind, encoding }) => `${kind} ${encoding}`)),
    ].toSorted(),
    ['blob zstd-seekable', 'pack zstd-seekable'],
  );
  t.is((await pull(done.json.package_id)).code, 0);
  t.deepEqual(await readTree(copy), await readTree(run));
});

test('a pull that is killed in the middle of an encoded file continues where it stopped', async (t) => {
  t.timeout(180_000);
  const size = (RANGES - 1) * RANGE_SIZE + 1_000;
  const place = await bench(t, { 'large.log': halfRandom(size), 'small/a': 'a', 'small/b': 'b' });
  const { relay, push, pull, copy, run, rows } = place;
  const { package_id: id } = (await push()).json;
  const encodings = await rows((db) => db('objects').where({ kind: 'blob' }).pluck('encoding'));
  t.deepEqual(encodings, ['zstd-seekable']);
  const { id: object } = await rows((db) => db('objects').where({ kind: 'blob' }).first('id'));
  const isRange = (request: RelayedRequest): boolean =>
    request.method === 'GET' && pathOf(request) === `/v1/objects/${object}` && request.range !== undefined;
  const killed = await pull(
    id,
    killAt(relay, isRange, 2, () => untilJournaled(copy, 2)),
  );
  t.is(killed.signal, 'SIGKILL');
  t.false((await readdir(copy)).includes('large.log'), 'nothing under the final name');
  t.is(await journaled(copy), 2);
  relay.before = async () => 'pass';
  relay.seen.length = 0;
  const done = await pull(id);
  t.is(done.code, 0, done.stderr + done.stdout);
  t.is(done.json.resumed_bytes, 2 * RANGE_SIZE);
  t.is(relay.seen.filter(isRange).length, RANGES - 2);
  t.deepEqual(await readTree(copy), await readTree(run));
  t.deepEqual(await privateFolders(copy), []);
});
