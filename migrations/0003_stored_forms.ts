import type { Knex } from 'knex';

/** Objects may be stored as frames of zstd that stand for their content; until then every one was stored as it is. */
export async function up(db: Knex): Promise<void> {
  const postgres = db.client.dialect === 'postgresql';
  const type = postgres ? 'text collate "C"' : 'text';
  for (const name of ['objects', 'uploads']) {
    await db.schema.alterTable(name, (table) => {
      table
        .specificType('encoding', type)
        .notNullable()
        .defaultTo('identity')
        .comment('how the stored bytes stand for the content');
      table.bigInteger('stored_size').notNullable().defaultTo(0);
      table.binary('stored_digest').comment('of the stored bytes; null: they are the content');
    });
    await db(name).update({ stored_size: db.ref('size') });
  }
  // Apart, because a list of objects is read without them.
  await db.schema.createTable('object_frames', (table) => {
    table.specificType('object_id', type).primary().references('objects.id');
    table.binary('frames').notNullable().comment('stored and logical size of each frame, 4 bytes each, in order');
  });
  await db.schema.createTable('upload_frames', (table) => {
    table.specificType('upload_id', type).primary().references('uploads.id');
    table.binary('frames').notNullable();
  });
  await db.schema.alterTable('packages', (table) => {
    table.bigInteger('stored_size').comment('of the objects that hold its files; null until it is sealed');
  });
  await db.raw(
    `update packages set stored_size = (
       select coalesce(sum(o.stored_size), 0) from objects o where o.id in (
         select l.object_id from package_files f join blob_locations l on l.digest = f.digest
         where f.package_id = packages.id))
     where sealed_at is not null or finalized_at is not null`,
  );
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
