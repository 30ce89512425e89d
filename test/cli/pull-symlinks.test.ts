import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runCli } from '../support/cli-child.ts';
import { usualOrLong } from '../support/long.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

const PULLS = usualOrLong(2, 8);
const service = await startTestService();
test.after.always(() => service.dispose());

/** Enough small files for a thread of their own, in folders of folders, and two that are made in ranges. */
function filesOf(seed: string): Record<string, string | Buffer> {
  const small = Array.from({ length: 1_200 }, (_, n) => [`group-${n % 6}/deep-${n % 3}/file-${n}`, `${seed} ${n}`]);
  const large = [1, 2].map((n) => [`group-${n}/large.bin`, Buffer.alloc(9 * 1024 ** 2, `${seed} large ${n}`)]);
  return Object.fromEntries([...small, ...large]);
}

function swapFolders(root: string, outside: string): { stop: () => Promise<number> } {
  const script = join(import.meta.dirname, '../support/swap-folders-process.ts');
  const child = spawn(process.execPath, [script, root, outside], { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  return {
    stop: async () => {
      child.stdin.end();
      await once(child, 'close');
      return Number(said.trim().split('\n').at(-1));
    },
  };
}

async function attack(t: ExecutionContext, prepare: (copy: string) => Promise<unknown>): Promise<void> {
  const folder = await tempFolder(t);
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const source = await writeTree(join(folder, 'source'), filesOf(folder));
  const pushed = await runCli(['push', source, '--producer', 'tests', '--json'], { env });
  t.is(pushed.code, 0, pushed.stderr);
  const expected = await readTree(source);
  for (let n = 0; n < PULLS; n += 1) {
    const [copy, outside] = [join(folder, `copy-${n}`, 'into'), join(folder, `outside-${n}`)];
    await writeTree(outside, { mine: '' });
    await prepare(copy);
    const attacker = swapFolders(copy, outside);
    const result = await runCli(['pull', pushed.json.package_id, copy, '--json'], { env });
    const swaps = await attacker.stop();
    t.deepEqual(await readdir(outside), ['mine'], `pull ${n} ended with ${result.code} after ${swaps} swaps`);
    t.true(swaps > 0);
    if (result.code === 0) t.like(await readTree(copy), expected, 'what was told to be there is there');
    else t.true([1, 4].includes(result.code ?? -1), `${result.stdout}${result.stderr}`);
  }
}

test('symlinks that take the place of folders while files are pulled: nothing is written outside', (t) =>
  attack(t, async () => {}));

test('the same with folders that were there before', (t) =>
  attack(t, async (copy) => {
    await writeTree(copy, Object.fromEntries([0, 1, 2, 3, 4, 5].map((n) => [`group-${n}/deep-0/mine`, ''])));
  }));
