import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const service = await startTestService();
test.after.always(() => service.dispose());

const RECORDER = pathToFileURL(join(import.meta.dirname, '../support/recorded-fs.ts')).href;
/** So many that they are read in a thread. */
const FILES = 300;
/** The first look, and the one that finds that nothing changed. */
const TWO_LOOKS = { lstatSync: 2 };
const READ = { openSync: 1, fstatSync: 2, readSync: 1, closeSync: 1 };

test('a push reads each new file once, and asks nothing of it but in its two looks; a known file is not opened', async (t) => {
  const folder = await tempFolder(t);
  const run = join(folder, 'run');
  const names = Array.from({ length: FILES }, (_, nth) => `group-${nth % 7}/file-${nth}`);
  await writeTree(run, Object.fromEntries(names.map((name) => [name, `content of ${name}`])));
  const calls = join(folder, 'calls');
  const env = {
    ARTIFACT_STORE_URL: service.url,
    XDG_CACHE_HOME: join(folder, 'cache'),
    RECORDED_FOLDER: run,
    RECORDED_CALLS: calls,
    NODE_OPTIONS: `--import=${RECORDER}`,
  };
  const asked = async (...args: string[]): Promise<Array<Record<string, number>>> => {
    await rm(calls, { force: true });
    const pushed = await runCli(['push', run, '--producer', 'tests', '--json', ...args], { env, alone: true });
    t.is(pushed.code, 0, pushed.stderr + pushed.stdout);
    const lines = (await readFile(calls, 'utf8')).split('\n');
    return names.map((name) => countCalls(lines.filter((line) => line.endsWith(` ${name}`))));
  };
  // What is younger is not remembered.
  const { ctimeMs } = await stat(join(run, names.at(-1) as string));
  while (Date.now() <= ctimeMs + 2_100) await sleep(100);

  for (const file of await asked('--name', 'new')) t.deepEqual(file, { ...TWO_LOOKS, ...READ });
  for (const file of await asked('--name', 'known')) t.deepEqual(file, TWO_LOOKS);
  for (const file of await asked('--name', 'once more', '--rehash')) t.deepEqual(file, { ...TWO_LOOKS, ...READ });
});

function countCalls(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of lines) {
    const call = line.slice(0, line.indexOf(' '));
    counts[call] = (counts[call] ?? 0) + 1;
  }
  return counts;
}
