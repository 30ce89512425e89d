import { readFileSync } from 'node:fs';

const DOCS = new URL('../../docs/testing.md', import.meta.url);
/** Set by `test/run.ts` when it has grouped the files. */
export const GROUPED_VARIABLE = 'ARTIFACT_STORE_TEST_GROUPED';

/**
 * Suites of the service that ask of a bucket nothing that others on Ceph do not ask, too: `npm test` runs them on SQLite and, where they
 * ask something of the registry, on PostgreSQL, with the folder.
 */
const ASKED_BY_OTHERS = [
  'access',
  'archives',
  'file-rules',
  'foreign-digest',
  'frame-commits',
  'metrics',
  'openapi',
  'operations',
  'packages',
  'races',
  'retention',
  'route-scopes',
];
/**
 * In the long run, and when they are asked for: other pairs say the same of PostgreSQL and of the folder, and of what version 0.1.0 wrote;
 * the soak says it of services that die. What Ceph makes of requests that the service never sends changes with Ceph alone; how long a
 * request keeps the others waiting, other test files decide, too.
 */
const LONG_ONLY = [
  'test/postgres-folder/',
  ...ASKED_BY_OTHERS.map((suite) => `test/ceph/${suite}.test.ts`),
  'test/ceph/crash.test.ts',
  'test/ceph/replicas.test.ts',
  'test/ceph/s3-facts.test.ts',
  'test/http/worst-bodies.test.ts',
  'test/ceph/version-0.1.0.test.ts',
];

/** What ava runs where nobody names files, as its configuration has them. @param argv what is named is not left out */
export function filePatterns(env: NodeJS.ProcessEnv, argv: readonly string[]): string[] {
  const isLong = env.ARTIFACT_STORE_TEST_LONG === '1';
  const leftOut = LONG_ONLY.filter((place) => !isLong && !argv.some((each) => each.includes(place)));
  const groups = env[GROUPED_VARIABLE] === '1' ? [] : ['!test/groups/**'];
  return ['test/**/*.test.ts', ...groups, ...leftOut.map((place) => `!${place}${place.endsWith('/') ? '**' : ''}`)];
}

/** The files of the table in docs/testing.md, those that take longest first. */
export function slowestFiles(): string[] {
  return [...readFileSync(DOCS, 'utf8').matchAll(/^\| (test\/\S+\.test\.ts) \| ([\d.]+) \|/gm)]
    .map(([, file, seconds]) => ({ file: file as string, seconds: Number(seconds) }))
    .toSorted((a, b) => b.seconds - a.seconds)
    .map(({ file }) => file);
}
