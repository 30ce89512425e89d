import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { preservePacked } from '../support/packed-package.ts';
import { privateFolders } from '../support/pull-journal.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { mayMount, mountFor } from '../support/small-disk.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const service = await startTestService();
test.after.always(() => service.dispose());

/** Two packs, so that one of them can be held back. */
async function place(t: ExecutionContext, count: number, sizeOf = (n: number) => 1 + n * 20) {
  const folder = await tempFolder(t);
  const packs = [0, 1].map((pack) =>
    Object.fromEntries(
      Array.from({ length: count / 2 }, (_, n) => [`pack-${pack}/deep-${n % 9}/${n}`, randomBytes(sizeOf(n))]),
    ),
  );
  const id = await preservePacked(apiOf(service.url), packs);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  return {
    folder,
    relay,
    expected: await readTree(await writeTree(join(folder, 'expected'), Object.assign({}, ...packs))),
    pull: (copy: string, env: Record<string, string> = {}) =>
      runCli(['pull', id, copy, '--json', '--parallel', '1'], {
        env: { ARTIFACT_STORE_URL: relay.url, ...env },
        // Whose process lives is still at it: what it left is not taken over.
        alone: true,
      }),
  };
}

/** Between two looks whether something has arrived. */
const LOOK_MS = 20;

/** How often it was called, in what `fakeSync` wrote down: names in it may hold "-f", too. */
const callsIn = (log: string): number => log.match(/^-f \.$/gm)?.length ?? 0;

/** In PATH before the system's: writes down what is there when it is called, and ends with this code. */
async function fakeSync(folder: string, code: number): Promise<{ PATH: string; log: string }> {
  const log = join(folder, 'sync.log');
  const script = `#!/bin/sh\necho "$*" >>'${log}'\nfind . -type f | wc -l >>'${log}'\nls -A >>'${log}'\nexit ${code}\n`;
  await writeTree(folder, { 'bin/sync': script });
  await chmod(join(folder, 'bin/sync'), 0o755);
  return { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, log };
}

test('many files are synced at once, when each has its name, and before it is forgotten that a pull was under way', async (t) => {
  const { folder, pull, expected } = await place(t, 300);
  const { PATH, log } = await fakeSync(folder, 0);
  const copy = join(folder, 'copy');
  t.is((await pull(copy, { PATH })).code, 0);
  const [args, files, ...names] = (await readFile(log, 'utf8')).trim().split('\n');
  t.is(args, '-f .');
  t.is(Number(files), 300);
  t.deepEqual(names.map((name) => name.replace(/-pkg_.*/, '')).sort(), ['.artifact-store-pull', 'pack-0', 'pack-1']);
  t.deepEqual(await privateFolders(copy), []);
  t.like((await pull(copy, { PATH })).json, { files: 0, skipped: 300 });
  t.is(callsIn(await readFile(log, 'utf8')), 1, 'nothing was written: nothing is synced');
  t.deepEqual(await readTree(copy), expected);
});

test('without such a program, or when it fails, files are synced one by one', async (t) => {
  const { folder, pull, expected } = await place(t, 300);
  const failing = await fakeSync(folder, 1);
  for (const [name, PATH] of [
    ['failing', failing.PATH],
    ['none', '/nonexistent'],
  ] as const) {
    const done = await pull(join(folder, name), { PATH });
    t.is(done.code, 0, done.stdout + done.stderr);
    t.deepEqual(await readTree(join(folder, name)), expected);
    t.deepEqual(await privateFolders(join(folder, name)), []);
  }
  t.is(callsIn(await readFile(failing.log, 'utf8')), 1);
});

test('much is synced while files still arrive; when that fails once, every file is synced by itself', async (t) => {
  const { folder, pull, expected } = await place(t, 400, () => 50_000);
  for (const [code, calls] of [
    [0, 2],
    [1, 1],
  ] as const) {
    const { PATH, log } = await fakeSync(join(folder, `${code}`), code);
    const copy = join(folder, `copy-${code}`);
    const done = await pull(copy, { PATH });
    t.is(done.code, 0, done.stdout + done.stderr);
    t.is(callsIn(await readFile(log, 'utf8')), calls);
    t.deepEqual(await readTree(copy), expected);
  }
});

const FORMAT = 'mkfs.ext4 -q -F';

/** Whether this user may mount what is in a file. */
function mayLoop(): boolean {
  const script = `f=$(mktemp) && truncate -s 8M "$f" && ${FORMAT} "$f" && d=$(mktemp -d) && mount -o loop "$f" "$d"; ok=$?; umount "$d"; rm -rf "$f" "$d"; exit $ok`;
  return mayMount() && spawnSync('unshare', ['-m', 'sh', '-c', script]).status === 0;
}

if (!mayLoop()) console.log('# this user may not mount files: what a power cut leaves is not tested here');
else {
  async function openDisk(t: ExecutionContext, folder: string) {
    const image = join(folder, 'disk');
    t.is(spawnSync('sh', ['-c', `truncate -s 64M "$1" && ${FORMAT} "$1"`, 'sh', image]).status, 0);
    let cuts = 0;
    return {
      mounted: await mountFor(t, join(folder, 'mounted'), `mount -o loop '${image}' "$1"`),
      /** What is on the disk at this moment, as the system finds it when it starts again. */
      cut: async (): Promise<string> => {
        const left = `${image}-${++cuts}`;
        await copyFile(image, left);
        return mountFor(t, join(folder, `after-${cuts}`), `mount -o loop '${left}' "$1"`);
      },
    };
  }

  for (const count of [40, 600]) {
    test(`a power cut after a pull of ${count} files loses none of them`, async (t) => {
      const { folder, pull, expected } = await place(t, count);
      const { mounted, cut } = await openDisk(t, folder);
      const done = await pull(join(mounted, 'new/copy'));
      t.is(done.code, 0, done.stdout + done.stderr);
      t.deepEqual(await readTree(join(await cut(), 'new/copy')), expected);
    });
  }

  test('a power cut in the middle: the next pull writes what is missing, empty or torn, or says what differs', async (t) => {
    const { folder, pull, relay, expected } = await place(t, 600);
    const { mounted, cut } = await openDisk(t, folder);
    const copy = join(mounted, 'copy');
    // A client that waited too long asks again: what counts is the first time.
    const cutOff = Promise.withResolvers<string>();
    let packs = 0;
    relay.before = async ({ method, url }) => {
      if (method !== 'GET' || !url.startsWith('/v1/objects/') || ++packs !== 2) return 'pass';
      // Either may be asked for first.
      const arrived = async (): Promise<string | undefined> => {
        const folders = ['pack-0', 'pack-1'].map((name) => join(copy, name));
        const names = await Promise.all(folders.map((folder) => readdir(folder, { recursive: true }).catch(() => [])));
        return folders.find((_, n) => names[n]?.filter((name) => name.includes('/')).length === 300);
      };
      let whole = await arrived();
      for (; whole === undefined; whole = await arrived()) await sleep(LOOK_MS);
      // Names, but not bytes: as the journal of the file system is written every few seconds.
      spawnSync('sync', [whole]);
      cutOff.resolve(join(await cut(), 'copy'));
      return 'pass';
    };
    t.is((await pull(copy)).code, 0);
    const left = await cutOff.promise;
    const files = await readTree(left);
    const there = Object.keys(files).filter((path) => path.startsWith('pack-'));
    const torn = there.filter((path) => files[path] !== expected[path]);
    t.log(`${there.length} files of 300 had a name, ${torn.length} of them other bytes`);
    const done = await pull(left);
    t.is(done.code, 0, done.stdout + done.stderr);
    t.deepEqual(await readTree(left), expected);
    t.deepEqual(await privateFolders(left), []);
  });
}
