import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

/** Checks units offline: nothing is asked of a running systemd. */
export const SYSTEMD: Requirement<(...args: string[]) => Promise<string>> = {
  what: 'systemd-analyze 250 or newer',
  how: 'Install it (Debian: apt-get install systemd).',
  async start() {
    const run = promisify(execFile);
    const analyze = async (...args: string[]): Promise<string> => {
      const { stdout, stderr } = await run('systemd-analyze', ['--no-pager', ...args]);
      return stdout + stderr;
    };
    const version = Number(/^systemd (\d+)/.exec(await analyze('--version'))?.[1]);
    if (!(version >= 250)) throw new Error(`this is systemd ${version}`);
    return analyze;
  },
};
