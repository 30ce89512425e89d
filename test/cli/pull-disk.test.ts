import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RANGE_SIZE } from '../../cli/client/target/file-ranges.ts';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { preservePacked } from '../support/packed-package.ts';
import { privateFolders } from '../support/pull-journal.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { mayMount, mountFor } from '../support/small-disk.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const MIB = 1024 ** 2;
const service = await startTestService();
test.after.always(() => service.dispose());

async function place(t: ExecutionContext, files: Record<string, Buffer>, packed = true) {
  const folder = await tempFolder(t);
  const api = apiOf(service.url);
  const id = await (packed ? preservePacked(api, [files]) : api.preserve(files));
  return {
    folder,
    expected: await readTree(await writeTree(join(folder, 'expected'), files)),
    pull: (copy: string, options: Parameters<typeof runCli>[1] = {}) =>
      runCli(['pull', id, copy, '--json', '--parallel', '1'], {
        env: { ARTIFACT_STORE_URL: service.url },
        cwd: folder,
        // Whose process lives is still at it: what it left is not taken over.
        alone: true,
        ...options,
      }),
  };
}

function smallFiles(count: number, size: number): Record<string, Buffer> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`group-${n % 9}/${n}`, randomBytes(size)]));
}

test('a directory that may not be written: exit 1, its name, and no internal path', async (t) => {
  const { folder, pull } = await place(t, smallFiles(3, 10));
  // Permissions mean nothing to root.
  const uid = process.getuid?.() === 0 ? 65_534 : undefined;
  await chmod(folder, 0o755);
  await mkdir(join(folder, 'theirs'), { mode: 0o555 });
  const refused = await pull('theirs', { uid });
  t.is(refused.code, 1, refused.stdout + refused.stderr);
  t.is(refused.json.error.message, '"theirs" cannot be written: permission denied (EACCES).');
  t.is(refused.json.error.directory, 'theirs');
  t.regex(refused.json.error.next, /a directory that you may write/);
  await mkdir(join(folder, 'mine'), { mode: 0o777 });
  await chmod(join(folder, 'mine'), 0o777);
  await mkdir(join(folder, 'mine/group-1'), { mode: 0o555 });
  const inside = await pull('mine', { uid });
  t.is(inside.code, 1, inside.stdout + inside.stderr);
  t.is(inside.json.error.message, '"group-1/1" in "mine" cannot be written: permission denied (EACCES).');
  t.is(inside.json.error.path, 'group-1/1');
});

test('a folder that answers as /proc does, and a file in the place of the directory: exit 1, at once', async (t) => {
  const { folder, pull } = await place(t, smallFiles(1, 10));
  const proc = await pull('/proc/none/such/copy');
  t.is(proc.code, 1);
  t.is(proc.json.error.message, '"/proc/none/such/copy" cannot be written: no such file or directory (ENOENT).');
  await writeFile(join(folder, 'file'), '');
  t.is((await pull('file')).json.error.message, '"file" cannot be written: file already exists (EEXIST).');
});

test('a file that is larger than one may be: exit 1, and its name', async (t) => {
  const { folder, pull } = await place(t, { 'large.bin': randomBytes(6 * MIB), small: randomBytes(10) }, false);
  const limited = join(folder, 'limited');
  await writeFile(limited, '#!/bin/sh\nulimit -f 1024\nexec "$@"\n', { mode: 0o755 });
  const refused = await pull('copy', { under: [limited] });
  t.is(refused.code, 1, refused.stdout + refused.stderr);
  t.is(refused.json.error.message, '"large.bin" in "copy" cannot be written: file too large (EFBIG).');
  t.regex(refused.json.error.next, /ulimit -f/);
  t.is((await pull('copy')).code, 0);
});

if (!mayMount()) console.log('# this user may not mount: the disk that is really full is not tested here');
else {
  test('a full disk: exit 1, how much is needed and free; with enough space, the same command continues', async (t) => {
    const { folder, pull, expected } = await place(t, smallFiles(900, 4_000));
    const disk = await mountFor(t, join(folder, 'disk'), 'mount -t tmpfs -o size=4m tmpfs "$1"');
    await writeFile(join(disk, 'ballast'), Buffer.alloc(2 * MIB));
    const copy = join(disk, 'copy');
    const full = await pull(copy);
    t.is(full.code, 1, full.stdout + full.stderr);
    const { error } = full.json;
    t.like(error, { code: 'no_space', directory: copy, needed: 900 * 4_000 });
    t.regex(error.message, /is full; [\d.]+ MB of 3\.6 MB are still to be written, and [\d.]+ k?B are free\.$/);
    t.regex(error.next, /run the same command again/);
    const there = Object.keys(await readTree(copy));
    t.true(there.length > 100, `${there.length}`);
    t.is(error.needed - error.left, there.length * 4_000);
    t.is((await privateFolders(copy)).length, 1, 'what tells the next pull');
    await rm(join(disk, 'ballast'));
    const done = await pull(copy);
    t.is(done.code, 0, done.stdout + done.stderr);
    t.like(done.json, { skipped: there.length, files: 900 - there.length });
    t.deepEqual(await readTree(copy), expected);
    t.deepEqual(await privateFolders(copy), []);
  });

  test('a package that certainly does not fit: exit 1 before anything is written', async (t) => {
    const { folder, pull } = await place(t, { 'large.bin': randomBytes(30 * MIB) }, false);
    const disk = await mountFor(t, join(folder, 'disk'), 'mount -t tmpfs -o size=31m tmpfs "$1"');
    await writeFile(join(disk, 'ballast'), Buffer.alloc(8 * MIB));
    const few = await pull(disk);
    t.is(few.code, 1);
    t.regex(
      few.json.error.message,
      /has too little space; 31 MB of 31 MB are still to be written, and 24 MB are free\.$/,
    );
    t.deepEqual(await readdir(disk), ['ballast'], 'nothing was begun');
  });

  test('a disk that is filled by others while a large file arrives: the next pull reads only what did not fit', async (t) => {
    const { folder, pull, expected } = await place(t, { 'large.bin': randomBytes(5 * RANGE_SIZE) }, false);
    const relay = await startRelay(service.url);
    t.teardown(() => relay.close());
    const disk = await mountFor(t, join(folder, 'disk'), 'mount -t tmpfs -o size=48m tmpfs "$1"');
    const ballast = join(disk, 'ballast');
    let ranges = 0;
    relay.before = async ({ range }) => {
      if (range !== undefined && ++ranges === 3) await writeFile(ballast, Buffer.alloc(26 * MIB));
      return 'pass';
    };
    const through = { env: { ARTIFACT_STORE_URL: relay.url } };
    const full = await pull(disk, through);
    t.is(full.code, 1, full.stdout);
    t.is(full.json.error.code, 'no_space');
    await rm(ballast);
    const done = await pull(disk, through);
    t.is(done.code, 0, done.stdout + done.stderr);
    t.true(done.json.resumed_bytes >= RANGE_SIZE);
    t.deepEqual(await readTree(disk), expected);
  });

  test('a file system that is read only: exit 1', async (t) => {
    const { folder, pull } = await place(t, smallFiles(1, 10));
    const disk = await mountFor(t, join(folder, 'disk'), 'mount -t tmpfs -o ro tmpfs "$1"');
    const refused = await pull(disk);
    t.is(refused.code, 1, refused.stdout);
    t.is(refused.json.error.message, `${JSON.stringify(disk)} cannot be written: read-only file system (EROFS).`);
  });

  test('another file system below the directory: files get their names there, too, and replace nothing', async (t) => {
    const { folder, pull, expected } = await place(t, smallFiles(300, 100));
    const mount = 'mount -t tmpfs tmpfs "$1" && mkdir "$1/group-3" && mount -t tmpfs tmpfs "$1/group-3"';
    const disk = await mountFor(t, join(folder, 'disk'), mount);
    const done = await pull(disk);
    t.is(done.code, 0, done.stdout + done.stderr);
    t.deepEqual(await readTree(disk), expected);
    const names = await readdir(join(disk, 'group-3'));
    t.true(names.every((name) => !name.startsWith('.')));
    t.is((await stat(join(disk, 'group-3', names[0] as string))).mode & 0o777, 0o666 & ~process.umask());
  });
}
