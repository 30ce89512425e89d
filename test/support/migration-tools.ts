import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

/** What the scripts of docs/migrate.md take beside a GNU system. */
export const MIGRATION_TOOLS: Requirement<true> = {
  what: 'rclone and jq',
  how: 'Install them (Debian: apt-get install rclone jq).',
  async start() {
    for (const program of ['rclone', 'jq']) await promisify(execFile)(program, ['--version']);
    return true;
  },
};
