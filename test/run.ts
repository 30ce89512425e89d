import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { BUNDLED_VARIABLE } from './support/bundled-sources.ts';
import { SHARED_CEPH } from './support/ceph.ts';
import { BUILT_VARIABLE } from './support/command.ts';
import { cpuSeconds, TIMES_VARIABLE, tableOfTimes } from './support/file-times.ts';
import { groupFiles } from './support/group-files.ts';
import { openMemoryFolder } from './support/memory-folder.ts';
import { MIGRATED_VARIABLE } from './support/migrated-sqlite.ts';
import { SHARED_POSTGRES } from './support/postgres.ts';
import { openRunFolder } from './support/run-folder.ts';
import { shareServers } from './support/shared-servers.ts';
import { filePatterns, GROUPED_VARIABLE, slowestFiles } from './support/test-files.ts';

/** Several times what it takes. */
const USUAL_MAX_MS = 45 * 60_000;
const LONG_MAX_MS = 24 * 3_600_000;

/**
 * `npm test`: ava with its arguments, one PostgreSQL and one Ceph for all test files that do not harm them, and in the last
 * lines what did not run on this machine and how to run it. `--long` is `npm run test:long`: every seed, kill and changed byte,
 * and each command in a process of its own. With ARTIFACT_STORE_TEST_TIMES=30 the 30 slowest files are told.
 */
const given = process.argv.slice(2);
const forAva = given.filter((argument) => argument !== '--long');
const long = forAva.length < given.length;
let child: ChildProcess | null = null;
// This process ends after it: what was started and written goes then. On SIGTERM ava would leave test files behind that still run.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (child === null) process.exit(1);
    child.kill('SIGINT');
  });
}
// The long run writes to a disk, as services do.
if (!long) process.env.TMPDIR ??= openMemoryFolder() ?? tmpdir();
const folder = openRunFolder();
// A few files would load less than it costs; the long run takes sources and packages as they are.
const bundles = !long && forAva.length === 0;
if (bundles) {
  const [{ bundleSources }, { buildForRun }] = await Promise.all([
    import('./support/bundle-sources.ts'),
    import('./support/built.ts'),
  ]);
  await Promise.all([bundleSources(folder.bundled), buildForRun(folder.path)]);
}
const grouped = bundles ? groupFiles(filePatterns(process.env, []), new Set(slowestFiles())) : null;
const servers = await shareServers(folder.socket, { ceph: SHARED_CEPH, postgres: SHARED_POSTGRES });
const ava = fileURLToPath(new URL('../node_modules/ava/entrypoints/cli.mjs', import.meta.url));
const running = spawn(process.execPath, [ava, ...(grouped ?? forAva)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    ...servers.env,
    ...(long ? { ARTIFACT_STORE_TEST_LONG: '1', ARTIFACT_STORE_TEST_CLI: 'process' } : {}),
    ARTIFACT_STORE_TEST_NOT_RUN: folder.notRun,
    [TIMES_VARIABLE]: folder.times,
    [MIGRATED_VARIABLE]: folder.migrated,
    ...(grouped === null ? {} : { [GROUPED_VARIABLE]: '1' }),
    ...(bundles ? { [BUNDLED_VARIABLE]: folder.bundled, [BUILT_VARIABLE]: folder.path } : {}),
    // Hundreds of processes load the same modules.
    NODE_COMPILE_CACHE: folder.compiled,
  },
});
child = running;
// A test that has no end hides behind another one's long timeout: on SIGINT ava names those that it waits for.
const tooLong = setTimeout(() => running.kill('SIGINT'), long ? LONG_MAX_MS : USUAL_MAX_MS);
running.on('exit', async (code) => {
  clearTimeout(tooLong);
  await servers.close();
  const notRun = [...new Set(folder.linesOf(folder.notRun))].toSorted();
  const rows = Number(process.env.ARTIFACT_STORE_TEST_TIMES || 0);
  const last = [
    ...(rows > 0 ? [tableOfTimes(folder.linesOf(folder.times), rows)] : []),
    `${process.uptime().toFixed(0)} s, ${cpuSeconds().toFixed(0)} s of CPU without Ceph`,
    ...(notRun.length > 0 ? [notRun.join('\n')] : []),
  ];
  for (const text of last) process.stdout.write(`\n${text}\n`);
  process.exit(code ?? 1);
});
