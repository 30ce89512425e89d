import type { Knex } from 'knex';

/**
 * Who is sent the audit's events, how far it was sent them, and the events that it did not take at once. An event itself stands in
 * `audit_events` alone.
 */
export async function up(db: Knex): Promise<void> {
  const text = db.client.dialect === 'postgresql' ? 'text collate "C"' : 'text';
  await db.schema.createTable('webhooks', (table) => {
    table.specificType('id', text).primary();
    table.specificType('url', text).notNullable();
    table.specificType('format', text).notNullable();
    table.specificType('description', text);
    table.specificType('types', text).comment('JSON array of actions and groups; null: every action');
    table.specificType('producers', text).comment('JSON array; null: every producer, and what is of none');
    table.integer('secret_no').notNullable().comment('the secret is derived from it, the id and the signing key');
    table.binary('secret_hash').notNullable().comment('SHA-256, to notice that the signing key is another one');
    table.bigInteger('previous_until').comment('ms; so long the secret before signs, too');
    table.specificType('created_by', text).notNullable().index();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('stopped_at').comment('ms; since then nothing is sent');
    table.bigInteger('position').notNullable().comment('seq: every event up to this one was sent, or is a delivery');
    table.specificType('lease', text).comment('of the service that sends now');
    table.bigInteger('lease_until').notNullable().defaultTo(0);
    table.bigInteger('delivered_at').comment('ms; the last time that something was taken');
    table.integer('failures').notNullable().defaultTo(0).comment('attempts since then');
    table.bigInteger('failed_at').comment('ms; the last failure');
    table.specificType('failure', text);
  });
  await db.schema.createTable('webhook_deliveries', (table) => {
    table.specificType('webhook_id', text).notNullable();
    table.bigInteger('seq').notNullable().comment('of the audit event');
    table
      .specificType('stream', text)
      .notNullable()
      .comment('what is sent in order: the package, or what else it is about');
    table.specificType('state', text).notNullable().comment('waiting, dead');
    table.integer('attempts').notNullable();
    table.bigInteger('next_at').comment('ms; null: it is dead, or another event of its stream comes first');
    table.bigInteger('failed_at').comment('ms; the last failure');
    table.specificType('failure', text);
    table.primary(['webhook_id', 'seq']);
    table.index(['webhook_id', 'state', 'next_at']);
    table.index(['webhook_id', 'stream', 'seq']);
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
