import type { Knex } from 'knex';

/** Files of a package that need not be kept as long as the package, and what was removed of finalized packages. */
export async function up(db: Knex): Promise<void> {
  const postgres = db.client.dialect === 'postgresql';
  // Text ordered by bytes, as in the first migration.
  const text = postgres ? 'text collate "C"' : 'text';
  const clustered = postgres ? '' : 'without rowid';
  await db.schema.alterTable('retention_classes', (table) => {
    table.text('file_rules').comment('JSON: [{path, days}]; null: none');
  });
  await db.schema.alterTable('packages', (table) => {
    table.text('file_rules').comment('JSON: [{path, days}], of its class and as it was asked for; null: none');
    table.bigInteger('deleted_file_count').notNullable().defaultTo(0);
  });
  // Who, when and why stands in the event, once for all files of one request.
  await db.raw(
    `create table deleted_files (
       package_no integer not null references packages (no),
       path ${text} not null,
       event_seq bigint not null references retention_events (seq),
       primary key (package_no, path)) ${clustered}`,
  );
  await db.raw('create index deleted_files_event on deleted_files (event_seq, path)');
  // How many files of a finalized package a rule is for, and that are there; by the days of the rule, as the time that follows.
  await db.raw(
    `create table expiring_files (
       package_no integer not null references packages (no),
       due_at bigint not null,
       files bigint not null,
       bytes bigint not null,
       primary key (package_no, due_at)) ${clustered}`,
  );
  await db.raw('create index expiring_files_due on expiring_files (due_at, package_no) where files > 0');
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
