import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

/** The zstd program: what is stored is read by others' software, too. */
export interface Zstd {
  /** What it writes, given this input. @throws Error with what it said */
  run(args: readonly string[], input: Uint8Array): Buffer;
}

export const ZSTD: Requirement<Zstd> = {
  what: 'the zstd program',
  how: 'Install it (Debian: apt-get install zstd).',
  async start() {
    await promisify(execFile)('zstd', ['--version']);
    return { run: (args, input) => execFileSync('zstd', ['-q', '-c', ...args], { input, maxBuffer: 1024 ** 3 }) };
  },
};
