import type { Knex } from 'knex';

/** Sweeps, and when registry and store were compared although the store knew more. */
export async function up(db: Knex): Promise<void> {
  await db.schema.createTable('sweeps', (table) => {
    table.text('id').primary();
    table.text('asked_by').notNullable();
    table.boolean('apply').notNullable();
    table.boolean('reconcile').notNullable();
    table.text('state').notNullable().comment('running, done, failed');
    table.bigInteger('started_at').notNullable();
    table.bigInteger('seen_at').notNullable().comment('when it was last heard of; ms');
    table.bigInteger('ended_at');
    table.text('report').notNullable().comment('canonical JSON');
    table.text('error_code');
    table.text('error');
  });
  await db.schema.alterTable('stores', (table) => {
    table
      .bigInteger('reconciled_at')
      .comment('ms; what the store had of packages then was seen by an operator, known to the registry or not');
    table.bigInteger('sweep_due_at').comment('ms; when the schedule begins the next sweep');
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
