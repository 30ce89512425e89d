import type { Knex } from 'knex';

/**
 * The registry's first schema. Both SQL dialects run it as it is: times are bigint milliseconds, digests 32 raw bytes,
 * metadata canonical JSON text, text ordered by bytes.
 */
export async function up(db: Knex): Promise<void> {
  // SQLite compares text by bytes; PostgreSQL does under COLLATE "C" only, whatever the database's collation is. All
  // columns have it: an index serves a join only when both sides are compared alike.
  const type = db.client.dialect === 'postgresql' ? 'text collate "C"' : 'text';
  const text = (table: Knex.CreateTableBuilder, column: string) => table.specificType(column, type);

  await db.schema.createTable('retention_classes', (table) => {
    text(table, 'name').primary();
    table.integer('days').comment('null: never');
    table.boolean('retired').notNullable().defaultTo(false);
  });

  await db.schema.createTable('packages', (table) => {
    text(table, 'id').primary();
    text(table, 'name').notNullable();
    text(table, 'producer').notNullable();
    text(table, 'subject');
    text(table, 'external_id');
    text(table, 'status').notNullable();
    text(table, 'metadata').notNullable().comment('canonical JSON');
    text(table, 'retention_class').notNullable().references('retention_classes.name');
    table.integer('retention_days').comment('of the class, when the package was created; null: never');
    table.bigInteger('expires_at').comment('null: never');
    table.integer('active_holds').notNullable().defaultTo(0);
    text(table, 'supersedes').references('packages.id');
    // No foreign key: the old package gives the external id away before the new row exists.
    text(table, 'superseded_by');
    text(table, 'reason').comment('why it failed or was deleted');
    table.bigInteger('file_count').notNullable().defaultTo(0);
    table.bigInteger('total_size').notNullable().defaultTo(0);
    table.binary('manifest_digest');
    table.bigInteger('manifest_size');
    text(table, 'created_by').notNullable();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('sealed_at').comment('no file may change any more; becomes finalized_at');
    text(table, 'sealed_by');
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
    text(table, 'package_id').notNullable().references('packages.id');
    text(table, 'key').notNullable();
    text(table, 'value').notNullable();
    table.primary(['package_id', 'key']);
    table.index(['key', 'value', 'package_id']);
  });

  await db.schema.createTable('package_files', (table) => {
    text(table, 'package_id').notNullable().references('packages.id');
    text(table, 'path').notNullable();
    text(table, 'path_key').notNullable().comment('the path after Unicode NFC');
    table.binary('digest').notNullable();
    table.bigInteger('size').notNullable();
    text(table, 'media_type').notNullable();
    text(table, 'mtime').comment('RFC 3339, as recorded by the producer');
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
    text(table, 'id').primary();
    text(table, 'kind').notNullable().comment('blob, pack or manifest');
    text(table, 'key').notNullable().unique();
    text(table, 'version_id').comment('on versioned buckets');
    table.binary('digest').notNullable();
    table.bigInteger('size').notNullable();
    table.bigInteger('created_at').notNullable();
  });

  await db.schema.createTable('blob_locations', (table) => {
    table.binary('digest').notNullable().references('blobs.digest');
    text(table, 'object_id').notNullable().references('objects.id');
    table.bigInteger('offset').notNullable();
    table.bigInteger('size').notNullable();
    table.primary(['digest', 'object_id']);
    table.index(['object_id']);
  });

  await db.schema.createTable('uploads', (table) => {
    text(table, 'id').primary();
    text(table, 'package_id').notNullable().references('packages.id');
    text(table, 'channel')
      .notNullable()
      .comment('direct: a client holds part URLs; service: bytes came through the service');
    text(table, 'kind').notNullable().comment('blob or pack');
    table.binary('digest').notNullable();
    table.bigInteger('size').notNullable();
    text(table, 'state').notNullable();
    text(table, 'key').notNullable().unique();
    text(table, 'storage_upload_id').comment("the backend's name for it; null until it has answered");
    text(table, 'owner').comment('the service instance that completes it');
    table.bigInteger('lease_until').comment('after that another instance may take over');
    table.bigInteger('completed_at').comment('storage answered the completion cleanly');
    text(table, 'version_id');
    text(table, 'failure').comment('JSON, when failed');
    table.boolean('drop_key').notNullable().defaultTo(false).comment('what stands under the key must be removed');
    text(table, 'created_by').notNullable();
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
    text(table, 'upload_id').notNullable().references('uploads.id');
    table.integer('number').notNullable();
    table.binary('digest').notNullable();
    table.bigInteger('offset').notNullable();
    table.bigInteger('size').notNullable();
    table.primary(['upload_id', 'number']);
  });

  // One row for all members of a pack: they are only ever read together, and their locations take over at the commit.
  await db.schema.createTable('upload_members', (table) => {
    text(table, 'upload_id').primary().references('uploads.id');
    table.binary('members').notNullable().comment('32 bytes of digest and 4 of size each, in order');
  });

  await db.schema.createTable('holds', (table) => {
    text(table, 'id').primary();
    text(table, 'package_id').notNullable().references('packages.id');
    text(table, 'reason').notNullable();
    text(table, 'reference');
    text(table, 'placed_by').notNullable();
    table.bigInteger('placed_at').notNullable();
    text(table, 'released_by');
    table.bigInteger('released_at');
    text(table, 'release_reason');
    table.index(['package_id', 'id']);
  });

  await db.schema.createTable('retention_events', (table) => {
    table.bigIncrements('seq');
    text(table, 'id').notNullable();
    text(table, 'package_id').notNullable().references('packages.id');
    text(table, 'action').notNullable();
    table.bigInteger('at').notNullable();
    text(table, 'actor').notNullable();
    text(table, 'reason');
    text(table, 'hold_id').references('holds.id');
    table.bigInteger('expires_before');
    table.bigInteger('expires_after');
    table.index(['package_id', 'seq']);
  });

  await db.schema.createTable('audit_events', (table) => {
    table.bigIncrements('seq');
    text(table, 'id').notNullable();
    table.bigInteger('at').notNullable();
    text(table, 'actor').notNullable();
    text(table, 'action').notNullable();
    text(table, 'package_id').references('packages.id');
    text(table, 'subject_id').comment('the upload, hold or other thing that it is about');
    text(table, 'reason');
    text(table, 'detail').notNullable().comment('canonical JSON');
    table.index(['package_id', 'seq']);
    table.index(['action', 'seq']);
    table.index(['actor', 'seq']);
    table.index(['at', 'seq']);
  });

  await db.schema.createTable('api_tokens', (table) => {
    text(table, 'id').primary();
    text(table, 'name').notNullable();
    table.binary('token_hash').notNullable().unique();
    text(table, 'scopes').notNullable().comment('canonical JSON');
    text(table, 'created_by').notNullable();
    table.bigInteger('created_at').notNullable();
    table.bigInteger('expires_at');
    table.bigInteger('revoked_at');
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
