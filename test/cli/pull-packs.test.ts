import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import test from 'ava';
import type { CliError } from '../../cli/errors.ts';
import { runCli } from '../support/cli-child.ts';
import { failedPaths, placeFakePackage } from '../support/fake-pull.ts';
import type { FakeFile, FakeObject } from '../support/fake-store.ts';
import { packOf } from '../support/pack.ts';
import { readTree } from '../support/tree.ts';

const KIB = 1024;

/** The files' object: a pack, its entries named in the order of the files. */
function packed(files: FakeFile[]): FakeObject {
  const { bytes, members } = packOf(files.map(({ bytes }) => bytes));
  return { bytes, entries: files.map(({ path }, index) => ({ path, offset: members[index]?.offset as number })) };
}

function randomFiles(count: number, size: number): FakeFile[] {
  return Array.from({ length: count }, (_, index) => ({ path: `group/${index}`, bytes: randomBytes(size + index) }));
}

/** How many bytes a request may bring. */
function asked({ range }: { range: string | undefined }): number {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  return Number(last) - Number(first) + 1;
}

test('a pack is read once, whatever the order of its entries, and every path gets its file', async (t) => {
  const files = randomFiles(40, 7 * KIB);
  const big = { path: 'crosses-many-chunks', bytes: randomBytes(700 * KIB) };
  const twin = { path: 'x/twin', bytes: (files[3] as FakeFile).bytes };
  const object = packed([...files, big]);
  object.entries.push({ path: 'x/twin', offset: object.entries[3]?.offset as number });
  object.entries.reverse();
  const empty = { bytes: Buffer.alloc(0), entries: [{ path: 'empty', offset: 0 }] };
  const all = [...files, big, twin, { path: 'empty', bytes: '' }];
  const { pull, verify, store, arrived } = await placeFakePackage(t, all, { objects: [object, empty] });
  const result = await pull();
  await arrived();
  t.is(result.files, 43);
  t.is(store.seen.length, 1, 'one request for the pack, none for the empty file');
  t.deepEqual(await pull().then(({ files, skipped }) => ({ files, skipped })), { files: 0, skipped: 43 });
  t.is(store.seen.length, 1, 'what is there is not read again');
  t.like(await verify(), { files: 43, failures: [] });
  t.is(store.seen.length, 2);
});

test('few of a pack: what is wanted is read, and the gaps between are not', async (t) => {
  const files = randomFiles(400, 5 * KIB).map((file, index) => ({
    ...file,
    path: [10, 12, 300].includes(index) ? `wanted/${index}` : file.path,
  }));
  const { pull, store, copy } = await placeFakePackage(t, files, { objects: [packed(files)] });
  t.is((await pull('wanted/*')).files, 3);
  t.deepEqual(Object.keys(await readTree(copy)).length, 3);
  t.is(store.seen.length, 2, 'neighbours come in one request');
  const bytes = store.seen.reduce((sum, request) => sum + asked(request), 0);
  t.true(bytes < 30 * KIB, `${bytes} bytes`);
});

test('a signature that binds a range: offsets count from its first byte', async (t) => {
  const files = randomFiles(6, 3 * KIB);
  const whole = packed(files);
  const at = whole.entries.map(({ offset }) => offset) as [number, number, number, number, number, number];
  const end = at[4] + (3 * KIB + 4);
  const bound: FakeObject = {
    bytes: whole.bytes,
    size: end - at[2],
    headers: { Range: `bytes=${at[2]}-${end - 1}` },
    entries: [2, 4].map((index) => ({ path: `group/${index}`, offset: (at[index] as number) - at[2] })),
  };
  const wanted = [files[2], files[4]] as FakeFile[];
  const { pull, arrived, store } = await placeFakePackage(t, wanted, { objects: [bound] });
  await pull();
  await arrived();
  t.deepEqual(
    store.seen.map(({ range }) => range),
    [`bytes=${at[2]}-${end - 1}`],
  );
});

test('one damaged entry: it is named and not written, all others are', async (t) => {
  const files = randomFiles(30, 20 * KIB);
  const object = packed(files);
  const { offset } = object.entries[7] as { offset: number };
  object.bytes[offset + 5_000] = (object.bytes[offset + 5_000] as number) ^ 1;
  const { pull, verify, copy, expected, store, folder } = await placeFakePackage(t, files, { objects: [object] });
  const error = await t.throwsAsync<CliError>(pull());
  t.like(error, { code: 'integrity_failure', exit: 5, extras: { path: 'group/7', files: 29 } });
  t.deepEqual(failedPaths(error), ['group/7']);
  const { 'group/7': _, ...others } = expected;
  t.deepEqual(await readTree(copy), others);
  t.deepEqual(
    (await verify()).failures.map(({ path }) => path),
    ['group/7'],
  );
  const cli = await runCli(['pull', store.packageId, 'again', '--json'], {
    env: { ARTIFACT_STORE_URL: store.url },
    cwd: folder,
  });
  t.is(cli.code, 5);
  t.like(cli.json.error, { code: 'integrity_failure', path: 'group/7' });
});

test('a connection that dies in the middle: what came is not asked for again', async (t) => {
  const files = randomFiles(40, 10 * KIB);
  const object = packed(files);
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects: [object] });
  const half = object.bytes.length >> 1;
  store.serve = ({ range }, response) => {
    if (store.seen.length > 1) return false;
    const first = Number(/\d+/.exec(range ?? 'bytes=0')?.[0]);
    response.writeHead(206, { 'content-length': asked({ range }) });
    response.write(object.bytes.subarray(first, half), () => response.socket?.destroySoon());
    return true;
  };
  await pull();
  await arrived();
  t.is(store.seen.length, 2);
  t.regex(store.seen[1]?.range ?? '', new RegExp(`^bytes=${half}-`));
});

test('an object that storage cut off: what it has is written, the rest is named', async (t) => {
  const files = randomFiles(20, 10 * KIB);
  const object = packed(files);
  const size = object.bytes.length;
  const cut = { ...object, size, bytes: object.bytes.subarray(0, (object.entries[15]?.offset as number) + 10) };
  const { pull, copy, verify } = await placeFakePackage(t, files, { objects: [cut] });
  const error = await t.throwsAsync<CliError>(pull(), { code: 'integrity_failure' });
  t.is(failedPaths(error).length, 5);
  t.is(Object.keys(await readTree(copy)).length, 15);
  t.is((await verify()).failures.length, 5);
});

test('a server that ignores ranges sends everything, and the right bytes are used', async (t) => {
  const files = [...randomFiles(50, 8 * KIB), { path: 'large', bytes: randomBytes(20 * 1024 * KIB) }];
  const objects = [
    packed(files.slice(0, 50)),
    { bytes: files[50]?.bytes as Buffer, entries: [{ path: 'large', offset: 0 }] },
  ];
  const { pull, store, arrived, verify } = await placeFakePackage(t, files, { objects });
  store.serve = (_request, response, { bytes }) => {
    response.end(bytes);
    return true;
  };
  await pull();
  await arrived();
  t.deepEqual((await verify()).failures, []);
});

test('a pull survives 503, 429, 500 and resets', async (t) => {
  const files = [...randomFiles(20, 8 * KIB), { path: 'large', bytes: randomBytes(9 * 1024 * KIB) }];
  const objects = [
    packed(files.slice(0, 20)),
    { bytes: files[20]?.bytes as Buffer, entries: [{ path: 'large', offset: 0 }] },
  ];
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects });
  const troubles: Array<number | 'reset'> = [503, 'reset', 429, 'reset', 500];
  store.serve = (_request, response) => {
    const trouble = troubles.shift();
    if (trouble === undefined) return false;
    if (trouble === 'reset') response.socket?.resetAndDestroy();
    else response.writeHead(trouble).end('later');
    return true;
  };
  await pull();
  await arrived();
});

test('an expired URL: fresh ones are asked for, wherever the bytes are by then', async (t) => {
  const files = [...randomFiles(20, 8 * KIB), { path: 'large', bytes: randomBytes(17 * 1024 * KIB) }];
  const small = files.slice(0, 20);
  const old = packed(small);
  const large = { bytes: files[20]?.bytes as Buffer, entries: [{ path: 'large', offset: 0 }] };
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects: [old, large] });
  const half = old.entries[10]?.offset as number;
  const expired = new Set(['plan=1']);
  let served = 0;
  store.serve = (request, response, object) => {
    const [, plan = ''] = request.url.split('?');
    if (!expired.has(plan)) return false;
    served += 1;
    if (served > 1) {
      response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return true;
    }
    // The first half arrives; meanwhile a sweep puts what is left into another pack.
    store.objects = [packed([...small].reverse()), large];
    const first = Number(/\d+/.exec(request.range ?? '')?.[0]);
    response.writeHead(206, { 'content-length': asked(request) });
    response.write(object.bytes.subarray(first, half), () => response.socket?.destroySoon());
    return true;
  };
  await pull();
  await arrived();
  t.true(store.plans > 1);
});

test('403 that stays is refused, bytes that are gone are an integrity failure', async (t) => {
  const files = randomFiles(3, KIB);
  const { pull, store, copy } = await placeFakePackage(t, files, { objects: [packed(files)] });
  let status = 403;
  store.serve = (_request, response) => {
    response.writeHead(status).end();
    return true;
  };
  await t.throwsAsync(pull(), { name: 'ApiError', message: /403/ });
  status = 404;
  const error = await t.throwsAsync<CliError>(pull(), { code: 'integrity_failure' });
  t.is(failedPaths(error).length, 3);
  t.deepEqual(await readTree(copy), {});
  t.deepEqual(await readdir(copy), [], 'not even a folder of its own stays');
});

test('storage that cannot be reached ends with 6, and says which', async (t) => {
  const files = randomFiles(2, KIB);
  const { folder, store } = await placeFakePackage(t, files, { objects: [packed(files)] });
  store.serve = (_request, response) => {
    response.socket?.resetAndDestroy();
    return true;
  };
  const env = { ARTIFACT_STORE_URL: store.url };
  const result = await runCli(['pull', store.packageId, 'copy', '--json'], { env, cwd: folder });
  t.is(result.code, 6, result.stdout);
  t.like(result.json.error, { code: 'unreachable', url: store.url });
});

test('an object that a later call names again under another signature is still read once', async (t) => {
  const files = randomFiles(1_500, 200);
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects: [packed(files)] });
  await pull();
  await arrived();
  t.is(store.plans, 2);
  t.is(store.seen.length, 1);
});
