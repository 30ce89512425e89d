import type { Knex } from 'knex';

/** Decisions on how long packages are kept stand in storage too, beside the manifests. */
export async function up(db: Knex): Promise<void> {
  await db.schema.alterTable('retention_events', (table) => {
    table.boolean('to_write').notNullable().defaultTo(false).comment('storage does not have it yet');
  });
  // Of a package that is not finalized there is nothing in storage; that it is held is known there before it is.
  await db.raw(
    `update retention_events set to_write = true where action <> 'set' and (action <> 'deleted'
       or exists (select 1 from packages p where p.id = retention_events.package_id and p.finalized_at is not null))`,
  );
  await db.raw('create index retention_events_to_write on retention_events (package_id, seq) where to_write = true');
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
