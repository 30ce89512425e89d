import type { Knex } from 'knex';

/**
 * The registry's first schema. Both SQL dialects run it as it is: times are bigint milliseconds, digests 32 raw bytes,
 * metadata canonical JSON text, paths ordered by bytes.
 */
export async function up(db: Knex): Promise<void> {
  const postgres = db.client.config.client === 'pg';
  // SQLite compares text by bytes already; PostgreSQL only under COLLATE "C".
  const bytewise = (table: Knex.CreateTableBuilder, column: string) =>
    postgres ? table.specificType(column, 'text collate "C"') : table.text(column);

  await db.schema.createTable('retention_classes', (table) => {
    table.text('name').primary();
    table.integer('days').comment('null: never');
    table.boolean('retired').notNullable().defaultTo(false);
  });

  await db.schema.createTable('packages', (table) => {
    table.text('id').primary();
    table.text('name').notNullable();
    table.text('producer').notNullable();
    table.text('subject');
    table.text('external_id');
    table.text('status').notNullable();
    table.text('metadata').notNullable().comment('canonical JSON');
    table.text('retention_class').notNullable().references('retention_classes.name');
    table.integer('retention_days').comment('of the class, when the package was created; null: never');
    table.bigInteger('expires_at').comment('null: never');
    table.integer('active_holds').notNullable().defaultTo(0);
    table.text('supersedes').references('packages.id');
    // No foreign key: the old package gives the external id away before the new row exists.
    table.text('superseded_by');
    table.text('reason').comment('why it failed or was deleted');
    table.bigInteger('file_count').notNullable().defaultTo(0);
    table.bigInteger('total_size').notNullable().defaultTo(0);
    table.binary('manifest_digest');
    table.bigInteger('manifest_size');
    table.text('created_by').notNullable();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('sealed_at').comment('no file may change any more; becomes finalized_at');
    table.text('sealed_by');
    table.bigInteger('finalized_at');
    table.bigInteger('deleted_at');
    table.index(['status', 'id']);
    table.index(['producer', 'id']);
    table.index(['producer', 'status', 'id']);
    table.index(['producer', 'subject', 'id']);
    table.index(['subject', 'id']);
    table.index(['external_id', 'id']);
    table.index(['retention_class', 'id']);
  });
  await db.raw(
    `create unique index packages_external_id_names_one on packages (producer, external_id)
     where external_id is not null and superseded_by is null and status in ('created', 'uploading', 'finalized')`,
  );
  await db.raw(
    `create index packages_expiring on packages (expires_at, id)
     where active_holds = 0 and expires_at is not null and status <> 'deleted'`,
  );
  await db.raw(`create index packages_sealing on packages (id) where sealed_at is not null and finalized_at is null`);

  await db.schema.createTable('package_metadata', (table) => {
    table.text('package_id').notNullable().references('packages.id');
    table.text('key').notNullable();
    table.text('value').notNullable();
    table.primary(['package_id', 'key']);
    table.index(['key', 'value', 'package_id']);
  });

  await db.schema.createTable('package_files', (table) => {
    table.text('package_id').notNullable().references('packages.id');
    bytewise(table, 'path').notNullable();
    bytewise(table, 'path_key').notNullable().comment('the path after Unicode NFC');
    table.binary('digest').notNullable();
    table.bigInteger('size').notNullable();
    table.text('media_type').notNullable();
    table.text('mtime').comment('RFC 3339, as recorded by the producer');
    table.boolean('executable').notNullable();
    table.boolean('proven').notNullable();
    table.primary(['package_id', 'path']);
    table.unique(['package_id', 'path_key']);
    table.index(['digest', 'package_id']);
  });
  await db.raw(`create index package_files_missing on package_files (package_id, path) where proven = false`);

  await db.schema.createTable('blobs', (table) => {
    table.binary('digest').primary();
    table.bigInteger('size').notNullable();
    table.bigInteger('created_at').notNullable();
  });

  await db.schema.createTable('objects', (table) => {
    table.text('id').primary();
    table.text('kind').notNullable().comment('blob, pack or manifest');
    table.text('key').notNullable().unique();
    table.text('version_id').comment('on versioned buckets');
    table.binary('digest').notNullable();
    table.bigInteger('size').notNullable();
    table.bigInteger('created_at').notNullable();
  });

  await db.schema.createTable('blob_locations', (table) => {
    table.binary('digest').notNullable().references('blobs.digest');
    table.text('object_id').notNullable().references('objects.id');
    table.bigInteger('offset').notNullable();
    table.bigInteger('size').notNullable();
    table.primary(['digest', 'object_id']);
    table.index(['object_id']);
  });

  await db.schema.createTable('uploads', (table) => {
    table.text('id').primary();
    table.text('package_id').notNullable().references('packages.id');
    table
      .text('channel')
      .notNullable()
      .comment('direct: a client holds part URLs; service: bytes came through the service');
    table.binary('digest').notNullable();
    table.bigInteger('size').notNullable();
    table.text('state').notNullable();
    table.text('key').notNullable().unique();
    table.text('storage_upload_id').comment("the backend's name for it; null until it has answered");
    table.text('owner').comment('the service instance that completes it');
    table.bigInteger('lease_until').comment('after that another instance may take over');
    table.bigInteger('completed_at').comment('storage answered the completion cleanly');
    table.text('version_id');
    table.text('failure').comment('JSON, when failed');
    table.boolean('drop_key').notNullable().defaultTo(false).comment('what stands under the key must be removed');
    table.text('created_by').notNullable();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('expires_at').notNullable();
    table.index(['package_id', 'id']);
  });
  await db.raw(
    `create unique index uploads_one_per_digest on uploads (package_id, digest)
     where channel = 'direct' and state in ('open', 'completing')`,
  );
  await db.raw(`create index uploads_open on uploads (expires_at) where state = 'open'`);
  await db.raw(`create index uploads_completing on uploads (lease_until) where state = 'completing'`);
  await db.raw(`create index uploads_aborting on uploads (expires_at) where state = 'aborting'`);
  await db.raw(`create index uploads_dropping on uploads (id) where drop_key = true`);

  await db.schema.createTable('upload_parts', (table) => {
    table.text('upload_id').notNullable().references('uploads.id');
    table.integer('number').notNullable();
    table.binary('digest').notNullable();
    table.bigInteger('offset').notNullable();
    table.bigInteger('size').notNullable();
    table.primary(['upload_id', 'number']);
  });

  await db.schema.createTable('holds', (table) => {
    table.text('id').primary();
    table.text('package_id').notNullable().references('packages.id');
    table.text('reason').notNullable();
    table.text('reference');
    table.text('placed_by').notNullable();
    table.bigInteger('placed_at').notNullable();
    table.text('released_by');
    table.bigInteger('released_at');
    table.text('release_reason');
    table.index(['package_id', 'id']);
  });

  await db.schema.createTable('retention_events', (table) => {
    table.bigIncrements('seq');
    table.text('id').notNullable();
    table.text('package_id').notNullable().references('packages.id');
    table.text('action').notNullable();
    table.bigInteger('at').notNullable();
    table.text('actor').notNullable();
    table.text('reason');
    table.text('hold_id').references('holds.id');
    table.bigInteger('expires_before');
    table.bigInteger('expires_after');
    table.index(['package_id', 'seq']);
  });

  await db.schema.createTable('audit_events', (table) => {
    table.bigIncrements('seq');
    table.text('id').notNullable();
    table.bigInteger('at').notNullable();
    table.text('actor').notNullable();
    table.text('action').notNullable();
    table.text('package_id').references('packages.id');
    table.text('subject_id').comment('the upload, hold or other thing that it is about');
    table.text('reason');
    table.text('detail').notNullable().comment('canonical JSON');
    table.index(['package_id', 'seq']);
    table.index(['action', 'seq']);
    table.index(['actor', 'seq']);
    table.index(['at', 'seq']);
  });

  await db.schema.createTable('api_tokens', (table) => {
    table.text('id').primary();
    table.text('name').notNullable();
    table.binary('token_hash').notNullable().unique();
    table.text('scopes').notNullable().comment('canonical JSON');
    table.text('created_by').notNullable();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('expires_at');
    table.bigInteger('revoked_at');
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
