import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

const run = promisify(execFile);

/** What docs/verify-by-hand.md takes: OpenSSL 3, jq, and what belongs to every GNU system. */
export const HAND_TOOLS: Requirement<true> = {
  what: 'openssl, jq and sha256sum',
  how: 'Install them (Debian: apt-get install openssl jq).',
  start: () => answer(['openssl', 'version'], ['jq', '--version'], ['sha256sum', '--version']),
};

/** What docs/api.md pushes with. */
export const HAND_CLIENTS: Requirement<true> = {
  what: 'curl, jq and python3',
  how: 'Install them (Debian: apt-get install curl jq python3).',
  start: () => answer(['curl', '--version'], ['jq', '--version'], ['python3', '--version']),
};

async function answer(...commands: Array<[program: string, option: string]>): Promise<true> {
  for (const [program, option] of commands) await run(program, [option]);
  return true;
}
