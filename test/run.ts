import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SHARED_CEPH } from './support/ceph.ts';
import { SHARED_POSTGRES } from './support/postgres.ts';
import { shareServers } from './support/shared-servers.ts';

/**
 * `npm test`: ava with its arguments, one PostgreSQL and one Ceph for all test files that do not harm them, and in the last
 * lines what did not run on this machine and how to run it.
 */
const folder = mkdtempSync(join(tmpdir(), 'artifact-store-run-'));
const list = join(folder, 'not-run');
writeFileSync(list, '');
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const servers = await shareServers(join(folder, 'servers'), { ceph: SHARED_CEPH, postgres: SHARED_POSTGRES });
const ava = fileURLToPath(new URL('../node_modules/ava/entrypoints/cli.mjs', import.meta.url));
const child = spawn(process.execPath, [ava, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    ...servers.env,
    ARTIFACT_STORE_TEST_NOT_RUN: list,
    // Hundreds of processes load the same modules.
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
  },
});
child.on('exit', async (code) => {
  await servers.close();
  const notRun = [...new Set(readFileSync(list, 'utf8').split('\n'))].filter((line) => line !== '').toSorted();
  if (notRun.length > 0) process.stdout.write(`\n${notRun.join('\n')}\n`);
  process.exit(code ?? 1);
});
