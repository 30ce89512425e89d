import test from 'ava';
import { fileTable } from '../../src/registry/files.ts';
import { findPlansSuite } from '../suites/find-plans.ts';
import { POSTGRES } from '../support/postgres.ts';
import { postgresRegistries } from '../support/registries.ts';
import { required } from '../support/required.ts';

const postgres = await required('Finding files on PostgreSQL', POSTGRES);

if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());

  /** PostgreSQL counts the rows that it reads. */
  findPlansSuite(
    'PostgreSQL',
    (t) => postgresRegistries(t, postgres),
    (db, work, most) =>
      db.transaction(async (trx) => {
        const read = async (): Promise<number> => {
          const { rows } = await trx.raw(
            `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) as read
             from pg_stat_xact_user_tables where relname in ('package_files', 'packages', 'blobs')`,
          );
          return Number(rows[0].read);
        };
        const before = await read();
        await work(fileTable(trx));
        const rows = (await read()) - before;
        return rows <= most ? [] : [`${rows} rows read`];
      }),
  );
}
