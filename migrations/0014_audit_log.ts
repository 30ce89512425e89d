import type { Knex } from 'knex';

/** The audit as a transparency log: the tree over its events, in tiles, and what was signed of it. */
export async function up(db: Knex): Promise<void> {
  await db.schema.createTable('log_head', (table) => {
    table.smallint('no').primary();
    table.bigInteger('size').notNullable().comment('entries in the tree');
    table.bigInteger('last_seq').notNullable().comment('of the audit events, all up to this one are in the tree');
  });
  await db('log_head').insert({ no: 1, size: 0, last_seq: 0 });
  await db.schema.createTable('log_tiles', (table) => {
    table.smallint('level').notNullable();
    table.bigInteger('n').notNullable();
    table.binary('hashes').notNullable().comment('32 bytes each');
    table.binary('seqs').comment('of level 0: the seq of each entry, 8 bytes; 0: it is in storage only');
    table.bigInteger('first_seq').comment('of level 0: the first of them that is not 0').index();
    table.primary(['level', 'n']);
  });
  await db.schema.createTable('log_checkpoints', (table) => {
    table.bigInteger('size').primary();
    table.bigInteger('at').notNullable().comment('ms');
    table.text('note').notNullable();
    table.bigInteger('written_at').comment('ms; when storage had it; null: it was not given out yet');
  });
  await db.schema.createTable('log_gaps', (table) => {
    table.bigInteger('first').primary().comment('the entries from here to before `end` are in storage only');
    table.bigInteger('end').notNullable();
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
