import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Until SIGSTOP has taken effect in the process: a SIGCONT before that would take it back, and nothing wakes the process later.
 * Ends at once where there is no such process any more.
 */
export async function untilFrozen({ pid }: ChildProcess): Promise<void> {
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    if (stat === null) return;
    // The name of the program, in parentheses, may hold blanks.
    const state = stat.charAt(stat.lastIndexOf(')') + 2);
    if (/[TZX]/.test(state)) return;
    await sleep(5);
  }
}
