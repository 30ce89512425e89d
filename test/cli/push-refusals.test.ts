import { execFileSync } from 'node:child_process';
import { appendFile, chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

interface Bench {
  service: TestService;
  relay: Relay;
  folder: string;
  run: string;
  push: (...args: string[]) => ReturnType<typeof runCli>;
  /** Packages that the service finalized. */
  finalized: () => Promise<number>;
}

/** A service of the test's own behind a relay. */
async function bench(t: ExecutionContext): Promise<Bench> {
  const folder = await tempFolder(t);
  const service = await startTestService();
  const relay = await startRelay(service.url);
  t.teardown(async () => {
    await relay.close();
    await service.dispose();
  });
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const run = join(folder, 'run');
  return {
    service,
    relay,
    folder,
    run,
    push: (...args) => runCli(['push', run, '--producer', 'tests', '--json', ...args], { env, cwd: folder }),
    finalized: async () => {
      const answer = await fetch(`${service.url}/v1/packages?status=finalized`);
      return ((await answer.json()) as { items: unknown[] }).items.length;
    },
  };
}

test('a file that changes, vanishes or grows while it is pushed stops the push with its name', async (t) => {
  const { relay, run, push, finalized } = await bench(t);
  const acts: Record<string, () => Promise<void>> = {
    changed: () => appendFile(join(run, 'b'), 'more'),
    vanished: () => rm(join(run, 'b')),
    replaced: async () => {
      await rm(join(run, 'b'));
      await writeFile(join(run, 'b'), 'replaced B');
    },
  };
  for (const [how, act] of Object.entries(acts)) {
    await writeTree(run, { a: `${how} A`, b: `${how} B`, c: `${how} C` });
    let acted = false;
    relay.before = async ({ method, url }) => {
      if (method === 'POST' && url.endsWith('/uploads') && !acted) {
        acted = true;
        await act();
      }
      return 'pass';
    };
    const pushed = await push('--name', how);
    t.true(acted);
    t.is(pushed.code, 1, `${how}: ${pushed.stdout}`);
    t.like(pushed.json.error, { code: 'file_changed', path: 'b' }, how);
  }
  t.is(await finalized(), 0);
});

test('files that were not sent are looked at again too: empty, known, sent long ago, or new', async (t) => {
  const { relay, run, push, finalized } = await bench(t);
  await writeTree(run, { known: 'K' });
  t.is((await push('--name', 'before')).code, 0);
  const acts: Record<string, () => Promise<void>> = {
    empty: () => appendFile(join(run, 'empty'), 'no more'),
    known: () => appendFile(join(run, 'known'), 'more'),
    'late/new': () => writeFile(join(run, 'late', 'new'), 'new'),
  };
  for (const [path, act] of Object.entries(acts)) {
    await rm(run, { recursive: true, force: true });
    await writeTree(run, { empty: '', known: 'K', sent: `S ${path}`, 'late/other': 'O' });
    let acted = false;
    relay.before = async ({ method, url }) => {
      if (method === 'POST' && url.endsWith('/uploads') && !acted) {
        acted = true;
        await act();
      }
      return 'pass';
    };
    const pushed = await push('--name', path);
    t.true(acted, path);
    t.is(pushed.code, 1, `${path}: ${pushed.stdout}`);
    t.like(pushed.json.error, { code: 'file_changed', path });
  }
  t.is(await finalized(), 1);
});

test('what was known but had to be read after all is looked at after that', async (t) => {
  const { relay, run, push, finalized } = await bench(t);
  const other = await startTestService();
  t.teardown(() => other.dispose());
  await writeTree(run, { a: 'A', b: 'B' });
  // The cache remembers nothing that was touched within the last two seconds.
  const { ctimeMs } = await stat(join(run, 'b'));
  while (Date.now() <= ctimeMs + 2_100) await sleep(100);
  t.is((await push('--url', other.url)).code, 0);
  let acted = false;
  relay.before = async ({ method, url }) => {
    if (method === 'POST' && url.endsWith('/commit') && !acted) {
      acted = true;
      await appendFile(join(run, 'b'), 'more');
    }
    return 'pass';
  };
  const pushed = await push();
  t.true(acted);
  t.is(pushed.code, 1, pushed.stdout);
  t.like(pushed.json.error, { code: 'file_changed', path: 'b' });
  t.is(await finalized(), 0);
});

test('symlinks and special files are refused by name, skipped or followed when asked, and nothing is sent', async (t) => {
  const { relay, folder, run, push } = await bench(t);
  await writeTree(run, { 'real/file': 'F' });
  await writeTree(folder, { secret: 'S' });
  await symlink('real', join(run, 'inside'));
  const refused = await push();
  t.is(refused.code, 1);
  t.like(refused.json.error, { code: 'file_refused', path: 'inside' });
  t.regex(refused.json.error.next, /--symlinks skip/);
  t.deepEqual(relay.seen, []);

  const followed = await push('--symlinks', 'follow');
  t.is(followed.code, 0, followed.stdout);
  t.is(followed.json.file_count, 2);
  const skipped = await push('--symlinks', 'skip', '--name', 'skipped');
  t.is(skipped.json.file_count, 1);
  t.regex(skipped.stderr, /left out: "inside" is a symlink/);

  await symlink('../secret', join(run, 'outside'));
  const outside = await push('--symlinks', 'follow');
  t.is(outside.code, 1);
  t.like(outside.json.error, { code: 'file_refused', path: 'outside' });
  await rm(join(run, 'outside'));

  await symlink('..', join(run, 'real', 'loop'));
  const loop = await push('--symlinks', 'follow');
  t.is(loop.code, 1);
  t.regex(loop.json.error.path, /loop/);
  await rm(join(run, 'real', 'loop'));
  await rm(join(run, 'inside'));

  execFileSync('mkfifo', [join(run, 'pipe')]);
  const fifo = await push();
  t.is(fifo.code, 1);
  t.like(fifo.json.error, { code: 'file_refused', path: 'pipe' });
  t.is((await push('--special', 'skip', '--name', 'special')).json.file_count, 1);
});

test('names that no package can hold are refused before anything is sent', async (t) => {
  const { relay, run, push } = await bench(t);
  const cases: Array<[Buffer, RegExp]> = [
    [Buffer.from('line\nbreak'), /control character/],
    [Buffer.from([0x61, 0xff, 0x62]), /not valid UTF-8/],
  ];
  for (const [name, why] of cases) {
    await rm(run, { recursive: true, force: true });
    await writeTree(run, { fine: 'F' });
    await writeFile(Buffer.concat([Buffer.from(`${run}/`), name]), 'x');
    const pushed = await push();
    t.is(pushed.code, 1);
    t.is(pushed.json.error.code, 'invalid_path');
    t.regex(pushed.json.error.message, why);
  }
  await rm(run, { recursive: true });
  await writeTree(run, { '\u00e9': 'composed', 'e\u0301': 'decomposed' });
  t.is((await push()).json.error.code, 'path_conflict');
  await rm(run, { recursive: true });
  await mkdir(run);
  const empty = await push();
  t.is(empty.code, 2);
  t.regex(empty.json.error.message, /has no file/);
  await rm(run, { recursive: true });
  t.is((await push()).code, 2);
  t.deepEqual(
    relay.seen.filter(({ method }) => method !== 'GET'),
    [],
  );
});

test('a file or folder that cannot be read stops the push with its name', async (t) => {
  const { service } = await bench(t);
  // Root reads everything: then the command runs as somebody else.
  const uid = process.getuid?.() === 0 ? 65_534 : undefined;
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const readable = join(folder, 'run');
  const args = ['push', readable, '--producer', 'tests', '--json'];
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  await mkdir(join(folder, 'cache'));
  await chmod(join(folder, 'cache'), 0o777);

  await writeTree(readable, { a: 'A', 'secret file': 'S' });
  await chmod(join(readable, 'secret file'), 0);
  const file = await runCli(args, { env, cwd: folder, uid });
  t.is(file.code, 1, file.stderr + file.stdout);
  t.like(file.json.error, { code: 'file_unreadable', path: 'secret file' });
  await chmod(join(readable, 'secret file'), 0o644);

  await writeTree(readable, { 'closed/inside': 'I' });
  await chmod(join(readable, 'closed'), 0);
  const closed = await runCli(args, { env, cwd: folder, uid });
  await chmod(join(readable, 'closed'), 0o755);
  t.is(closed.code, 1);
  t.like(closed.json.error, { code: 'file_unreadable', path: 'closed' });

  const fine = await runCli(args, { env, cwd: folder, uid });
  t.is(fine.code, 0, fine.stderr + fine.stdout);
});
