import test, { type ExecutionContext } from 'ava';
import type { PackageId } from '../../src/core/ids.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../src/core/retention.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { openRegistry, type Registry } from '../../src/registry/registry.ts';
import { addPackage } from '../support/package-row.ts';
import { POSTGRES, type Postgres } from '../support/postgres.ts';
import { required } from '../support/required.ts';

/** A database whose operator has made every transaction serializable: then reading is enough to lose a race (40001). */
const postgres = await required('Serializable transactions on PostgreSQL', POSTGRES);

async function open(t: ExecutionContext, isolation: string): Promise<Registry> {
  const url = new URL(await (postgres as Postgres).createDatabase());
  url.searchParams.set('options', `-c default_transaction_isolation=${isolation}`);
  const registry = await openRegistry(connectPostgres(url.href));
  t.teardown(() => registry.close());
  await registry.transaction((tables) => tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES));
  return registry;
}

/**
 * Two transactions that each read what the other writes; neither writes before both have read. Each adds one to what it read.
 * @returns how often they ran, and what stands in the end
 */
async function collide(registry: Registry): Promise<{ runs: number; counts: Array<number | undefined> }> {
  const one = await addPackage(registry);
  const two = await addPackage(registry);
  const bothRead = Promise.withResolvers<void>();
  let readers = 0;
  let runs = 0;
  const add = (read: PackageId, write: PackageId): Promise<void> =>
    registry.transaction(async (tables) => {
      runs += 1;
      const seen = (await tables.packages.get(read))?.file_count ?? Number.NaN;
      readers += 1;
      if (readers === 2) bothRead.resolve();
      await bothRead.promise;
      await tables.packages.changeFiles(write, seen + 1, 0);
    });
  await Promise.all([add(one, two), add(two, one)]);
  const counts = await Promise.all([one, two].map(async (id) => (await registry.read.packages.get(id))?.file_count));
  return { runs, counts: counts.toSorted() };
}

if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());

  test('of two transactions that collide one runs again, and both end as if one had come after the other', async (t) => {
    const { runs, counts } = await collide(await open(t, 'serializable'));
    t.true(runs > 2, `${runs} runs`);
    t.deepEqual(counts, [1, 2], 'the second has seen what the first wrote');
  });

  test('without serializable transactions neither runs again: the test above sees what it means to', async (t) => {
    const { runs, counts } = await collide(await open(t, 'read\\ committed'));
    t.is(runs, 2);
    t.deepEqual(counts, [1, 1]);
  });
}
