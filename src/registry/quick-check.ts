import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** Who opens the service for one verb need not pay for it. */
const DELAY_MS = 5_000;

/**
 * Reads through a registry file and holds its pages against each other, in a process of its own, while the registry is in use.
 * @param signal ends it at once @param delay ms before it begins
 * @returns what is wrong, in SQLite's words; null: nothing @throws Error when it could not be done
 */
export async function quickCheck(file: string, signal: AbortSignal, delay = DELAY_MS): Promise<string | null> {
  await sleep(delay, undefined, { signal, ref: false });
  // Beside this module, which is .ts in a checkout and .js in dist/.
  const name = import.meta.url.endsWith('.ts') ? './quick-check-process.ts' : './quick-check-process.js';
  const child = fork(new URL(name, import.meta.url), [file], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  child.unref();
  child.channel?.unref();
  const end = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', end, { once: true });
  let found: string | undefined;
  child.on('message', (message) => {
    found = (message as { found: string }).found;
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000);
  });
  try {
    const [code, by] = await once(child, 'close');
    if (found !== undefined) return found === 'ok' ? null : found;
    // Pages so damaged that the check itself breaks off.
    if (/SQLITE_(CORRUPT|NOTADB)/.test(said)) return said.match(/SqliteError: [^\n]*/)?.[0] ?? 'SQLITE_CORRUPT';
    throw new Error(`the quick check ended with ${code ?? by}: ${said.trim()}`);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
