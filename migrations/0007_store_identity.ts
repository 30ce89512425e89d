import type { Knex } from 'knex';

/** Which stores the registry's objects are in: `objects.store` is the number of one. */
export async function up(db: Knex): Promise<void> {
  await db.schema.createTable('stores', (table) => {
    table.smallint('no').primary();
    table.text('id').notNullable().comment('as the object store.json in the store says it');
    table.bigInteger('since').notNullable().comment('ms');
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
