import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { VERBS } from '../../cli/commands/index.ts';
import { runCli } from '../support/cli-child.ts';
import { BIN } from '../support/command.ts';
import { processEnv } from '../support/process-env.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

test('--local works without a service: push, ls, pull, verify on a data folder', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(folder, { 'run/a b': 'A', 'run/empty': '' });
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const local = (...args: string[]) => runCli([...args, '--local', '--data-dir', 'store'], { env, cwd: folder });
  const pushed = await local('push', 'run', '--producer', 'tests', '--json');
  t.is(pushed.code, 0, pushed.stderr);
  t.is(pushed.stderr, '');
  t.is((await lstat(join(folder, 'store'))).mode & 0o777, 0o700);
  const id = pushed.json.package_id;
  t.is((await local('pull', id, 'copy')).code, 0);
  t.deepEqual(await readTree(join(folder, 'copy')), await readTree(join(folder, 'run')));
  t.is((await local('verify', id)).code, 0);
  t.is((await local('doctor')).code, 0);
  const migrated = await runCli(['migrate', '--data-dir', 'store', '--json'], { env, cwd: folder });
  t.is(migrated.code, 0, migrated.stderr);
  t.deepEqual(migrated.json.applied, []);
  t.truthy(migrated.json.schema);
});

test('verbs that read create no data folder: --local reports that there is none, exit 3', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(folder, { 'foreign/notes.txt': 'mine', file: 'F', 'other/format.json': '{"format":"mine"}' });
  await mkdir(join(folder, 'empty'));
  const before = await readdir(folder, { recursive: true });
  const reason = ['--reason', 'r'];
  const lines = [
    ['ls'],
    ['show', 'x'],
    ['find', 'xyz'],
    ['manifest', 'x'],
    ['cat', 'x', 'y'],
    ['link', 'x'],
    ['share', 'create', 'x'],
    ['share', 'ls', 'x'],
    ['share', 'revoke', 'x'],
    ['pull', 'x', 'copy'],
    ['export', 'x', '--bundle', 'run.tar'],
    ['diff', 'x', 'foreign'],
    ['verify', 'x'],
    ['retention', 'x'],
    ['extend', 'x', '--days', '1', ...reason],
    ['hold', 'x', ...reason],
    ['release', 'x', ...reason],
    ['eligible'],
    ['rm', 'x', ...reason],
    ['sweep'],
    ['fixity'],
    ['repair', 'foreign'],
    ['quota'],
    ['keys', 'ls'],
    ['keys', 'rotate'],
    ['keys', 'export'],
    ['token', 'ls'],
    ['token', 'revoke', 'x'],
    ['webhook', 'add', 'https://receiver.example/'],
    ['webhook', 'ls'],
    ['webhook', 'rm', 'x'],
    ['webhook', 'test', 'x'],
    ['webhook', 'rotate', 'x'],
    ['webhook', 'deliveries', 'x'],
    ['webhook', 'replay', 'x'],
    ['audit', 'verify'],
    ['audit', 'checkpoint'],
    ['audit', 'prove', 'x'],
    ['doctor'],
  ];
  const readers = VERBS.filter(({ client, makesDataFolder }) => client && !makesDataFolder);
  const nameOf = (line: string[]) =>
    readers.find(({ name }) => line.slice(0, name.split(' ').length).join(' ') === name)?.name;
  t.deepEqual(lines.map(nameOf).sort(), readers.map(({ name }) => name).sort());
  for (const line of lines) {
    const refused = await runCli([...line, '--local', '--data-dir', 'typo'], { cwd: folder });
    t.is(refused.code, 3, `${line.join(' ')}: ${refused.stderr}`);
    t.regex(refused.stderr, /There is no data folder at .*\/typo \(there is no such folder\): name .*--data-dir/);
  }
  const migrated = await runCli(['migrate', '--data-dir', 'typo'], { cwd: folder });
  t.is(migrated.code, 3, migrated.stderr);
  const others = {
    empty: /it is empty/,
    foreign: /it contains other things/,
    other: /other things/,
    file: /no such folder/,
  };
  for (const [name, why] of Object.entries(others)) {
    const refused = await runCli(['ls', '--local', '--json'], { cwd: folder, env: { ARTIFACT_STORE_DATA_DIR: name } });
    t.is(refused.code, 3, refused.stdout);
    t.like(refused.json.error, { code: 'data_folder', exit: 3 });
    t.regex(refused.json.error.message, why);
  }
  t.deepEqual(await readdir(folder, { recursive: true }), before, 'nothing was made');
});

test('a data folder that a running service holds is refused, naming it', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  for (const args of [
    ['ls', '--local', '--data-dir', service.dataDir, '--json'],
    ['migrate', '--data-dir', service.dataDir, '--json'],
  ]) {
    const refused = await runCli(args);
    t.is(refused.code, 4, refused.stderr + refused.stdout);
    t.is(refused.json.error.code, 'data_folder');
    t.true(refused.json.error.message.includes(service.dataDir), refused.json.error.message);
  }
});

async function startServe(
  t: ExecutionContext,
  args: string[],
): Promise<{ child: ChildProcess; line: string; log: () => string }> {
  const folder = await tempFolder(t);
  const child = spawn(process.execPath, [BIN, 'serve', '--port', '0', '--data-dir', join(folder, 'data'), ...args], {
    env: processEnv(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });
  let log = '';
  const logged = createInterface({ input: child.stderr });
  logged.on('line', (text) => {
    log += `${text}\n`;
  });
  const lines = args.includes('--json') ? createInterface({ input: child.stdout }) : logged;
  const [line] = (await once(lines, 'line')) as [string];
  return { child, line, log: () => log };
}

test('serve --json prints its URL as one line, answers, and stops in order', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { child, line } = await startServe(t, ['--json']);
    const { url } = JSON.parse(line) as { url: string };
    t.is((await fetch(`${url}/healthz`)).status, 200);
    child.kill(signal);
    t.deepEqual(await once(child, 'close'), [0, null]);
    await t.throwsAsync(fetch(`${url}/healthz`));
  }
});

test("serve's first log line names the URL; a port in use is one clear message", async (t) => {
  const { line, child } = await startServe(t, []);
  const { url } = JSON.parse(line) as { url: string };
  t.regex(url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const folder = await tempFolder(t);
  const second = await runCli(['serve', '--port', new URL(url).port, '--data-dir', folder, '--json']);
  t.is(second.code, 2);
  t.regex(second.json.error.message, /ARTIFACT_STORE_PORT/);
  child.kill('SIGTERM');
  t.deepEqual(await once(child, 'close'), [0, null]);
});
