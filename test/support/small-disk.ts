import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';

/** A mount namespace of one's own: a user's own one where one is not root. */
export const NAMESPACE = process.getuid?.() === 0 ? ['-m'] : ['-r', '-m'];

/** Whether this user may mount at all. */
export function mayMount(): boolean {
  return spawnSync('unshare', [...NAMESPACE, 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;
}

/**
 * Mounts there what the shell command mounts on "$1", in the mount namespace of a process that lasts as long as the test.
 * @returns the mount as seen from here
 */
export async function mountFor(t: ExecutionContext, at: string, command: string): Promise<string> {
  await mkdir(at, { recursive: true });
  const script = `${command} && echo mounted && exec cat`;
  const child = spawn('unshare', [...NAMESPACE, 'sh', '-c', script, 'sh', at], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  t.teardown(async () => {
    child.stdin.end();
    await closed;
  });
  await once(createInterface({ input: child.stdout }), 'line');
  return `/proc/${child.pid}/root${at}`;
}
