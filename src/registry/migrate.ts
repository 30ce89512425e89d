import type { Knex } from 'knex';
import { MIGRATIONS } from '../../migrations/index.ts';
import { isPostgres } from './dialect.ts';

export interface SchemaVersion {
  /** The newest migration that the registry has. */
  current: string | null;
  /** Migrations run by this call. */
  applied: string[];
}

/** The registry's schema is one that this version does not know; `message` says what to do. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError';
}

type Migrations = typeof MIGRATIONS;

/** How long to wait for another process that migrates the same SQLite file: some minutes for millions of rows. */
const MIGRATION_TIMEOUT_MS = 3_600_000;

function sourceOf(migrations: Migrations): Knex.MigrationSource<string> {
  return {
    getMigrations: async () => migrations.map(({ name }) => name),
    getMigrationName: (name) => name,
    async getMigration(name) {
      const found = migrations.find((entry) => entry.name === name);
      if (!found) throw new Error(`there is no migration ${name}`);
      return found.migration;
    },
  };
}

/**
 * Brings the registry to this version's schema, in one transaction under one lock: of any number of services that start
 * at once, one migrates and the others wait; one that is killed meanwhile leaves neither half a schema nor a lock.
 * (knex's own lock is a row, which a kill -9 leaves behind; inside our transaction it is rolled back with the rest.)
 * @param migrations as this version has them; fewer, for tests, as an earlier one had them @throws NewerSchemaError
 */
export async function migrate(db: Knex, migrations: Migrations = MIGRATIONS): Promise<SchemaVersion> {
  if (isPostgres(db)) return migrateNow(db, migrations);
  const [{ timeout }] = await db.raw('pragma busy_timeout');
  await db.raw(`pragma busy_timeout = ${MIGRATION_TIMEOUT_MS}`);
  try {
    return await migrateNow(db, migrations);
  } finally {
    await db.raw(`pragma busy_timeout = ${timeout}`);
  }
}

async function migrateNow(db: Knex, migrations: Migrations): Promise<SchemaVersion> {
  return db.transaction(async (trx) => {
    if (isPostgres(trx)) {
      await trx.raw('set local lock_timeout = 0; set local statement_timeout = 0');
      await trx.raw(`select pg_advisory_xact_lock(hashtext('artifact-store'))`);
    }
    await refuseNewer(trx, migrations);
    const [, applied] = (await trx.migrate.latest({ migrationSource: sourceOf(migrations) })) as [number, string[]];
    return { current: migrations.at(-1)?.name ?? null, applied };
  });
}

async function refuseNewer(trx: Knex.Transaction, migrations: Migrations): Promise<void> {
  if (!(await trx.schema.hasTable('knex_migrations'))) return;
  const known = new Set(migrations.map(({ name }) => name));
  const rows: Array<{ name: string }> = await trx('knex_migrations').select('name').orderBy('id');
  const unknown = rows.map(({ name }) => name).filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new NewerSchemaError(
    `The registry was made by a newer artifact-store (it has the migrations ${unknown.join(', ')}): upgrade this service, or restore a backup from before the upgrade.`,
  );
}
