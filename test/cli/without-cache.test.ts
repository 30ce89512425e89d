import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { BIN } from '../support/command.ts';
import { processEnv } from '../support/process-env.ts';
import { startTestService } from '../support/service.ts';
import { writeTree } from '../support/tree.ts';

/** Nothing in the user's cache is ever needed; and no folder that cannot be made keeps a command for ever. */
/** In no list of users, so that it has no home. */
const STRANGER = 54_321;
const IS_ROOT = process.getuid?.() === 0;

const service = await startTestService();
test.after.always(() => service.dispose());

let made = 0;
/** A directory that everybody may read, and the arguments that push it as a package of its own. */
async function bench(t: ExecutionContext): Promise<{ folder: string; args: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  made += 1;
  const run = await writeTree(join(folder, 'run'), { small: `small ${made}`, 'below/another': `another ${made}` });
  return { folder, args: ['push', run, '--producer', 'tests', '--name', `run ${made}`, '--json'] };
}

/** Some environments have V8's cache elsewhere: here it has no other place than the user's. */
const env = (more: Record<string, string>) => {
  const { PATH } = processEnv();
  return { PATH: PATH as string, ARTIFACT_STORE_URL: service.url, ...more };
};

async function pushes(
  t: ExecutionContext,
  args: string[],
  more: Record<string, string>,
  uid?: number,
): Promise<string> {
  const child = promisify(execFile)(process.execPath, [BIN, ...args], {
    env: env(more),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const { stdout, stderr } = await child;
  t.like(JSON.parse(stdout), { status: 'finalized', file_count: 2 });
  return stderr;
}

test('a home that is missing or not writable stops no push, with or without an external id', async (t) => {
  const { folder, args } = await bench(t);
  // Root may write everything.
  const uid = IS_ROOT ? STRANGER : undefined;
  const closed = join(folder, 'closed');
  await mkdir(closed, { mode: 0o555 });
  for (const home of ['/nonexistent', closed]) {
    const notes = await pushes(t, [...args, '--name', home], { HOME: home }, uid);
    t.regex(notes, /going on without the cache .*files\.2\.sqlite/);
    t.regex(notes, /an interrupted push starts over/);
  }
  await pushes(t, [...args, '--external-id', 'with one'], { HOME: '/nonexistent' }, uid);
});

test('a user without a home can do everything', async (t) => {
  const { args } = await bench(t);
  const uid = IS_ROOT ? STRANGER : undefined;
  // Who is in the list of users is told apart by a relative path, which the specification has ignored.
  const nowhere: Record<string, string> = IS_ROOT ? {} : { HOME: 'relative' };
  t.regex(await pushes(t, args, nowhere, uid), /this user has no home: set XDG_CACHE_HOME/);
});

test('a cache that is a file, lies below /proc, or is named relative to nothing', async (t) => {
  const { folder, args } = await bench(t);
  await writeTree(folder, { file: '' });
  for (const home of ['/proc/none', '/proc/none/deeper', join(folder, 'file'), '/dev/null']) {
    const notes = await pushes(t, [...args, '--name', home], { XDG_CACHE_HOME: home });
    t.regex(notes, /going on without the cache/, home);
    t.is((await runCli(['--version'], { env: env({ XDG_CACHE_HOME: home }) })).stderr, '');
  }
});

test('a cache on a full disk', async (t) => {
  const { folder, args } = await bench(t);
  const script = `ulimit -f 0; exec ${process.execPath} ${BIN} ${args.map((word) => `'${word}'`).join(' ')}`;
  const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-c', script], {
    env: env({ XDG_CACHE_HOME: join(folder, 'cache') }),
  });
  t.like(JSON.parse(stdout), { status: 'finalized', file_count: 2 });
  t.regex(stderr, /going on without the cache/);
  t.regex(stderr, /an interrupted push starts over/);
});

test('fifos where the cache should be block nothing', async (t) => {
  const { folder, args } = await bench(t);
  const cache = join(folder, 'cache');
  const open = await runCli([...args, '--no-finalize'], { env: env({ XDG_CACHE_HOME: cache }) });
  t.is(open.json.status, 'uploading', open.stderr);
  const [state = ''] = await readdir(join(cache, 'artifact-store', 'pushes'));
  const fifos = ['files.2.sqlite', join('pushes', state)].map((name) => join(cache, 'artifact-store', name));
  for (const fifo of fifos) {
    for (const end of ['', '-wal', '-shm']) await rm(fifo + end, { force: true });
    await promisify(execFile)('mkfifo', [fifo]);
  }
  await pushes(t, args, { XDG_CACHE_HOME: cache });
});

test('a folder that cannot be created ends the command, wherever it is', async (t) => {
  const { folder, args } = await bench(t);
  const pushed = await runCli(args, { env: env({ XDG_CACHE_HOME: join(folder, 'cache') }) });
  const pulled = await runCli(['pull', pushed.json.package_id, '/proc/none/copy'], { env: env({}) });
  t.is(pulled.code, 1);
  t.regex(pulled.stderr, /"\/proc\/none\/copy" cannot be written: no such file or directory/);
  for (const verb of [
    ['serve', '--port', '0'],
    ['push', folder, '--producer', 'p', '--local'],
  ]) {
    const refused = await runCli([...verb, '--data-dir', '/proc/none/data'], { env: env({}) });
    t.is(refused.code, 4, refused.stderr);
    t.regex(refused.stderr, /\/proc\/none\/data cannot be used/);
  }
});
