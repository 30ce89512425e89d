import type { Knex } from 'knex';

/**
 * What bearer tokens of the API have beside what the first migration foresaw. A row is never removed: that there was one is why a
 * bearer is needed for ever.
 */
export async function up(db: Knex): Promise<void> {
  const text = db.client.dialect === 'postgresql' ? 'text collate "C"' : 'text';
  await db.schema.alterTable('api_tokens', (table) => {
    table.specificType('description', text);
    table.specificType('producers', text).comment('JSON array; null: every producer');
    table.bigInteger('last_used_at').comment('ms; at most a minute older than the last use');
    table.specificType('revoked_by', text);
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
