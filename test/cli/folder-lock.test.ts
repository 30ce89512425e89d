import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { openDataFolder } from '../../src/blobs/data-folder.ts';
import { runCli } from '../support/cli-child.ts';
import { BIN } from '../support/command.ts';
import { untilFrozen } from '../support/frozen.ts';
import { processEnv } from '../support/process-env.ts';
import { tempFolder } from '../support/temp.ts';

interface Served {
  child: ChildProcess;
  url: string;
  /** Exit code and what it said, when it has ended. */
  ended: Promise<{ code: number | null; stderr: string }>;
}

async function serve(t: ExecutionContext, dataDir: string): Promise<Served> {
  const child = spawn(process.execPath, [BIN, 'serve', '--json', '--port', '0', '--data-dir', dataDir], {
    env: processEnv({}),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, url: (JSON.parse(line) as { url: string }).url, ended };
}

test('while a service lives no other one starts on its folder, though its lock was removed; it stops when it sees that', async (t) => {
  const dataDir = join(await tempFolder(t), 'data');
  const one = await serve(t, dataDir);
  // It cannot see anything yet.
  one.child.kill('SIGSTOP');
  await untilFrozen(one.child);
  await rm(join(dataDir, 'lock.sqlite'));
  const refused = await runCli(['serve', '--port', '0', '--data-dir', dataDir]);
  t.is(refused.code, 4, refused.stderr);
  t.true(refused.stderr.includes(`in use by process ${one.child.pid} at ${one.url}`), refused.stderr);
  one.child.kill('SIGCONT');
  const { code, stderr } = await one.ended;
  t.is(code, 4, stderr);
  t.regex(stderr, /lock\.sqlite was removed or replaced .* start this one again/);

  const another = await serve(t, dataDir);
  t.is((await fetch(`${another.url}/readyz`)).status, 200);
  const holder = JSON.parse(await readFile(join(dataDir, 'holder.json'), 'utf8'));
  t.like(holder, { pid: another.child.pid, url: another.url });
});

test('a service whose lock and holder are removed stops too', async (t) => {
  const dataDir = join(await tempFolder(t), 'data');
  const { ended } = await serve(t, dataDir);
  await rm(join(dataDir, 'holder.json'));
  await rm(join(dataDir, 'lock.sqlite'));
  t.is((await ended).code, 4);
});

test('the holder of a folder that was killed, and of one that was copied, keeps nobody out', async (t) => {
  const dir = await tempFolder(t);
  const dataDir = join(dir, 'data');
  const killed = await serve(t, dataDir);
  killed.child.kill('SIGKILL');
  await killed.ended;
  await rm(join(dataDir, 'lock.sqlite'));
  const folder = await openDataFolder(dataDir);
  await cp(dataDir, join(dir, 'copy'), { recursive: true });
  const copy = await openDataFolder(join(dir, 'copy'));
  await copy.close();
  // This process holds it itself: by the file that was there.
  await rm(join(dataDir, 'lock.sqlite'));
  await t.throwsAsync(() => openDataFolder(dataDir), { code: 'in_use' });
  // Whoever looks after the lock keeps no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  t.like(await folder.lost, { code: 'lock_lost' });
  await folder.close();
  t.true(
    (await readFile(join(dataDir, 'holder.json'), 'utf8')).includes(String(process.pid)),
    'it may be another one’s by now',
  );
});
