import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

const run = promisify(execFile);

/** What docs/verify-by-hand.md takes: OpenSSL 3, jq, and what belongs to every GNU system. */
export const HAND_TOOLS: Requirement<true> = {
  what: 'openssl, jq and sha256sum',
  how: 'Install them (Debian: apt-get install openssl jq).',
  async start() {
    for (const [program, option] of [
      ['openssl', 'version'],
      ['jq', '--version'],
      ['sha256sum', '--version'],
    ] as const)
      await run(program, [option]);
    return true;
  },
};
