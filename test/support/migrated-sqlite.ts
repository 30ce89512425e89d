import { copyFileSync, existsSync } from 'node:fs';
import { link, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { migrate } from '../../src/registry/migrate.ts';

/** A folder that the test files of a run share, from `test/run.ts`. */
export const MIGRATED_VARIABLE = 'ARTIFACT_STORE_TEST_MIGRATED';

/**
 * Connects to a registry that need not be migrated, where there was none: a copy of one that the first test file of a run made.
 * Without a run, it is the usual one.
 */
export async function migratedSqlite(): Promise<(file: string) => Knex> {
  const folder = process.env[MIGRATED_VARIABLE];
  if (!folder) return connectSqlite;
  const made = join(folder, 'registry.sqlite');
  if (!existsSync(made)) await makeMigrated(folder, made);
  return (file) => {
    if (!existsSync(file)) copyFileSync(made, file);
    return connectSqlite(file);
  };
}

/** Of several test files that make it at once, the first is taken. */
async function makeMigrated(folder: string, made: string): Promise<void> {
  const own = await mkdtemp(join(folder, 'migrating-'));
  const file = join(own, 'registry.sqlite');
  const db = connectSqlite(file);
  await migrate(db).finally(() => db.destroy());
  await link(file, made).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(own, { recursive: true });
}
