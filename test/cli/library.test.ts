import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import {
  ArtifactStoreError,
  type Client,
  type ClientOptions,
  createClient,
  type Progress,
} from '../../cli/library/client.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** What programs are given (docs/client.md), against a real service; as an installed package: installed.test.ts. */
const test = anyTest as TestFn<{ service: TestService; client: Client; cache: { XDG_CACHE_HOME: string } }>;

test.before(async (t) => {
  const service = await startTestService();
  const cache = { XDG_CACHE_HOME: join(service.dataDir, 'client-cache') };
  t.context = { service, cache, client: createClient({ url: service.url, env: cache }) };
});

test.after.always(async (t) => {
  t.context.client?.close();
  await t.context.service?.dispose();
});

/** As a token of GitHub looks, and in two, so that this file has none. */
const SECRET = `ghp_${'0123456789abcdefghijABCDEFGHIJklmnop'}`;
const LARGE = Buffer.alloc(5 * 1024 ** 2, 'evidence, ');

/** That it fails so. @returns its error */
async function fails(t: ExecutionContext, work: Promise<unknown>, code: string, status: number | null = null) {
  const error = await t.throwsAsync<ArtifactStoreError>(work, { instanceOf: ArtifactStoreError });
  t.is(error?.code, code, error?.message);
  t.is(error?.status, status);
  t.notRegex(error?.message ?? '', /--\w|artifact-store \w/, 'nothing to type');
  return error as ArtifactStoreError;
}

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('a push tells how far it is, and is the same package with the same external id', async (t) => {
  const { client } = t.context;
  const folder = await writeTree(await tempFolder(t), { 'a.txt': 'A', 'sub/large.bin': LARGE });
  const told: Progress[] = [];
  const options = { producer: 'library', externalId: 'one', subject: 's', metadata: { branch: 'main', build: 7 } };
  const pushed = await client.push(folder, { ...options, name: 'first', onProgress: (now) => told.push(now) });
  t.like(pushed, { status: 'finalized', reused: false, file_count: 2, total_size: LARGE.length + 1, secret_count: 0 });
  t.deepEqual(told.at(-1), {
    phase: 'finalizing',
    files: 2,
    totalFiles: 2,
    bytes: LARGE.length + 1,
    totalBytes: LARGE.length + 1,
  });
  t.like(await client.push(folder, { ...options, name: 'first' }), { id: pushed.id, reused: true });
  await writeFile(join(folder, 'a.txt'), 'B');
  const { details } = await fails(t, client.push(folder, { ...options, name: 'first' }), 'package_differs');
  t.like(details, { package_id: pushed.id, differences: { changed: ['a.txt'] } });
  const revision = await client.push(folder, { ...options, name: 'first', revision: true });
  t.is((await client.packages.get(revision.id)).supersedes, pushed.id);

  const found = await allOf(client.packages.list({ externalId: 'one', metadata: { build: 7 } }));
  t.deepEqual(
    found.map(({ id }) => id),
    [revision.id, pushed.id],
  );
  t.deepEqual(await allOf(client.packages.list({ externalId: 'one', metadata: { build: 8 } })), []);
  const files = await allOf(client.packages.files(pushed.id));
  t.deepEqual(
    files.map(({ path, size, state }) => [path, size, state]),
    [
      ['a.txt', 1, 'stored'],
      ['sub/large.bin', LARGE.length, 'stored'],
    ],
  );
  const manifest = JSON.parse(Buffer.from(await client.packages.manifest(pushed.id)).toString());
  t.is(manifest.package.id, pushed.id);
  t.truthy(JSON.parse(Buffer.from(await client.packages.attestation(pushed.id)).toString()).payload);
});

test('warnings, notes and refusals of secrets reach the program, and nothing the terminal', async (t) => {
  const { service, cache } = t.context;
  const notes: string[] = [];
  const warnings: string[] = [];
  const client = createClient({ url: service.url, env: cache, onNote: (text) => notes.push(text) });
  t.teardown(() => client.close());
  const folder = await writeTree(await tempFolder(t), { 'run.log': `token = ${SECRET}\n`, 'b.tmp': 'b' });
  const options = { producer: 'library', exclude: ['*.tmp'] };
  const pushed = await client.push(folder, { ...options, onWarning: (text) => warnings.push(text) });
  t.is(pushed.secret_count, 1);
  t.like(pushed.secrets?.[0], { path: 'run.log', line: 1, accepted: false });
  t.regex(warnings.join('\n'), /run\.log/);
  t.regex(notes.join('\n'), /left out/);
  await fails(t, client.push(folder, { ...options, secrets: 'refuse' }), 'secrets_found');
});

test('a file streams, whole or a range of it, and is read into memory up to a bound', async (t) => {
  const { client } = t.context;
  const noise = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * index * 31) % 251));
  const folder = await writeTree(await tempFolder(t), {
    'large.bin': LARGE,
    'noise.bin': noise,
    'a b/ä?.txt': 'A',
    empty: '',
  });
  const { id } = await client.push(folder, { producer: 'library' });
  const { body, size, digest } = await client.openFile(id, 'large.bin');
  t.is(size, LARGE.length);
  t.regex(digest, /^sha256:[0-9a-f]{64}$/);
  t.true((await buffer(body)).equals(LARGE));
  for (const [path, bytes] of [
    ['large.bin', LARGE],
    ['noise.bin', noise],
  ] as const) {
    for (const [offset, length] of [
      [0, 1],
      [1_234, 100_000],
      [bytes.length - 1, 1],
      [7, 0],
    ] as const) {
      const part = await client.openFile(id, path, { range: { offset, length } });
      t.true((await buffer(part.body)).equals(bytes.subarray(offset, offset + length)), `${path} ${offset}+${length}`);
    }
  }
  t.is(Buffer.from(await client.readFile(id, 'a b/ä?.txt')).toString(), 'A');
  t.is((await client.readFile(id, 'empty')).length, 0);
  await fails(t, client.readFile(id, 'large.bin', { maxBytes: LARGE.length - 1 }), 'file_too_large');
  await fails(t, client.openFile(id, 'noise.bin', { range: { offset: noise.length, length: 1 } }), 'bad_range');
  await fails(t, client.openFile(id, 'no such file'), 'file_not_found', 404);

  // Half read, and left.
  const { body: left } = await client.openFile(id, 'large.bin');
  for await (const chunk of left) {
    t.true(chunk.length > 0);
    break;
  }
});

test('other bytes in storage: a stream fails at its end, a range where it stands, verify and pull name the file', async (t) => {
  const { service, client } = t.context;
  // Each in an object of its own: what compresses stands in frames, what does not as it is.
  const noise = Buffer.from(await crypto.subtle.digest('SHA-512', Buffer.from('seed')));
  const folder = await writeTree(await tempFolder(t), { 'noise.bin': noise });
  const { id } = await client.push(folder, { producer: 'library', compression: 'off' });
  const objects = join(service.dataDir, 'blobs/objects');
  for (const name of await readdir(objects, { recursive: true, withFileTypes: true })) {
    if (!name.isFile()) continue;
    const file = join(name.parentPath, name.name);
    const bytes = await readFile(file);
    const at = bytes.indexOf(noise);
    if (at === -1) continue;
    bytes[at + 5] = (bytes[at + 5] as number) ^ 1;
    await rm(file);
    await writeFile(file, bytes);
  }
  const { body } = await client.openFile(id, 'noise.bin');
  const got: Uint8Array[] = [];
  const reading = (async () => {
    for await (const chunk of body) got.push(chunk);
  })();
  await fails(t, reading, 'integrity_failure');
  t.is(Buffer.concat(got).length, noise.length);
  await fails(t, client.readFile(id, 'noise.bin'), 'integrity_failure');
  const { failures, files } = await client.verify(id);
  t.is(files, 1);
  t.deepEqual(
    failures.map(({ path }) => path),
    ['noise.bin'],
  );
  const { details } = await fails(t, client.pull(id, join(await tempFolder(t), 'copy')), 'integrity_failure');
  t.like(details, { path: 'noise.bin' });
});

test('a pull says what it did, and refuses what would be replaced', async (t) => {
  const { client } = t.context;
  const folder = await writeTree(await tempFolder(t), { 'a.txt': 'A', 'b/c.log': 'C' });
  const { id } = await client.push(folder, { producer: 'library' });
  const copy = join(await tempFolder(t), 'copy');
  const told: Progress[] = [];
  t.like(await client.pull(id, copy, { glob: '**/*.log' }), { files: 1, bytes: 1, skipped: 0 });
  t.like(await client.pull(id, copy, { onProgress: (now) => told.push(now) }), { files: 1, skipped: 1 });
  t.like(told.at(-1), { files: 1, totalFiles: 1 });
  t.deepEqual(await readTree(copy), await readTree(folder));
  await writeFile(join(copy, 'a.txt'), 'other');
  await fails(t, client.pull(id, copy), 'file_differs');
  t.like(await client.verify(id), { files: 2, bytes: 2, deleted: 0, failures: [] });
});

test('waiting ends when somebody finalizes, fails or deletes the package, or nobody wants to wait', async (t) => {
  const { client, service } = t.context;
  const folder = await writeTree(await tempFolder(t), { 'a.txt': 'A' });
  const open = (name: string) => client.push(folder, { producer: 'library', name, finalize: false });
  const { id, status } = await open('waited for');
  t.is(status, 'uploading');
  const waiting = client.waitForFinalized(id, { everyMs: 20 });
  const late = t.throwsAsync(client.waitForFinalized(id, { signal: AbortSignal.timeout(50) }), {
    name: 'TimeoutError',
  });
  await late;
  await client.packages.finalize(id);
  t.is((await waiting).status, 'finalized');
  t.is((await client.waitForFinalized(id)).id, id);
  const other = await open('failed');
  const failing = fails(t, client.waitForFinalized(other.id, { everyMs: 20 }), 'package_failed');
  const post = (path: string) =>
    fetch(`${service.url}/v1/packages/${other.id}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"reason": "the run was wrong"}',
    });
  t.true((await post('/fail')).ok);
  t.regex((await failing).message, /the run was wrong/);
  await client.packages.delete(other.id, 'not needed');
  await fails(t, client.waitForFinalized(other.id), 'package_deleted');
});

test('retention and holds', async (t) => {
  const { client } = t.context;
  const folder = await writeTree(await tempFolder(t), { 'a.txt': 'A' });
  const { id, expires_at } = await client.push(folder, {
    producer: 'library',
    fileRules: [{ path: '*.txt', days: 3 }],
  });
  const days = await client.retention.extend(id, { days: 2, reason: 'r' });
  t.is(Date.parse(days.expires_at as string) - Date.parse(expires_at as string), 2 * 86_400_000);
  const until = new Date(Date.parse(days.expires_at as string) + 1_000);
  t.is((await client.retention.extend(id, { until, reason: 'r' })).expires_at, until.toISOString());
  await fails(t, client.retention.extend(id, { until: 'never', reason: 'r' }), 'wrong_usage');
  const hold = await client.retention.hold(id, { reason: 'disputed', reference: 'CASE-17' });
  t.like(await client.retention.get(id), { held: true, reason: 'held' });
  await fails(t, client.packages.delete(id, 'r'), 'held', 409);
  t.truthy((await client.retention.release(id, hold.id, 'closed')).released_at);
  await fails(t, client.packages.delete(id, 'r'), 'retention_active', 409);
});

test('an aborted signal ends the work with its reason, and nothing else', async (t) => {
  const { client } = t.context;
  const folder = await writeTree(await tempFolder(t), { 'large.bin': LARGE });
  const reason = new Error('no longer wanted');
  const aborted = AbortSignal.abort(reason);
  await t.throwsAsync(client.push(folder, { producer: 'library', signal: aborted }), { is: reason });
  await t.throwsAsync(allOf(client.packages.list({}, { signal: aborted })), { is: reason });
  const early = new AbortController();
  await writeFile(join(folder, 'run.log'), `token = ${SECRET}\n`);
  // When all files were read, and before the package is finalized.
  const options = { producer: 'library', name: 'ended', signal: early.signal, onWarning: () => early.abort(reason) };
  await t.throwsAsync(client.push(folder, options), { is: reason });
  const left = await allOf(client.packages.list({ producer: 'library', status: 'uploading' }));
  t.is(left.filter(({ name }) => name === 'ended').length, 1, 'and can be continued');
  const { id } = await client.push(folder, { producer: 'library' });
  const later = new AbortController();
  const { body } = await client.openFile(id, 'large.bin', { signal: later.signal });
  later.abort(reason);
  await t.throwsAsync(buffer(body), { is: reason });
  t.is((await client.packages.get(id)).status, 'finalized', 'other work goes on');
});

test('a client that is closed ends its work', async (t) => {
  const { service, cache, client: other } = t.context;
  const folder = await writeTree(await tempFolder(t), { 'a.txt': 'A' });
  const { id } = await other.push(folder, { producer: 'library', finalize: false });
  const client = createClient({ url: service.url, env: cache });
  const waiting = fails(t, client.waitForFinalized(id), 'client_closed');
  client.close();
  await waiting;
  await fails(t, client.packages.get(id), 'client_closed');
});

test('what cannot be is said at once, or by its code', async (t) => {
  const { service, cache } = t.context;
  const wrong = (options: Partial<ClientOptions>) =>
    t.throws(() => createClient({ url: service.url, ...options }), {
      instanceOf: ArtifactStoreError,
      code: 'wrong_usage',
    });
  wrong({ url: 'ftp://host' });
  t.notRegex(wrong({ token: 'to ken' })?.message ?? '', /to ken/);
  wrong({ token: 'a', identity: { provider: 'github' } });
  wrong({ identity: { provider: 'github' }, env: {} });
  const client = createClient({ url: 'http://127.0.0.1:1', env: cache });
  await fails(t, client.packages.get('pkg_00000000000000000000000000000000'), 'unreachable');
  await fails(t, t.context.client.packages.get('pkg_00000000000000000000000000000000'), 'package_not_found', 404);
  await fails(t, t.context.client.push(join(service.dataDir, 'nowhere'), { producer: 'p' }), 'wrong_usage');
});
