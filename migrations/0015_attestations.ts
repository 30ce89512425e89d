import type { Knex } from 'knex';

/** The public keys that the service signs with, which packages have an attestation, and which deletions a receipt. */
export async function up(db: Knex): Promise<void> {
  const isPostgres = db.client.dialect === 'postgresql';
  const text = isPostgres ? 'text collate "C"' : 'text';
  await db.schema.createTable('signing_keys', (table) => {
    table.specificType('id', text).primary().comment('SHA-256 of its SubjectPublicKeyInfo, hex');
    table.text('pem').notNullable();
    table.bigInteger('since').notNullable().comment('ms');
    table.bigInteger('retired_at').comment('ms; since then it signs nothing');
  });
  await db.schema.alterTable('packages', (table) => {
    table.specificType('attestation_digest', isPostgres ? 'bytea' : 'blob').comment('null: not signed yet');
  });
  await db.schema.alterTable('retention_events', (table) => {
    table.specificType('receipt_event', text).comment('of a deletion: the audit event that its receipt is about');
    table.bigInteger('receipt_at').comment('ms; when storage had the receipt');
  });
  await db.raw(
    `create index retention_events_without_receipt on retention_events (package_id)
     where receipt_event is not null and receipt_at is null`,
  );
  await db.raw(
    `create index packages_unattested on packages (id) where status = 'finalized' and attestation_digest is null`,
  );
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
