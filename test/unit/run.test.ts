import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { tempFolder } from '../support/temp.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** `npm test` with one file that needs Ceph, on a machine that has no program of Ceph's, whatever this one has. */
async function runWithoutCeph(t: ExecutionContext, env: Record<string, string>) {
  const child = spawn(process.execPath, ['test/run.ts', 'test/ceph/pull.test.ts'], {
    cwd: ROOT,
    env: { PATH: await tempFolder(t), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((end) => child.once('exit', end));
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output: stdout + stderr, last: stdout.trimEnd().split('\n').at(-1) ?? '' };
}

const NOT_RUN =
  /Pulling from Ceph did not run: needs a Ceph with its S3 gateway \(ceph, .*radosgw-admin not found\)\. Run, as root on Debian 12: .*apt-get install .*radosgw/;

test('tests that cannot run on this machine are listed in the last lines, with what to do, and fail nothing', async (t) => {
  const { code, output, last } = await runWithoutCeph(t, {});
  t.is(code, 0, output);
  t.regex(last, NOT_RUN, output);
});

test('where CI=true everything must run', async (t) => {
  const { code, output } = await runWithoutCeph(t, { CI: 'true' });
  t.true(typeof code === 'number' && code !== 0, `${code}: ${output}`);
  t.regex(output.replaceAll(/\s+/g, ' '), NOT_RUN);
});

test('what each file took, and what all of them, is told at the end', async (t) => {
  const files = ['test/unit/part-plan.test.ts', 'test/unit/near-paths.test.ts'];
  const child = spawn(process.execPath, ['test/run.ts', ...files], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ARTIFACT_STORE_TEST_TIMES: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stdout = await text(child.stdout);
  const [, file, row] = /^\| (\S+) (\| [\d.]+ \| [\d.]+ \|)$/m.exec(stdout) ?? [];
  t.true(files.includes(file ?? ''), stdout);
  t.notRegex(row ?? '', / 0\.0 /, 'a process costs something');
  t.regex(stdout, /^\| all 2 files \| [\d.]+ \| [\d.]+ \|$/m);
  t.regex(stdout.trimEnd().split('\n').at(-1) ?? '', /^\d+ s, \d+ s of CPU without Ceph$/);
});
