import type { Knex } from 'knex';

/** What storage was told of each object's lock, and which packages and objects it is to be told of. */
export async function up(db: Knex): Promise<void> {
  const lock = (table: Knex.AlterTableBuilder): void => {
    table.bigInteger('locked_until').comment('ms; until then storage was told to keep it; null: it was not told');
    table.boolean('legal_hold').notNullable().defaultTo(false).comment('storage was told to hold it');
    table.bigInteger('hold_lifting_at').comment('ms; since then storage is being told to hold it no more');
  };
  await db.schema.alterTable('objects', (table) => {
    lock(table);
    table.boolean('lock_wanted').notNullable().defaultTo(false).comment('what packages want of it is to be looked at');
  });
  // The object that says it, in storage.
  const text = db.client.dialect === 'postgresql' ? 'text collate "C"' : 'text';
  await db.schema.alterTable('retention_events', (table) => {
    table.specificType('version_id', text);
    lock(table);
  });
  // A number for each change of what a package wants: whoever tells storage notes which of them it has told.
  await db.schema.alterTable('packages', (table) => {
    table.bigInteger('locks_wanted').notNullable().defaultTo(0);
    table.bigInteger('locks_told').notNullable().defaultTo(0);
  });
  await db.raw(`update packages set locks_wanted = 1 where status = 'finalized'`);
  await db.raw('create index packages_to_lock on packages (id) where locks_told < locks_wanted');
  await db.raw('create index objects_to_lock on objects (no) where lock_wanted = true');
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
