import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** The files that take longest, the longest first: a long one that starts last keeps one core busy and the others idle. */
const SLOWEST = [
  ...readFileSync(new URL('docs/testing.md', import.meta.url), 'utf8').matchAll(
    /^\| (test\/\S+\.test\.ts) \| ([\d.]+) \|/gm,
  ),
]
  .map(([, file, seconds]) => ({ file, seconds: Number(seconds) }))
  .toSorted((a, b) => b.seconds - a.seconds)
  .map(({ file }) => file);

function rank(path) {
  const at = SLOWEST.findIndex((file) => path.endsWith(file));
  return at === -1 ? SLOWEST.length : at;
}

/**
 * Suites of the service that ask of a bucket nothing that others on Ceph do not ask, too: `npm test` runs them on SQLite and, where they
 * ask something of the registry, on PostgreSQL, with the folder.
 */
const ASKED_BY_OTHERS = [
  'access',
  'file-rules',
  'foreign-digest',
  'frame-commits',
  'metrics',
  'openapi',
  'packages',
  'races',
  'retention',
  'route-scopes',
];
/**
 * In the long run, and when they are asked for: other pairs say the same of PostgreSQL and of the folder, and of what version 0.1.0 wrote;
 * the soak says it of services that die.
 */
const LONG_ONLY = [
  'test/postgres-folder/',
  ...ASKED_BY_OTHERS.map((suite) => `test/ceph/${suite}.test.ts`),
  'test/ceph/crash.test.ts',
  'test/ceph/replicas.test.ts',
  'test/ceph/version-0.1.0.test.ts',
];
const isLong = process.env.ARTIFACT_STORE_TEST_LONG === '1';
const leftOut = LONG_ONLY.filter((place) => !isLong && !process.argv.some((each) => each.includes(place)));

export default {
  files: ['test/**/*.test.ts', ...leftOut.map((place) => `!${place}${place.endsWith('/') ? '**' : ''}`)],
  extensions: { ts: 'module' },
  require: ['./test/support/bundled-sources.ts', './test/support/measure-file.ts'],
  sortTestFiles: (a, b) => rank(a) - rank(b) || a.localeCompare(b),
  // Half of the time a file waits: for Ceph, for a process that starts or ends, until something is tried again.
  concurrency: Math.round(2.5 * availableParallelism()),
  timeout: '90s',
  workerThreads: false,
};
