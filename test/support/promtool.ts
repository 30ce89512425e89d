import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

/** Prometheus's own reader of rules. */
export const PROMTOOL: Requirement<(...args: string[]) => Promise<string>> = {
  what: 'promtool',
  how: 'It is in the Debian package prometheus: .ci/run takes it out of that.',
  async start() {
    const run = promisify(execFile);
    const promtool = async (...args: string[]): Promise<string> => {
      const { stdout, stderr } = await run('promtool', args);
      return stdout + stderr;
    };
    await promtool('--version');
    return promtool;
  },
};
