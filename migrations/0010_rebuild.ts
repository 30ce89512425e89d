import type { Knex } from 'knex';

/** A registry that is being filled from its store, or was. */
export async function up(db: Knex): Promise<void> {
  const text = db.client.dialect === 'postgresql' ? 'text collate "C"' : 'text';
  await db.schema.createTable('rebuilds', (table) => {
    table.smallint('no').primary().comment('there is at most one');
    table.text('run').notNullable().comment('names the process that is at it');
    table.text('stage').notNullable().comment('packages, objects, settling, done');
    table.text('after').notNullable().comment('the last key of the store that is done in this stage');
    table.text('report').notNullable().comment('canonical JSON');
    table.bigInteger('began_at').notNullable();
    table.bigInteger('ended_at').comment('ms; null: the registry is not whole');
  });
  // What a package revises may come later.
  await db.schema.createTable('rebuild_revisions', (table) => {
    table.specificType('package_id', text).primary();
    table.specificType('supersedes', text).notNullable();
    table.index(['supersedes', 'package_id']);
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
