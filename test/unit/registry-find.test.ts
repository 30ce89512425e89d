import type { Knex } from 'knex';
import { fileTable } from '../../src/registry/files.ts';
import { findPlansSuite } from '../suites/find-plans.ts';
import { sqliteRegistries } from '../support/registries.ts';

/** SQLite says how it would go about it. */
findPlansSuite('SQLite', sqliteRegistries, async (db, work) => {
  const asked: Array<{ sql: string; bindings: Knex.RawBinding[] }> = [];
  const note = (query: (typeof asked)[0]) => asked.push(query);
  db.on('query', note);
  await work(fileTable(db));
  db.off('query', note);
  const { sql, bindings } = asked[0] as (typeof asked)[0];
  const plan: Array<{ detail: string }> = await db.raw(`explain query plan ${sql}`, bindings);
  return plan
    .map(({ detail }) => detail)
    .filter((detail) =>
      /^SCAN (f|p|b|packages|package_files|blobs)\b|^SEARCH f USING PRIMARY KEY \(package_no=\?\)/.test(detail),
    );
});
