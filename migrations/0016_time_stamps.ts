import type { Knex } from 'knex';

/** Which checkpoints of the audit's log a time stamp authority has stamped. */
export async function up(db: Knex): Promise<void> {
  await db.schema.alterTable('log_checkpoints', (table) => {
    table.bigInteger('stamped_at').comment('ms; when storage had the time stamp');
  });
  await db.raw('create index log_checkpoints_stamped on log_checkpoints (size) where stamped_at is not null');
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
