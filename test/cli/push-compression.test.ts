import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { digestFromBytes } from '../../src/core/digest.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { usualOrLong } from '../support/long.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';
import { ZSTD, type Zstd } from '../support/zstd.ts';

const MIB = 1024 ** 2;

const zstd = await required('Stored objects read by the zstd program', ZSTD);
if (zstd !== null) othersReadObjects(zstd);

interface StoredObject {
  kind: string;
  digest: string;
  encoding: string;
  size: number;
  stored_size: number;
  /** Where it is on the disk. */
  path: string;
}

/** A service of its own, a directory to push, and what came of it. */
async function place(t: ExecutionContext, files: Record<string, string | Uint8Array>) {
  const folder = await tempFolder(t);
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const run = await writeTree(join(folder, 'run'), files);
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  return {
    folder,
    run,
    cli,
    service,
    push: (...args: string[]) => cli('push', run, '--producer', 'tests', '--json', ...args),
    async objects(): Promise<StoredObject[]> {
      const db = connectSqlite(join(service.dataDir, 'registry.sqlite'));
      try {
        const rows = await db('objects').whereIn('kind', ['blob', 'pack']).orderBy('key');
        return rows.map(({ kind, digest, encoding, size, stored_size, key }) => ({
          kind,
          digest: digestFromBytes(digest),
          encoding,
          size,
          stored_size: stored_size ?? size,
          path: join(service.dataDir, 'blobs', key),
        }));
      } finally {
        await db.destroy();
      }
    },
    async assertPulled(id: string): Promise<void> {
      const copy = join(folder, `copy of ${id}`);
      const pulled = await cli('pull', id, copy, '--json');
      t.is(pulled.code, 0, pulled.stderr + pulled.stdout);
      t.deepEqual(await readTree(copy), await readTree(run));
      const verified = await cli('verify', id);
      t.is(verified.code, 0, verified.stderr);
    },
  };
}

function line(n: number): string {
  return `2026-11-28T03:${n % 60}:00Z INFO request ${n * 7919} GET /v1/packages answered 200 in ${n % 97} ms\n`;
}

function log(lines: number, from = 0): string {
  return Array.from({ length: lines }, (_, n) => line(from + n)).join('');
}

/** Small logs, which go into packs, a large one, and what does not compress. */
function logs(): Record<string, string | Uint8Array> {
  return {
    ...Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`small/${n}.log`, log(5 + (n % 40), n * 50)])),
    'large.log': log(40_000),
    empty: '',
    'one byte': 'x',
    'random.bin': randomBytes(1.5 * MIB),
    'small random.bin': randomBytes(5_000),
  };
}

const sum = (objects: readonly StoredObject[], field: 'size' | 'stored_size') =>
  objects.reduce((all, object) => all + object[field], 0);

for (const how of usualOrLong(['auto', 'off'] as const, ['auto', 'off', '1', '19'] as const)) {
  test(`--compression ${how}: a compressible directory is stored, and pulled byte for byte`, async (t) => {
    t.timeout(180_000);
    const { push, objects, assertPulled } = await place(t, logs());
    const pushed = await push(...(how === 'auto' ? [] : ['--compression', how]));
    t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
    const stored = await objects();
    for (const { kind, encoding, size, stored_size, path } of stored) {
      t.is((await readFile(path)).length, stored_size);
      t.true(stored_size <= size, `${kind} of ${size} has ${stored_size}`);
      t.is(encoding === 'identity', stored_size === size);
    }
    t.is(pushed.json.uploaded.bytes, sum(stored, 'stored_size'), 'what is told is what was sent');
    const random = stored.find(({ size }) => size === 1.5 * MIB);
    t.like(random, { kind: 'blob', encoding: 'identity' });
    const others = stored.filter((object) => object !== random);
    if (how === 'off') t.true(stored.every(({ encoding }) => encoding === 'identity'));
    else {
      t.true(others.every(({ encoding }) => encoding === 'zstd-seekable'));
      t.true(sum(others, 'stored_size') < sum(others, 'size') / 2);
    }
    t.log(`${sum(others, 'size')} bytes in ${sum(others, 'stored_size')}`);
    await assertPulled(pushed.json.package_id);
    const again = await push('--external-id', 'again');
    t.is(again.json.uploaded.bytes, 0, 'what is stored is not sent again, in whatever form');
  });
}

test('the level changes what is stored, and not what objects are named by', async (t) => {
  t.timeout(180_000);
  const files = logs();
  const seen: StoredObject[][] = [];
  for (const how of ['off', '1', '19']) {
    const { push, objects } = await place(t, files);
    t.is((await push('--compression', how)).code, 0);
    seen.push((await objects()).toSorted((a, b) => a.digest.localeCompare(b.digest)));
  }
  const [off, fast, small] = seen as [StoredObject[], StoredObject[], StoredObject[]];
  const names = (objects: StoredObject[]) => objects.map(({ kind, digest, size }) => ({ kind, digest, size }));
  t.deepEqual(names(fast), names(off));
  t.deepEqual(names(small), names(off));
  t.true(sum(small, 'stored_size') < sum(fast, 'stored_size'));
  t.true(sum(fast, 'stored_size') < sum(off, 'stored_size'));
});

test('a directory that does not compress is stored as it is', async (t) => {
  const files = {
    'large.bin': randomBytes(3 * MIB),
    ...Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`small/${n}.bin`, randomBytes(20_000 + n)])),
  };
  const { push, objects, assertPulled } = await place(t, files);
  const pushed = await push();
  t.is(pushed.code, 0, pushed.stderr);
  const stored = await objects();
  t.true(stored.length > 1);
  t.true(stored.every(({ encoding }) => encoding === 'identity'));
  await assertPulled(pushed.json.package_id);
});

for (const bad of ['fast', '0', '20', '-1', '1.5', '', 'AUTO']) {
  test(`--compression ${JSON.stringify(bad)} is wrong usage: exit 2, and nothing is sent`, async (t) => {
    const { push, objects } = await place(t, { a: 'a' });
    const pushed = await push(`--compression=${bad}`);
    t.is(pushed.code, 2, pushed.stdout + pushed.stderr);
    t.like(pushed.json.error, { code: 'wrong_usage', exit: 2 });
    t.regex(pushed.json.error.message, /--compression must be auto, off or a level from 1 to 19/);
    t.deepEqual(await objects(), []);
  });
}

test('a byte that changed in storage: the files of its frame are named, all others are written', async (t) => {
  const files = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`f${n}`, `${n} ${log(120, n * 200)}`]));
  const { push, objects, folder, cli, run } = await place(t, files);
  const pushed = await push();
  const [pack] = await objects();
  t.is(pack?.encoding, 'zstd-seekable');
  const { path } = pack as StoredObject;
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  await writeFile(path, bytes);
  const copy = join(folder, 'copy');
  const pulled = await cli('pull', pushed.json.package_id, copy, '--json');
  t.is(pulled.code, 5, pulled.stdout + pulled.stderr);
  t.is(pulled.json.error.code, 'integrity_failure');
  const failed: string[] = pulled.json.error.failures.map((failure: { path: string }) => failure.path);
  t.true(failed.length > 0 && failed.length < 60, `${failed.length} files`);
  const right = Object.entries(await readTree(run)).filter(([name]) => !failed.includes(name));
  t.deepEqual(await readTree(copy), Object.fromEntries(right));
  t.is((await cli('verify', pushed.json.package_id)).code, 5);
  // The seek table is for those who have the storage alone.
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 12) ^ 1, bytes.length - 12);
  await writeFile(path, bytes);
  const rest = await cli('pull', pushed.json.package_id, copy, '--json');
  t.is(rest.code, 0, rest.stdout);
  t.deepEqual(await readTree(copy), await readTree(run));
});

/** What is stored can be read without this software. */
function othersReadObjects({ run: unzstd }: Zstd): void {
  test('zstd and tar read what is stored: a pack lists its members, a large file is what it was', async (t) => {
    const files = logs();
    const { push, objects, folder } = await place(t, files);
    t.is((await push()).code, 0);
    const digests = new Set(Object.values(files).map(sha256));
    const found = new Set<string>();
    for (const { kind, digest, encoding, path } of await objects()) {
      if (encoding === 'identity') continue;
      const content = unzstd(['-d'], await readFile(path));
      t.is(sha256(content), digest);
      if (kind !== 'pack') {
        found.add(digest);
        continue;
      }
      const listed = execFileSync('tar', ['-tf', '-'], { input: content }).toString().trim().split('\n');
      t.true(listed.length > 100);
      for (const name of listed) found.add(name.replace('/', ':'));
      await writeFile(join(folder, 'pack.tar.zst'), await readFile(path));
      execFileSync('tar', ['--zstd', '-xf', 'pack.tar.zst'], { cwd: folder });
      for (const name of listed) t.is(sha256(await readFile(join(folder, name))), name.replace('/', ':'));
    }
    for (const content of [files['large.log'], files['small/7.log']]) t.true(found.has(sha256(content as string)));
    t.true([...found].every((digest) => digests.has(digest)));
  });
}
