import type { Knex } from 'knex';

/** The metrics count packages and their bytes by status every minute: from this index alone, or each would read all rows. */
export async function up(db: Knex): Promise<void> {
  await db.schema.alterTable('packages', (table) => {
    table.index(['status', 'total_size', 'stored_size'], 'packages_totals');
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
