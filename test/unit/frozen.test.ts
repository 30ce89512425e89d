import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { untilFrozen } from '../support/frozen.ts';

test('a process that says it freezes is taken for frozen when it is: it can be woken then', async (t) => {
  const child = spawn('sh', ['-c', 'echo frozen; read go; kill -STOP $$; echo awake'], { stdio: 'pipe' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  let frozen = false;
  const waiting = untilFrozen(child).then(() => {
    frozen = true;
  });
  await sleep(50);
  t.false(frozen);
  child.stdin.write('go\n');
  await waiting;
  child.kill('SIGCONT');
  const [said] = await once(child.stdout, 'data');
  t.is(String(said), 'awake\n');
});

test('a process that ended is not waited for', async (t) => {
  const child = spawn('true');
  await once(child, 'exit');
  await t.notThrowsAsync(untilFrozen(child));
});
