import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { digestOf } from '../../src/core/digest.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';
import { parseLogicalPath } from '../../src/core/logical-path.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import { type BlobTable, blobTable } from '../../src/registry/blobs.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { type FileRecord, type FileTable, fileTable } from '../../src/registry/files.ts';
import { openRegistry, type Registry } from '../../src/registry/registry.ts';
import { addPackage } from '../support/package-row.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

/**
 * PostgreSQL plans by statistics, which it gathers now and then. A large package that is new to them must cost no more: a plan
 * that reads all of its files for each one that is asked for takes minutes.
 */
const postgres = await required('Registry queries with stale statistics on PostgreSQL', POSTGRES);

const FILES = 20_000;
const BATCH = 1_000;
const ASKED = 500;
/** Tables that grow with the number of files. */
const GROWING = ['package_files', 'unproven_contents', 'blobs', 'blob_locations', 'lost_blobs'];
/** So many blobs, each in many files. */
const SHARED = 20;

function file(seed: string, n: number): FileRecord {
  const path = parseLogicalPath(`group-${n % 10}/case ${n}.json`);
  const digest = digestOf(`${seed} ${n}`);
  return {
    path,
    digest,
    size: 200,
    media_type: 'text/plain',
    mtime: null,
    executable: false,
    proven: false,
    lost: false,
    deleted_at: null,
  };
}

/** @param change what is to be different of a file */
async function fill(
  registry: Registry,
  seed: string,
  files: number,
  change: (n: number) => Partial<FileRecord> = () => ({}),
): Promise<PackageId> {
  const id = await addPackage(registry, { name: seed });
  for (let start = 0; start < files; start += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, n) => ({ ...file(seed, start + n), ...change(start + n) }));
    await registry.transaction((tables) => tables.files.put(id, batch));
  }
  return id;
}

/** How many rows of files, blobs and proofs PostgreSQL reads for this. */
async function rowsRead(db: Knex, work: (files: FileTable, blobs: BlobTable) => Promise<unknown>): Promise<number> {
  return db.transaction(async (trx) => {
    // The counters go on from one transaction to the next of a connection.
    const before = await readSoFar(trx);
    await work(fileTable(trx), blobTable(trx));
    return (await readSoFar(trx)) - before;
  });
}

async function readSoFar(trx: Knex): Promise<number> {
  const { rows } = await trx.raw(
    `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) as read
    from pg_stat_xact_user_tables where relname = any(?)`,
    [GROWING],
  );
  return Number(rows[0].read);
}

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Plan Rows': number;
  Plans?: Plan[];
}

/** How many rows of the files PostgreSQL expects each time it looks into them: of a larger table, a larger share. */
async function rowsExpected(db: Knex, work: (files: FileTable) => Promise<unknown>): Promise<number> {
  return db.transaction(async (trx) => {
    const asked: Array<{ sql: string; bindings: Knex.RawBinding[] }> = [];
    trx.on('query', (query) => asked.push(query));
    await work(fileTable(trx));
    const { sql, bindings } = asked[0] as (typeof asked)[0];
    const { rows } = await trx.raw(`explain (format json) ${sql.replaceAll(/\$\d+/g, '?')}`, bindings);
    const most = (plan: Plan): number => {
      // The first in the order of an index, which nothing sorts: more of them cost no more.
      const [taken] = plan['Node Type'] === 'Limit' ? (plan.Plans ?? []).slice(-1) : [];
      if (taken?.['Node Type'].startsWith('Index')) return plan['Plan Rows'];
      const here = plan['Relation Name'] === 'package_files' ? plan['Plan Rows'] : 0;
      return Math.max(here, ...(plan.Plans ?? []).map(most));
    };
    return most(rows[0]['QUERY PLAN'][0].Plan);
  });
}

const IN_ORDER = /^(page|lastKey|provableBy)/;

async function assertFewRead(t: ExecutionContext, db: Knex, id: PackageId): Promise<void> {
  const asked = Array.from({ length: ASKED }, (_, n) => file('large', n * (FILES / ASKED)));
  const paths = asked.map(({ path }) => path);
  const others = paths.map((path) => parseLogicalPath(`${path}.more`));
  const works: Record<string, (files: FileTable) => Promise<unknown>> = {
    page: async (files) => t.is((await files.page(id, null, ASKED)).length, ASKED),
    lastKey: async (files) => t.not(await files.lastKey(id), null),
    atPaths: async (files) => t.is((await files.atPaths(id, paths)).size, ASKED),
    findConflict: async (files) => t.is(await files.findConflict(id, others), null),
    provableBy: async (files) => t.is((await files.provableBy({ producers: [] }, id, asked)).size, 0),
    notMissing: async (files) => t.is((await files.notMissing(id, asked)).size, 0),
    prove: async (files) => t.is(await files.prove(id, asked), ASKED),
    'provableBy what is proven': async (files) =>
      t.is((await files.provableBy({ producers: [] }, id, asked)).size, ASKED),
    locate: async (files) => t.is((await files.locate(id, paths)).length, ASKED),
  };
  for (const [name, work] of Object.entries(works)) {
    const read = await rowsRead(db, work);
    t.log(`${name}: ${read} rows read for ${ASKED}`);
    // In the order of an index it takes the first, however many it expects.
    const expected = IN_ORDER.test(name) ? 1 : await rowsExpected(db, work);
    t.true(expected <= 20, `${name} is expected to find ${expected} rows`);
    // The blob, the file and whether it is proven; a proof looks at the blob twice.
    t.true(read <= (name === 'prove' ? 4 : 3) * ASKED, `${name} reads ${read} rows`);
  }
}

/** What holds the bytes of a page of files, as a finalize asks. */
async function assertObjectsFound(t: ExecutionContext, db: Knex, id: PackageId): Promise<void> {
  const read = await rowsRead(db, async (files) => t.is((await files.objectsOfPage(id, null, ASKED)).length, 1));
  t.log(`objectsOfPage: ${read} rows read for ${ASKED}`);
  t.true(read <= 3 * ASKED, `objectsOfPage reads ${read} rows`);
}

/** Whether each blob of an object is proven in the package, as a plan of downloads asks. */
async function assertObjectSeenThrough(t: ExecutionContext, db: Knex, id: PackageId, object: string): Promise<void> {
  const read = await rowsRead(db, async (_, blobs) =>
    t.is((await blobs.whollyReadable({ producers: ['p'] }, id, [object])).size, 1),
  );
  t.log(`whollyReadable: ${read} rows read for ${ASKED}`);
  t.true(read <= 3 * ASKED, `whollyReadable reads ${read} rows`);
}

/** Makes an object that holds these. @returns its id */
async function store(registry: Registry, files: readonly FileRecord[]): Promise<string> {
  const id = newId('obj', 1_000);
  await registry.transaction(async ({ blobs }) => {
    await blobs.lock(files, 1);
    const facts = { version_id: null, digest: digestOf(id), size: 1, stored: null, created_at: 1 };
    await blobs.addObject({ id, kind: 'pack', key: id, ...facts });
    await blobs.addLocations(
      id,
      files.map((blob, n) => ({ ...blob, offset: n * 1_024 })),
    );
  });
  return id;
}

/** A directory may hold the same bytes thousands of times: none of its files is read for each of the others. */
async function assertEachMetOnce(t: ExecutionContext, db: Knex, registry: Registry): Promise<void> {
  const blobs = Array.from({ length: SHARED }, (_, n) => ({ digest: digestOf(`shared ${n}`), size: 200 }));
  const blobOf = (n: number) => blobs[n % SHARED] as (typeof blobs)[0];
  const id = await fill(registry, 'of few bytes', FILES, (n) => ({ ...blobOf(n), proven: true }));
  const asked = Array.from({ length: BATCH }, (_, n) => blobOf(n));
  const read = await rowsRead(db, async (files) =>
    t.is((await files.provableBy({ producers: [] }, id, asked)).size, SHARED),
  );
  t.true(read <= FILES, `${read} rows read for ${BATCH} files of ${SHARED} blobs in ${FILES}`);
}

if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());

  for (const [when, analyzed] of [
    ['never gathered', false],
    ['gathered before the package came', true],
  ] as const) {
    test(`statistics that were ${when}: a query about some files of a large package reads only those`, async (t) => {
      const db = connectPostgres(await postgres.createDatabase());
      const registry = await openRegistry(db);
      t.teardown(() => registry.close());
      await registry.transaction((tables) => tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES));
      // Whether autovacuum comes by is not left to chance.
      for (const table of ['packages', ...GROWING]) {
        await db.raw(`alter table ${table} set (autovacuum_enabled = false)`);
      }
      for (const seed of ['one', 'two', 'three']) await fill(registry, seed, BATCH, () => ({ proven: true }));
      if (analyzed) await db.raw('analyze');
      await assertEachMetOnce(t, db, registry);
      const id = await fill(registry, 'large', FILES);
      const all = Array.from({ length: FILES }, (_, n) => file('large', n));
      const isAsked = (_: FileRecord, n: number) => n % (FILES / ASKED) === 0;
      const object = await store(registry, all.filter(isAsked));
      await store(
        registry,
        all.filter((one, n) => !isAsked(one, n)),
      );
      await store(
        registry,
        Array.from({ length: BATCH }, (_, n) => file('one', n)),
      );
      await assertFewRead(t, db, id);
      await assertObjectsFound(t, db, id);
      await assertObjectSeenThrough(t, db, id, object);
      await db.raw('analyze');
      await assertObjectSeenThrough(t, db, id, object);
    });
  }
}
