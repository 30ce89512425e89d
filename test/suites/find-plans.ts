import test from 'ava';
import type { Knex } from 'knex';
import { digestOf } from '../../src/core/digest.ts';
import { parseFileSearch } from '../../src/core/file-search.ts';
import { parseLogicalPath } from '../../src/core/logical-path.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import type { fileTable } from '../../src/registry/files.ts';
import type { FoundPlace } from '../../src/registry/find-files.ts';
import type { Reads } from '../../src/registry/reads.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { insertPackage } from '../support/package-row.ts';

const OF_ALICE = 300;
const OF_BOB = 20;
const FILES = 60;
const PAGE = 10;

/** Packages of two producers; each has one file that all have, by name and by digest. */
async function fill(registry: Registry): Promise<FoundPlace> {
  return registry.transaction(async (tables) => {
    await tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES);
    let middle: FoundPlace | null = null;
    for (let n = 0; n < OF_ALICE + OF_BOB; n += 1) {
      const id = await insertPackage(tables, { producer: n < OF_ALICE ? 'alice' : 'bob', created_at: 1_000 + n });
      const files = Array.from({ length: FILES }, (_, m) => ({
        path: parseLogicalPath(m === 0 ? 'deep/report.json' : `cases/case-${n}-${m}.txt`),
        digest: digestOf(m === 0 ? 'in all' : `${n} ${m}`),
        size: 6,
        media_type: 'text/plain',
        mtime: null,
        executable: false,
        proven: true,
      }));
      await tables.files.put(id, files);
      if (n === OF_ALICE / 2) middle = { id, path: parseLogicalPath('deep/report.json') };
    }
    return middle as FoundPlace;
  });
}

/**
 * That a file is found at a cost that does not grow with the files of all packages.
 * @param cost of one question, in whatever the database counts; must be below `most`
 */
export function findPlansSuite(
  name: string,
  open: (t: import('ava').ExecutionContext) => Promise<readonly [Registry, Registry, Knex]>,
  check: (db: Knex, work: (files: ReturnType<typeof fileTable>) => Promise<unknown>, most: number) => Promise<string[]>,
): void {
  test(`${name}: files are found by an index, whatever is sought, from the first page on and in the middle`, async (t) => {
    const [registry, , db] = await open(t);
    const middle = await fill(registry);
    const all: Reads = { all: true };
    const bob: Reads = { producers: ['bob'] };
    const sought = { digest: digestOf('in all') };
    for (const analyzed of [false, true]) {
      if (analyzed) await db.raw('analyze');
      for (const [what, reads, search, after, count] of [
        ['a digest', all, sought, null, PAGE],
        ['a digest, further on', all, sought, middle, PAGE],
        ['a digest of nobody', all, { digest: digestOf('nobody') }, null, 0],
        ['a name', all, { name: 'report.json' }, null, PAGE],
        ['a name, further on', all, { name: 'report.json' }, middle, PAGE],
        ['the beginning of a name', all, parseFileSearch({ name: 'case-1*' }), null, PAGE],
        ['the beginning of a name, further on', all, parseFileSearch({ name: 'rep*' }), middle, PAGE],
        ['a digest, of bob', bob, sought, null, PAGE],
        ['a digest of nobody, of bob', bob, { digest: digestOf('nobody') }, null, 0],
        ['a name, of bob', bob, { name: 'report.json' }, null, PAGE],
        ['a name of alice alone, of bob', bob, { name: 'case-1-1.txt' }, null, 0],
      ] as const) {
        const work = async (files: ReturnType<typeof fileTable>) =>
          t.is((await files.find(reads, search, after, PAGE)).length, count, what);
        const faults = await check(db, work, 400);
        t.deepEqual(faults, [], `${what}${analyzed ? ', analyzed' : ''}`);
      }
    }
  });
}
