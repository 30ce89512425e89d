import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { VERBS } from '../../cli/commands/index.ts';
import { completionScript } from '../../cli/completion.ts';
import { optionsOf } from '../../cli/program.ts';
import { VERSION } from '../../src/version.ts';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const run = promisify(execFile);
const NOBODY_THERE = 'http://127.0.0.1:1';
const TOKEN = 'a-token-for-the-tests';

test('wrong usage: exit 2, what was meant, and where to read', async (t) => {
  const cases: Array<[string[], RegExp]> = [
    [['pusk'], /Did you mean push\?/],
    [['push', 'x', '--prodcer', 'p'], /Did you mean --producer\?/],
    [['push', 'x'], /needs --producer/],
    [['push', '--producer', 'p'], /missing required argument 'DIR'/i],
    [['push', 'x', 'y', '--producer', 'p'], /too many arguments/i],
    [['push', 'x', '--producer', 'p', '--symlinks', 'maybe'], /refuse, skip, follow/],
    [['push', 'x', '--producer', 'p', '--parallel', 'many'], /--parallel must be a whole number above 0, not "many"/],
    [['pull', 'x', 'y', '--parallel', '0'], /--parallel must be a whole number above 0, not "0"/],
    [['ls', '--limit', '-1'], /--limit must be a whole number above 0/],
    [['ls', '--metadata', 'x'], /--metadata takes KEY=VALUE, not "x"/],
    [['extend', 'x', '--days', '99999', '--reason', 'r'], /--days must be at most 36,500, not 99999/],
    [['extend', 'x', '--until', 'May', '--reason', 'r'], /--until takes a date, and "May" is none/],
    [['hold', 'x', '--reason', ' '], /--reason is needed: say why/],
    [['hold', 'x', '--reason', 'r', '--reference', ''], /--reference must not be empty/],
    [['push', 'x', '--producer', ''], /--producer must not be empty/],
    [['push', 'x', '--producer', 'p'.repeat(129)], /--producer has more than 128 characters/],
    [['push', 'x', '--producer', 'p', '--external-id', 'a\nb'], /--external-id contains control characters/],
    [['link', 'x', '--post', 'ftp://hub'], /--post: the Statehub address/],
    [['ls', '--local', '--data-dir', ''], /--data-dir must not be empty/],
    [['pull', 'x', ''], /DIR must not be empty/],
    [['push', '', '--producer', 'p'], /DIR must not be empty/],
    [['export', '', 'x.tar'], /PACKAGE must not be empty/],
    [['push', 'not/there', '--producer', 'p'], /"not\/there" does not exist/],
    [['ls', '--local', '--url', 'http://x'], /--local and --url/],
    [['ls', '--data-dir', 'x'], /add --local/],
    [['ls', '--url', 'ftp://x'], /is not the URL of a service/],
    [['ls', '--url', 'http://me:hidden@127.0.0.1:1'], /^(?!.*hidden).*contains a user or a password/s],
    [['completion', 'csh'], /bash, zsh, fish/],
    [['serve', '--port', 'many'], /--port \(ARTIFACT_STORE_PORT\) must be a number/],
    [['serve', '--port', ''], /--port must not be empty/],
    [[], /A verb is missing\.\nSee artifact-store --help/],
    [['share', 'create', 'x', '--expires', 'soon'], /a time from now like 12h or 7d, a day like/],
    [['ingest', 'something'], /Unknown command/],
    [['webhook'], /See artifact-store webhook --help/],
    [['webhook', 'add', 'foo'], /"foo" is not a URL/],
  ];
  await Promise.all(
    cases.map(async ([args, message]) => {
      const result = await runCli(args);
      t.is(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
      t.regex(result.stderr, message);
      t.is(result.stdout, '');
    }),
  );
  const json = await runCli(['pusk', '--json']);
  t.is(json.code, 2);
  t.like(json.json.error, { code: 'wrong_usage', exit: 2 });
});

test('no service: exit 6, its URL and the next step', async (t) => {
  const folder = await writeTree(await tempFolder(t), { a: 'A' });
  const env = { XDG_CACHE_HOME: await tempFolder(t) };
  for (const args of [['ls'], ['push', folder, '--producer', 'p'], ['pull', 'x', 'y'], ['doctor']]) {
    const plain = await runCli([...args, '--url', NOBODY_THERE], { env });
    t.is(plain.code, 6, plain.stderr);
    t.regex(plain.stderr, /http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\)/);
    t.regex(plain.stderr, /artifact-store serve.*--local/);
    t.is(plain.stdout, '');
  }
  const json = await runCli(['ls', '--json'], { env: { ARTIFACT_STORE_URL: NOBODY_THERE } });
  t.is(json.code, 6);
  t.like(json.json.error, { code: 'unreachable', url: NOBODY_THERE });
});

test('not found is 3, no token is 4 and says what to set; of doctor it is a check that fails: 1', async (t) => {
  const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: TOKEN } });
  t.teardown(() => service.dispose());
  const env = { ARTIFACT_STORE_URL: service.url };
  const missing = `pkg_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;
  const found = await runCli(['verify', missing, '--token', TOKEN, '--json'], { env });
  t.is(found.code, 3);
  t.is(found.json.error.code, 'package_not_found');

  const refused = await runCli(['ls'], { env });
  t.is(refused.code, 4);
  t.regex(refused.stderr, /ARTIFACT_STORE_TOKEN/);
  const doctor = await runCli(['doctor'], { env });
  t.is(doctor.code, 1);
  t.regex(doctor.stdout, /ok {3}registry/);
  t.regex(doctor.stdout, /FAIL access: .*ARTIFACT_STORE_TOKEN/);
  const well = await runCli(['doctor', '--json'], { env: { ...env, ARTIFACT_STORE_TOKEN: TOKEN } });
  t.is(well.code, 0, well.stderr);
  t.like(well.json, { status: 'ready', access: { ok: true }, registry: { ok: true }, blob_store: { ok: true } });
});

test('--version and --help', async (t) => {
  t.is((await runCli(['--version'])).stdout, `${VERSION}\n`);
  const help = await runCli(['--help']);
  t.is(help.code, 0);
  for (const { name } of VERBS) t.true(help.stdout.includes(name.split(' ')[0] as string), name);
  for (const verb of VERBS) {
    const { stdout, code } = await runCli([...verb.name.split(' '), '--help']);
    t.is(code, 0);
    for (const option of optionsOf(verb)) t.true(stdout.includes(option.flags), `${verb.name} ${option.flags}`);
    t.true(stdout.includes(`artifact-store ${verb.examples[0]}`), verb.name);
  }
});

test('what nobody caught is told with its stack, and without the line of the bundle that threw', async (t) => {
  const defect = `import { isMainThread } from 'node:worker_threads';
    if (isMainThread) setTimeout(() => { throw new Error('odd'); }, 1);`;
  const args = ['doctor', '--url', 'http://127.0.0.1:9'];
  const env = { NODE_OPTIONS: `--import="data:text/javascript,${encodeURIComponent(defect)}"` };
  const { code, stdout, stderr } = await runCli(args, { env, alone: true });
  t.is(code, 1);
  t.is(stdout, '');
  t.regex(stderr, /^artifact-store: Error: odd\n {4}at .*\nThis is a defect of artifact-store: please report it/s);
  t.true(stderr.length < 2_000, stderr);
});

test('completion knows every verb and option, and bash can use it', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const script = completionScript(shell, VERBS);
    for (const verb of VERBS) {
      for (const word of verb.name.split(' ')) t.true(script.includes(word), `${shell} ${verb.name}`);
    }
    t.is((await runCli(['completion', shell])).stdout, script);
  }
  const folder = await tempFolder(t);
  await writeTree(folder, { 'c.bash': completionScript('bash', VERBS) });
  const complete = async (...words: string[]): Promise<string[]> => {
    const line = words.map((word) => `'${word}'`).join(' ');
    const script = `source ${join(folder, 'c.bash')}; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _artifact_store; echo "\${COMPREPLY[*]}"`;
    return (await run('bash', ['-c', script])).stdout.trim().split(' ');
  };
  t.deepEqual(await complete('artifact-store', 'pu'), ['push', 'pull']);
  t.deepEqual(await complete('artifact-store', 'ingest', ''), ['guide-board', 'bagit']);
  t.deepEqual(await complete('artifact-store', 'push', '--sy'), ['--symlinks']);
  t.deepEqual(await complete('artifact-store', 'push', '--symlinks', 'f'), ['follow']);
  t.true((await complete('artifact-store', 'ingest', 'guide-board', '--')).includes('--statehub'));
});
