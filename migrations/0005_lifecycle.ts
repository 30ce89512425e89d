import type { Knex } from 'knex';

/**
 * Rows for the life after finalize: since when an object is in its state, whether a location's bytes were found to be wrong, and
 * uploads that belong to no package, as a pack that is rewritten.
 */
export async function up(db: Knex): Promise<void> {
  await db.schema.alterTable('objects', (table) => {
    table.bigInteger('state_since').comment('ms; null: since it was made');
  });
  for (const name of ['blobs', 'blob_locations']) {
    await db.schema.alterTable(name, (table) => {
      table
        .bigInteger('quarantined_at')
        .comment('ms; since then the bytes there are known to be wrong, and count no more');
    });
  }
  if (db.client.dialect === 'postgresql') await db.raw('alter table uploads alter column package_id drop not null');
  else await rebuildUploads(db);
}

/** Those that refer to others first. */
const REBUILT = ['upload_frames', 'upload_members', 'upload_parts', 'uploads'] as const;

/** SQLite cannot take NOT NULL from a column: the table is made anew, and so is what refers to it. */
async function rebuildUploads(db: Knex): Promise<void> {
  const made: Array<{ tbl_name: string; type: string; name: string; sql: string }> = await db('sqlite_master')
    .whereIn('tbl_name', [...REBUILT])
    .whereNotNull('sql')
    .select('tbl_name', 'type', 'name', 'sql');
  for (const name of REBUILT) await db.raw(`alter table ${name} rename to old_${name}`);
  for (const { name } of made.filter(({ type }) => type === 'index')) await db.raw(`drop index ${name}`);
  for (const name of REBUILT.toReversed()) {
    const table = made.find((each) => each.type === 'table' && each.name === name);
    await db.raw(nullable(name, table?.sql ?? ''));
    await db.raw(`insert into ${name} select * from old_${name}`);
  }
  for (const name of REBUILT) await db.raw(`drop table old_${name}`);
  for (const { sql } of made.filter(({ type }) => type === 'index')) await db.raw(sql);
}

function nullable(table: string, sql: string): string {
  if (table !== 'uploads') return sql;
  const changed = sql.replace(/(`package_id` text) not null/i, '$1');
  if (changed === sql) throw new Error(`uploads has no package_id that is not null: ${sql}`);
  return changed;
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
