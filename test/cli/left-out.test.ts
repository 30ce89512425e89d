import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { writeTree } from '../support/tree.ts';

/** What of a directory cannot be pushed, and what is left out of it. */
const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);
// Root reads everything: then the commands run as somebody else.
const uid = process.getuid?.() === 0 ? 65_534 : undefined;

async function bench(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o777);
  const run = join(folder, 'run');
  await mkdir(run);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder, uid });
  return {
    relay,
    folder,
    run,
    cli,
    push: (...args: string[]) => cli('push', run, '--producer', 'tests', '--json', ...args),
  };
}

/** One of each kind that is refused. */
async function writeHostile(run: string): Promise<void> {
  await writeTree(run, { fine: 'F', 'line\nbreak/below': 'B', '\u00e9': 'composed', 'e\u0301': 'decomposed' });
  await writeTree(run, { 'deep/secret': 'S', 'closed/inside': 'I' });
  await writeFile(Buffer.concat([Buffer.from(`${run}/caf`), Buffer.from([0xff])]), 'x');
  await symlink('fine', join(run, 'link'));
  await symlink('nowhere', join(run, 'deep', 'dangling'));
  execFileSync('mkfifo', [join(run, 'pipe')]);
  await chmod(join(run, 'deep', 'secret'), 0);
  await chmod(join(run, 'closed'), 0);
}

test('everything that cannot be pushed is reported at once, the same by push, --dry-run, diff and verify --against', async (t) => {
  const { relay, run, cli, push } = await bench(t);
  const id = await api.preserve({ fine: 'F' });
  await writeHostile(run);
  t.teardown(() => chmod(join(run, 'closed'), 0o755));
  const answers = [
    await push(),
    await push('--dry-run'),
    await cli('diff', id, run, '--json'),
    await cli('verify', id, '--against', run, '--json'),
  ];
  for (const { code, json, stdout } of answers) {
    t.is(code, 1, stdout);
    const { problem_count, problems, message, next } = json.error;
    t.is(problem_count, 8);
    const told = problems.map(({ path, code }: { path: string; code: string }) => [path, code]);
    t.deepEqual(told, [
      ['caf\ufffd', 'invalid_path'],
      ['closed', 'file_unreadable'],
      ['deep/dangling', 'file_refused'],
      ['deep/secret', 'file_unreadable'],
      ['line\nbreak', 'invalid_path'],
      ['link', 'file_refused'],
      ['pipe', 'file_refused'],
      ['\u00e9', 'path_conflict'],
    ]);
    t.regex(message, /^8 things in the directory cannot be in a package:\n {2}The name "caf.*636166ff/);
    for (const hint of ['--exclude', '--symlinks skip', '--special skip']) t.true(next.includes(hint), hint);
  }
  t.false(
    relay.seen.some(({ method, url }) => method === 'POST' && !url.includes('/downloads')),
    'nothing was made or sent',
  );
});

test('of very many problems the first hundred are reported, and the total', async (t) => {
  const { run, push } = await bench(t);
  for (let nth = 0; nth < 130; nth += 1) await symlink('x', join(run, `link-${String(nth).padStart(3, '0')}`));
  const { code, json, stderr } = await push();
  t.is(code, 1, stderr);
  t.like(json.error, { code: 'file_refused', path: 'link-000', problem_count: 130 });
  t.is(json.error.problems.length, 100);
  t.regex(json.error.message, /^130 things .*"link-099" is a symlink\.\n {2}and 30 more$/s);
});

test('what is excluded, by option or by the ignore file, is not looked into, and is recorded', async (t) => {
  const { run, cli, push } = await bench(t);
  await writeHostile(run);
  await writeTree(run, {
    'kept/a.txt': 'A',
    'kept/b.tmp': 'B',
    'kept/.hidden.tmp': 'H',
    'logs/deep/er/log': 'L',
    'build/out': 'O',
    'other/build': 'not a folder',
    '.artifact-store-ignore': '# what no one needs\n\n  **/*.tmp  \nclosed\nbuild/\r\n',
  });
  const excludes = ['logs', 'line?break', 'caf?', 'deep/secret', 'e\u0301'].flatMap((glob) => ['--exclude', glob]);
  const how = [...excludes, '--symlinks', 'skip', '--special', 'skip'];
  const dry = await push('--dry-run', ...how);
  t.is(dry.code, 0, dry.stdout);
  const pushed = await push(...how, '--external-id', 'excluded');
  t.is(pushed.code, 0, pushed.stdout);
  t.is(pushed.json.file_count, dry.json.file_count);
  t.regex(pushed.stderr, /^left out: "closed\/" matches "closed"$/m);
  const paths = (await api.get(`/v1/packages/${pushed.json.package_id}/files`)).body.items.map(
    ({ path }: { path: string }) => path,
  );
  const kept = ['.artifact-store-ignore', 'fine', 'kept/.hidden.tmp', 'kept/a.txt', 'other/build', '\u00e9'];
  t.deepEqual(paths, kept);
  const { metadata } = (await api.get(`/v1/packages/${pushed.json.package_id}`)).body;
  t.deepEqual(metadata, {
    left_out: {
      count: 11,
      by: { symlink: 2, special: 1, excluded: 8 },
      paths: [
        'build/',
        'caf\ufffd',
        'closed/',
        'deep/dangling',
        'deep/secret',
        'e\u0301',
        'kept/b.tmp',
        'line\nbreak/',
        'link',
        'logs/',
        'pipe',
      ],
      patterns: ['logs', 'line?break', 'caf?', 'deep/secret', 'e\u0301', '**/*.tmp', 'closed', 'build/'],
    },
  });
  t.deepEqual(dry.json.left_out, metadata.left_out);
  t.regex((await cli('show', 'excluded')).stdout, /left out +11 of the directory \(excluded 8, special 1, symlink 2\)/);

  const again = await push(...how, '--external-id', 'excluded');
  t.is(again.json.reused, true, again.stdout);
  const verified = await cli('verify', 'excluded', '--against', run, ...how);
  t.is(verified.code, 0, verified.stdout);
  t.regex(
    verified.stdout,
    /and the directory has them, but for what is left out \(11 in the directory, 0 in the package\)\.$/m,
  );
  const equal = await cli('diff', 'excluded', run, ...how);
  t.is(equal.code, 0, equal.stdout);
  t.is((await cli('diff', 'excluded', run, '--symlinks', 'skip')).code, 1);
  await chmod(join(run, 'closed'), 0o755);
});

test('a pattern that leaves nothing out is told: what was meant to stay out would be preserved', async (t) => {
  const { run, push } = await bench(t);
  await writeTree(run, { 'a.log': 'a', 'deep/b.log': 'b' });
  const excludes = ['*.log', '{a,b', 'nothing*'].flatMap((glob) => ['--exclude', glob]);
  const { code, stderr } = await push('--dry-run', ...excludes);
  t.is(code, 0, stderr);
  t.deepEqual(stderr.match(/--exclude "(.+)" left nothing out/g), [
    '--exclude "{a,b" left nothing out',
    '--exclude "nothing*" left nothing out',
  ]);
});

test('what is excluded is left out of a comparison on both sides', async (t) => {
  const { run, cli } = await bench(t);
  const id = await api.preserve({ 'a.txt': 'A', 'logs/one': '1', 'logs/two': '2', 'b.log': 'B' });
  await writeTree(run, { 'a.txt': 'A', 'c.log': 'C' });
  const some = await cli('diff', id, run, '--exclude', 'logs', '--json');
  t.is(some.code, 1);
  t.like(some.json, { equal: false, added: ['c.log'], removed: ['b.log'], left_out: { directory: 0, package: 2 } });
  const equal = await cli('diff', id, run, '--exclude', 'logs/', '--exclude', '*.log');
  t.is(equal.code, 0, equal.stdout);
  t.is(equal.stdout, 'Equal, but for what is left out (1 in the directory, 3 in the package).\n');
});

test('an ignore file may leave itself out; nothing left out is nothing recorded', async (t) => {
  const { run, push } = await bench(t);
  await writeTree(run, { a: 'A', '.artifact-store-ignore': '# nothing of this\n*.none\n' });
  const all = await push('--name', 'all');
  t.is(all.json.file_count, 2, all.stdout);
  t.deepEqual((await api.get(`/v1/packages/${all.json.package_id}`)).body.metadata, {});
  await writeTree(run, { '.artifact-store-ignore': '.artifact-store-ignore' });
  const itself = await push('--name', 'itself');
  t.is(itself.json.file_count, 1, itself.stdout);
  const { metadata } = (await api.get(`/v1/packages/${itself.json.package_id}`)).body;
  t.like(metadata.left_out, { count: 1, paths: ['.artifact-store-ignore'] });
});

test('a dry run refuses what the push would refuse: an empty directory, one of which all is left out, bad metadata', async (t) => {
  const { folder, run, push } = await bench(t);
  await writeTree(folder, { 'list.json': '[]', 'taken.json': '{"left_out":1}' });
  const both = async (code: number, message: RegExp, ...args: string[]): Promise<void> => {
    for (const more of [[], ['--dry-run']]) {
      const refused = await push(...args, ...more);
      t.is(refused.code, code, refused.stdout);
      t.regex(refused.json.error.message, message);
    }
  };
  await both(2, /has no file: there is nothing to push/);
  await writeTree(run, { 'x/a': 'A' });
  await both(2, /has only files that are left out/, '--exclude', 'x');
  await both(2, /does not hold a JSON object/, '--metadata', join(folder, 'list.json'));
  await both(2, /a member "left_out"/, '--metadata', join(folder, 'taken.json'));
  await both(2, /--exclude: the pattern "!x" begins/, '--exclude', '!x');
});

test('an ingest takes --exclude, records it, and an unfinished one of other excludes is given up', async (t) => {
  const { folder, cli } = await bench(t);
  const run = join(folder, 'a-run');
  execFileSync('cp', ['-r', 'fixtures/guide-board/run-20260513T210255Z', run]);
  execFileSync('chmod', ['-R', 'a+rX', run]);
  await writeTree(run, { 'core.1234': 'dumped' });
  const ingest = (...args: string[]) => cli('ingest', 'guide-board', run, '--json', ...args);
  const open = await ingest('--no-finalize');
  t.is(open.code, 0, open.stderr);
  const same = await ingest('--no-finalize');
  t.is(same.json.package_id, open.json.package_id, 'nothing else was asked for');
  const done = await ingest('--exclude', 'core.*');
  t.is(done.code, 0, done.stdout);
  t.not(done.json.package_id, open.json.package_id);
  t.regex(done.stderr, /was never finished, and the run has changed since/);
  const { metadata } = (await api.get(`/v1/packages/${done.json.package_id}`)).body;
  t.like(metadata, { run_id: 'run-20260513T210255Z', left_out: { count: 1, paths: ['core.1234'] } });
  const again = await ingest('--exclude', 'core.*');
  t.like(again.json, { reused: true, package_id: done.json.package_id });
});
